//! The outcome of producing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};

use crate::error::{ChannelOutcome, Error, ProduceError, Result};
use crate::record::Position;
use crate::transport::Receipt;

/// The outcome of a pack of which every record is stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Produced {
    /// One outcome for each channel that messages were written to, in the order of the channels'
    /// indexes. None has a rest.
    pub channels: Arc<[ChannelOutcome]>,
}

impl Produced {
    /// Returns the positions of the pack's records in a channel, in the order of the pack. Empty if
    /// none was written there.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// let produced = producer.send(order(5)).await?;
    /// assert_eq!(produced.positions("orders-0").len(), 1);
    /// assert!(produced.positions("orders-1").is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn positions(&self, channel: &str) -> &[Position] {
        let outcome = self.channels.iter().find(|c| &*c.channel == channel);
        outcome.map(|c| c.stored.as_slice()).unwrap_or_default()
    }
}

/// A future of the outcome of a pack that was submitted. Dropping it cancels nothing, and all
/// clones of it complete with the same outcome. It needs the tokio runtime in which the producer was
/// opened.
///
/// ```
/// # use msgstream_core::{Producer, Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
/// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
/// let receipt = producer.submit(order(5))?;
/// let copy = receipt.clone();
/// assert_eq!(receipt.await?.channels.len(), 1);
/// assert_eq!(copy.await?.channels.len(), 1);
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::Produce`] with each channel's outcome, if not everything is stored.
#[derive(Clone, Debug)]
#[must_use = "the receipt says whether the pack is stored"]
pub struct PackReceipt(Shared<BoxFuture<'static, Arc<[ChannelOutcome]>>>);

impl PackReceipt {
    /// A receipt over those of the channels, each with the number of records submitted.
    pub(super) fn new(receipts: Vec<(Arc<str>, usize, Receipt)>) -> Self {
        let outcomes = receipts.into_iter().map(|(channel, submitted, receipt)| {
            receipt.map(move |outcome| ChannelOutcome::new(channel, submitted, outcome))
        });
        Self(join_all(outcomes).map(Arc::from).boxed().shared())
    }
}

impl Future for PackReceipt {
    type Output = Result<Produced>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(cx).map(|channels| {
            if channels.iter().all(|c| c.rest.is_none()) {
                Ok(Produced { channels })
            } else {
                Err(Error::Produce(ProduceError { channels }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::error::Error as StdError;

    use super::*;
    use crate::transport::{Fate, Outcome, TransportError, TransportErrorKind};

    fn receipt(channel: &str, submitted: usize, outcome: Outcome) -> (Arc<str>, usize, Receipt) {
        (channel.into(), submitted, Receipt::ready(outcome))
    }

    #[tokio::test]
    async fn a_failed_channel_makes_an_error_that_tells_all_outcomes() {
        let positions = vec![Position::new(1), Position::new(2)];
        let closed = TransportError::new("submit", TransportErrorKind::Closed);
        let pack = PackReceipt::new(vec![
            receipt("a", 2, Outcome::stored(positions.clone())),
            receipt("b", 5, Outcome::partial(positions.clone(), Fate::Unknown, closed)),
        ]);
        let Err(Error::Produce(error)) = pack.await else { panic!("it failed") };
        assert_eq!(error.channels[0].stored, positions);
        let (outcome, rest) = error.failed().next().unwrap();
        assert_eq!((&*outcome.channel, outcome.stored.len()), ("b", 2));
        assert_eq!((rest.records, rest.fate), (3, Fate::Unknown));
        assert_eq!(
            error.to_string(),
            "1 of 2 channels failed (`b`: 2 records are stored, 3 may be stored): open the producer \
             again and send what isn't stored, or use a session, which does so by itself"
        );
        assert!(error.source().unwrap().to_string().contains("closed"));
    }

    #[tokio::test]
    async fn a_record_without_a_position_is_not_taken_for_stored() {
        let pack = PackReceipt::new(vec![receipt("a", 2, Outcome::stored(vec![Position::new(1)]))]);
        let Err(Error::Produce(error)) = pack.await else { panic!("one is missing") };
        let (_, rest) = error.failed().next().unwrap();
        assert_eq!((rest.records, rest.fate), (1, Fate::Unknown));
    }

    #[tokio::test]
    async fn a_dropped_clone_takes_nothing_away() {
        let (sender, pending) = Receipt::pending();
        let pack = PackReceipt::new(vec![("a".into(), 1, pending)]);
        let mut dropped = pack.clone();
        assert!(futures::poll!(&mut dropped).is_pending());
        drop(dropped);
        sender.send(Outcome::stored(vec![Position::new(4)]));
        assert_eq!(pack.await.unwrap().positions("a"), [Position::new(4)]);
    }
}
