//! The status of a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Outage;
use crate::merge::MergeStatus;

/// What a [`Consumer`](crate::Consumer) is doing, to print or to export.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # use msgstream_core::{Consumer, transport::TransportExt};
/// # broker.create("orders-0").await?;
/// let consumer = Consumer::builder(broker).channels(["orders-0"]).open().await?;
/// let status = consumer.status();
/// assert_eq!(&*status.blocking[0].0, "orders-0");
/// println!("{status}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The merge: its frontier, its memory, and each channel.
    pub merge: MergeStatus,
    /// The channels that the next pack waits for, and how long ago each last had a record.
    pub blocking: Vec<(Arc<str>, Duration)>,
    /// The channels that can't be read at the moment and are being retried, by name.
    pub outages: Vec<Outage>,
    /// How long ago the last pack was returned, or the consumer was opened.
    pub since_pack: Duration,
}

impl fmt::Display for ConsumerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.merge.fmt(f)?;
        if !self.blocking.is_empty() {
            write!(
                f,
                "\nno pack for {:.1} s; waiting for a time tick on",
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
