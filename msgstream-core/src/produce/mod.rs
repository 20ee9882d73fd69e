//! Writing: packs are split over channels, encoded and written, in a [`session`] if each message is
//! to be delivered exactly once.
//!
//! [`Producer`] is where to begin. [`TimeTicker`] and [`TimeSync`] decide which time ticks to
//! write, for a single producer and for many on the same channels.

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
pub use crate::error::{ChannelOutcome, ProduceError, Rest};

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Refuses an empty list of channels, and a channel that is named twice.
pub(crate) fn distinct<'a>(channels: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for channel in channels {
        if !seen.insert(channel) {
            return Err(Error::Config {
                reason: format!("channel `{channel}` is named twice: name it once"),
            });
        }
    }
    match seen.is_empty() {
        true => Err(Error::Config { reason: "no channel is named: name at least one".to_owned() }),
        false => Ok(()),
    }
}
