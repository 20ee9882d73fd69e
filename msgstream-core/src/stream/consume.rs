//! What a [`MsgStream`] consumes and acknowledges.

use std::time::Duration;

use super::MsgStream;
use crate::checkpoint::Checkpoint;
use crate::consume::Outage;
use crate::consume::batches::Batches;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::produce::distinct;
use crate::transport::Start;

impl MsgStream {
    /// Opens readers on channels, in place of those that the stream has.
    ///
    /// With a subscription, each starts at the acknowledged position, or at `start` if nothing was
    /// acknowledged yet. Without one, each starts at `start`.
    ///
    /// ```
    /// # use msgstream_core::{MsgStream, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// use msgstream_core::transport::Start;
    /// stream.create_consumers(Some("billing"), &["prices"], Start::Earliest).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for no channel or one named twice, [`Error::Closed`], and
    /// [`Error::Transport`], such as for a channel that doesn't exist. Temporary errors are
    /// retried, see [`set_retry_for`](Self::set_retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call the stream has its earlier readers. New subscriptions may be there.
    pub async fn create_consumers(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<()> {
        self.not_closed("create_consumers")?;
        distinct(channels.iter().copied())?;
        let (transport, retry_for) = (&*self.transport, self.retry_for);
        let open = Batches::open(transport, subscription, retry_for, channels, start);
        self.consumer = Some(open.await?);
        Ok(())
    }

    /// Sets for how long temporary errors of a channel are retried before they are returned, by
    /// [`consume`](Self::consume), and at each step of
    /// [`create_consumers`](Self::create_consumers), [`seek`](Self::seek),
    /// [`resume`](Self::resume) and [`ack`](Self::ack). 60 seconds unless set; with zero each error
    /// is returned at once.
    ///
    /// See [`is_temporary`](crate::transport::TransportErrorKind::is_temporary) for which errors
    /// are temporary. Sessions have [a setting of their
    /// own](crate::produce::SessionConfig::with_retry_for).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::MsgStream;
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let mut stream = MsgStream::new(transport);
    /// stream.set_retry_for(Duration::from_secs(5));
    /// ```
    pub const fn set_retry_for(&mut self, time: Duration) -> &mut Self {
        self.retry_for = time;
        self
    }

    /// Returns the channels that can't be read at the moment and are being retried.
    #[must_use]
    pub fn outages(&self) -> Vec<Outage> {
        self.consumer.as_ref().map_or_else(Vec::new, Batches::outages)
    }

    /// Returns the next batch of records of one channel, undecoded; `None` once every channel has
    /// ended.
    ///
    /// Records of a channel are in order; there is no order between channels. The pack's
    /// [`start`](MsgPack::start) and [`end`](MsgPack::end) name its one channel.
    ///
    /// # Errors
    /// [`Error::Transport`] of one channel: a permanent error at once, a temporary one after it was
    /// retried for [`retry_for`](Self::set_retry_for) while the others were read. The channel keeps
    /// its place, and the next call continues. [`Error::NotStarted`], [`Error::Closed`],
    /// [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was retried stays counted. Time
    /// in which nobody polls doesn't count.
    pub async fn consume(&mut self) -> Result<Option<MsgPack>> {
        self.started("consume")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("consume"))?;
        consumer.consume(self.retry_for).await
    }

    /// Moves the subscription's cursor to the pack's end: everything before it is processed. A
    /// cursor never moves back. After a crash, what was not acknowledged is read again: at least
    /// once, not exactly once.
    ///
    /// ```
    /// # use msgstream_core::{MsgPack, MsgStream, Timestamp, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # stream.create_producers(&["prices"]).await?;
    /// # stream.start()?;
    /// # stream.create_consumers(Some("billing"), &["prices"], msgstream_core::transport::Start::Earliest).await?;
    /// # stream.produce(MsgPack::of(order(7))?).await?;
    /// let pack = stream.consume().await?.expect("the channel hasn't ended");
    /// stream.ack(&pack).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSubscription`] if the channel is consumed without one,
    /// [`Error::NotConsumed`], [`Error::Transport`], [`Error::Closed`], [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// The cursor may or may not have moved after a cancelled call.
    pub async fn ack(&mut self, pack: &MsgPack) -> Result<()> {
        self.not_closed("ack")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("ack"))?;
        consumer.ack(pack, self.retry_for).await
    }

    /// Moves one channel's reader to another place, before or after the start.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Transport`], [`Error::Closed`], [`Error::NoChannels`]. The
    /// reader hasn't moved then.
    ///
    /// # Cancel safety
    /// After a cancelled call the reader hasn't moved.
    pub async fn seek(&mut self, channel: &str, start: Start) -> Result<()> {
        self.not_closed("seek")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("seek"))?;
        consumer.seek(&*self.transport, self.retry_for, channel, start).await
    }

    /// Moves the reader of each channel of a checkpoint to its resume position; the others stay
    /// where they are. Resuming from [`MsgPack::start`] repeats a pack, from [`MsgPack::end`]
    /// continues after it.
    ///
    /// ```
    /// # use msgstream_core::{MsgPack, MsgStream, Timestamp, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # stream.create_producers(&["prices"]).await?;
    /// # stream.start()?;
    /// # stream.create_consumers(Some("billing"), &["prices"], msgstream_core::transport::Start::Earliest).await?;
    /// # stream.produce(MsgPack::of(order(7))?).await?;
    /// let pack = stream.consume().await?.expect("the channel hasn't ended");
    /// stream.resume(&pack.start).await?;
    /// let again = stream.consume().await?.expect("the same pack");
    /// assert_eq!(again.msgs.len(), pack.msgs.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`MsgStream::seek`], also for a channel that was deleted and created again. No reader has
    /// moved then.
    ///
    /// # Cancel safety
    /// After a cancelled call no reader has moved.
    pub async fn resume(&mut self, from: &Checkpoint) -> Result<()> {
        self.not_closed("resume")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("resume"))?;
        consumer.resume(&*self.transport, self.retry_for, from).await
    }
}

const fn no_consumers(operation: &'static str) -> Error {
    Error::NoChannels { operation, create: "create_consumers" }
}
