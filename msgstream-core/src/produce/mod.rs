//! Writing: packs are split over channels, encoded and written, in a session where each message is to
//! count once.

mod encode;
mod outcome;
pub mod session;
mod ticker;
mod time_sync;
pub(crate) mod writers;

pub use self::outcome::{PackReceipt, Produced};
pub use self::session::{Opened, SessionConfig, SessionCounts, fence};
pub use self::ticker::TimeTicker;
pub use self::time_sync::{ProducerId, SyncError, TimeSync};
