//! Writing: packs are split over channels, encoded and written, in a session where each message is to
//! count once.

mod builder;
mod encode;
mod outcome;
mod producer;
pub mod session;
mod ticker;
mod time_sync;
pub(crate) mod writers;

pub use self::builder::ProducerBuilder;
pub use self::outcome::{PackReceipt, Produced};
pub use self::producer::{InSession, NoSession, Producer};
pub use self::session::{Opened, SessionConfig, SessionCounts, fence};
pub use self::ticker::TimeTicker;
pub use self::time_sync::{SyncError, TimeSync};
use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Refuses no channel, and one that is named twice.
pub(crate) fn distinct<'a>(channels: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for channel in channels {
        if !seen.insert(channel) {
            return Err(Error::Config { reason: format!("channel `{channel}` is named twice") });
        }
    }
    match seen.is_empty() {
        true => Err(Error::Config { reason: "there must be one channel at least".to_owned() }),
        false => Ok(()),
    }
}
