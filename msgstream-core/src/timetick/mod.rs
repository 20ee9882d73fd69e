//! Event time: the merge of many channels into one stream of packs, and the ticks that drive it.
//!
//! [`merge`] is a pure state machine with no I/O and no clock; [`TtMsgStream`] drives it over a
//! [`Transport`](crate::transport::Transport). [`TimeTicker`] and [`TimeSync`] decide which ticks
//! producers may write.

pub mod merge;
mod stream;
mod sync;
mod ticker;

pub use self::merge::{LatePolicy, TickSource};
pub use self::stream::{TtConfig, TtMsgStream, TtStatus};
pub use self::sync::{ProducerId, SyncError, TimeSync};
pub use self::ticker::TimeTicker;

/// The extra header of a channel's last record, a time tick: nothing at all follows it.
pub const END_HEADER: &str = "ms-end";
