//! Settings of an open consumer, most of them for continuing after an error.

use std::time::Duration;

use super::Consumer;
use crate::dedup::ProducerLimits;
use crate::error::Result;
use crate::merge::LatePolicy;
use crate::record::Position;

impl<C> Consumer<C> {
    /// Sets how late messages are handled, for example after [`Error::Late`](crate::Error::Late).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, Error, LatePolicy, Producer, Timestamp};
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().allow_late().open().await?;
    /// # producer.tick(Timestamp(5)).await?;
    /// # producer.send(msgstream_core::message::TimeSyncMsg::new(Timestamp(3)).with_hash_keys([0])).await?;
    /// # producer.end(Timestamp(9)).await?;
    /// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// packs.next_pack().await?;
    /// assert!(matches!(packs.next_pack().await, Err(Error::Late { .. })));
    /// packs.set_late_policy(LatePolicy::Deliver)?;
    /// let pack = packs.next_pack().await?.expect("the pack with the late message");
    /// assert!(pack.msgs[0].is_late());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for [`LatePolicy::Error`] if channels may be idle.
    pub fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        self.aligned.set_late_policy(late)
    }

    /// Sets how far a tick may be ahead of the system's clock, for example after
    /// [`Error::TickTooFar`](crate::Error::TickTooFar). `None` accepts any tick.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::TransportExt};
    /// # broker.create("orders").await?;
    /// # let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// packs.set_max_tick_ahead(Some(std::time::Duration::from_secs(60)));
    /// # Ok(()) }
    /// ```
    pub fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.aligned.set_max_tick_ahead(ahead);
    }

    /// Ignores the tick at this position, after [`Error::TickTooFar`](crate::Error::TickTooFar).
    /// Call this again on a consumer that resumes from before it.
    ///
    /// # Errors
    /// [`Error::NotConsumed`](crate::Error::NotConsumed).
    pub fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        self.aligned.ignore_tick(channel, position)
    }

    /// Sets the memory for what is read ahead, in bytes, for example after
    /// [`Error::WindowTooLarge`](crate::Error::WindowTooLarge). 0 counts as 1.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::TransportExt};
    /// # broker.create("orders").await?;
    /// # let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// packs.set_budget_bytes(256 << 20);
    /// assert_eq!(packs.status().merge.budget, 256 << 20);
    /// # Ok(()) }
    /// ```
    pub fn set_budget_bytes(&mut self, bytes: usize) {
        self.aligned.set_budget_bytes(bytes);
    }

    /// Sets how many producers with sessions a channel may have, and for how long they are
    /// remembered, for example after [`Error::TooManyProducers`](crate::Error::TooManyProducers).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::TransportExt};
    /// # broker.create("orders").await?;
    /// # let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// use msgstream_core::consume::ProducerLimits;
    /// packs.set_producer_limits(ProducerLimits::default().with_max(100_000));
    /// # Ok(()) }
    /// ```
    pub fn set_producer_limits(&mut self, limits: ProducerLimits) {
        self.aligned.set_producer_limits(limits);
    }

    /// Sets how many records of a channel a checkpoint may hold back, for example after
    /// [`Error::SpanTooLong`](crate::Error::SpanTooLong).
    pub fn set_max_span(&mut self, records: u64) {
        self.aligned.set_max_span(records);
    }
}
