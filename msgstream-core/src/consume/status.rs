//! What a time-aligned stream is doing, as a value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Outage;
use crate::merge::MergeStatus;

/// What a [`TtMsgStream`](super::TtMsgStream) is doing, to print or to export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The merge: frontier, memory, and each channel.
    pub merge: MergeStatus,
    /// The channels that the next pack waits for, and how long ago each last brought a record.
    pub blocking: Vec<(Arc<str>, Duration)>,
    /// The channels that can't be read at the moment and are tried again, by name.
    pub outages: Vec<Outage>,
    /// How long ago the last pack was handed out, or the stream was made.
    pub since_pack: Duration,
}

impl fmt::Display for ConsumerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.merge.fmt(f)?;
        if !self.blocking.is_empty() {
            write!(
                f,
                "\nno pack for {:.1} s; waiting for a tick of",
                self.since_pack.as_secs_f64()
            )?;
        }
        for (index, (channel, silent)) in self.blocking.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma} `{channel}` (silent for {:.1} s)", silent.as_secs_f64())?;
        }
        self.outages.iter().try_for_each(|outage| write!(f, "\n{outage}"))
    }
}
