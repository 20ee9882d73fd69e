//! [`TtMsgStream`]: the time-tick merge, created empty, filled and started.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::State;
use crate::checkpoint::Checkpoint;
use crate::consume::aligned::Aligned;
use crate::consume::{Committer, ConsumerConfig, ConsumerStatus};
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::{LatePolicy, TickSource};
use crate::message::MsgPack;
use crate::record::Position;
use crate::transport::{Start, Transport};

/// Reads many channels as one stream of packs that are aligned in event time.
///
/// A pack holds exactly the messages of one interval, of every channel. See [`merge`](crate::merge)
/// for the rules.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::transport::Start;
/// use msgstream_core::{ConsumerConfig, Error, Producer, Timestamp, TtMsgStream};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let transport = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let mut producer = Producer::builder(transport.clone()).channels(["orders"]).create_missing().open().await?;
/// # producer.end(Timestamp(5)).await?;
///
/// let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
/// stream.create_consumers(None, &["orders"], Start::Earliest).await?;
/// stream.start()?;
/// while let Some(pack) = stream.consume().await? {
///     println!("up to {}: {} messages", pack.end_ts, pack.msgs.len());
/// }
/// stream.close();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TtMsgStream {
    aligned: Aligned,
    state: State,
}

impl TtMsgStream {
    /// Creates a stream without channels.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration contradicts itself.
    pub fn new(transport: Arc<dyn Transport>, config: ConsumerConfig) -> Result<Self> {
        Ok(Self { aligned: Aligned::new(transport, config)?, state: State::New })
    }

    /// Opens readers on channels whose producers tick, beside those that the stream has.
    ///
    /// With a subscription, each starts at the acknowledged position, or at `start` if nothing was
    /// acknowledged yet. Without one, each starts at `start`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use msgstream_core::{ConsumerConfig, TtMsgStream, transport::{Start, TransportExt}};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # transport.create("orders").await?;
    /// # let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    /// stream.create_consumers(Some("billing"), &["orders"], Start::Earliest).await?;
    /// stream.start()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that the stream has or that is named twice,
    /// [`Error::Transport`], a temporary error after it was retried for
    /// [`retry_for`](ConsumerConfig::retry_for), [`Error::Closed`]. No channel was added then.
    ///
    /// # Cancel safety
    /// After a cancelled call no channel was added. Subscriptions may have been created.
    pub async fn create_consumers(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<()> {
        self.not_closed("create_consumers")?;
        self.aligned.add(subscription, channels, start, |_| TickSource::Written).await
    }

    /// Adds a channel, before the start or while the stream runs: from the next pack on, packs hold
    /// its messages. Messages at or before the end of the last pack are in no pack, and counted as
    /// "before join".
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use msgstream_core::{ConsumerConfig, TtMsgStream, transport::{Start, TransportExt}};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # transport.create("orders").await?;
    /// # let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    /// # use msgstream_core::TickSource;
    /// stream.add_channel(None, "orders", Start::Earliest, TickSource::Written).await?;
    /// let checkpoint = stream.remove_channel("orders")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`TtMsgStream::create_consumers`].
    ///
    /// # Cancel safety
    /// After a cancelled call the channel was not added. Its subscription may have been created.
    pub async fn add_channel(
        &mut self,
        subscription: Option<&str>,
        channel: &str,
        start: Start,
        ticks: TickSource,
    ) -> Result<()> {
        self.not_closed("add_channel")?;
        self.aligned.add(subscription, &[channel], start, |_| ticks).await
    }

    /// Removes a channel: the next pack has nothing of it. Returns a checkpoint of this one
    /// channel, from which another stream can continue.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Closed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Checkpoint> {
        self.not_closed("remove_channel")?;
        self.aligned.remove(channel)
    }

    /// Moves to a checkpoint, before the start or while the stream runs: its channels, at their
    /// marks, replace those that the stream has. The next packs are those that followed the
    /// checkpoint. Resuming from [`MsgPack::start`] repeats a pack, from [`MsgPack::end`] continues
    /// after it.
    ///
    /// `ticks` returns where a channel's ticks come from: the same as when the checkpoint was made.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use msgstream_core::{ConsumerConfig, Producer, TickSource, Timestamp, TtMsgStream, transport::Start};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let mut producer = Producer::builder(transport.clone()).channels(["orders"]).create_missing().open().await?;
    /// # producer.end(Timestamp(5)).await?;
    /// # let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    /// # stream.create_consumers(Some("totals"), &["orders"], Start::Earliest).await?;
    /// # stream.start()?;
    ///
    /// let pack = stream.consume().await?.expect("the end of the channel");
    /// stream.resume(Some("totals"), &pack.start, |_| TickSource::Written).await?;
    /// let again = stream.consume().await?.expect("the same pack");
    /// assert_eq!(again.end_ts, pack.end_ts);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Transport`], also for a channel that was deleted and created again, or whose
    /// records were deleted; a temporary error after it was retried for
    /// [`retry_for`](ConsumerConfig::retry_for). [`Error::NoChannels`] for a checkpoint without
    /// channels; [`Error::Closed`]. The stream hasn't moved then.
    ///
    /// # Cancel safety
    /// After a cancelled call the stream hasn't moved. Subscriptions may have been created.
    pub async fn resume(
        &mut self,
        subscription: Option<&str>,
        checkpoint: &Checkpoint,
        ticks: impl Fn(&str) -> TickSource,
    ) -> Result<()> {
        self.not_closed("resume")?;
        if checkpoint.channels.is_empty() {
            return Err(Error::NoChannels { operation: "resume", create: "create_consumers" });
        }
        self.aligned.resume(subscription, checkpoint, ticks).await
    }

    /// Starts the stream. Starting again has no effect.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Closed`].
    pub fn start(&mut self) -> Result<()> {
        self.not_closed("start")?;
        if self.aligned.is_empty() {
            return Err(Error::NoChannels { operation: "start", create: "create_consumers" });
        }
        self.state = State::Started;
        self.aligned.begin();
        Ok(())
    }

    /// Returns the next pack; `None` once every channel has ended and all packs were returned.
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`],
    /// [`Error::TooManyProducers`], [`Error::SpanTooLong`], and [`Error::Transport`] of one
    /// channel: a permanent error at once, a temporary one after it was retried for
    /// [`retry_for`](ConsumerConfig::retry_for) while the other channels were read. Meanwhile it is
    /// in [`status`](Self::status), and a warning is logged.
    ///
    /// Nothing is lost: the next call tries again, and succeeds after
    /// [`set_late_policy`](Self::set_late_policy), [`ignore_tick`](Self::ignore_tick),
    /// [`set_budget_bytes`](Self::set_budget_bytes),
    /// [`set_producer_limits`](Self::set_producer_limits) or [`set_max_span`](Self::set_max_span).
    /// [`Error::NotStarted`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was retried stays counted. Time
    /// in which nobody polls doesn't count.
    pub async fn consume(&mut self) -> Result<Option<MsgPack>> {
        self.not_closed("consume")?;
        if self.state == State::New {
            return Err(Error::NotStarted { operation: "consume" });
        }
        self.aligned.next_pack().await
    }

    /// Returns the packs as a [`Stream`](futures::Stream). It ends with the last pack or after an
    /// error. Dropping it loses nothing: another one continues.
    ///
    /// ```
    /// # use msgstream_core::{Error, TtMsgStream};
    /// use futures::TryStreamExt;
    /// async fn count(stream: &mut TtMsgStream) -> Result<usize, Error> {
    ///     stream.packs().try_fold(0, async |n, pack| Ok(n + pack.msgs.len())).await
    /// }
    /// ```
    pub fn packs(&mut self) -> BoxStream<'_, Result<MsgPack>> {
        futures::stream::try_unfold(self, async |stream| {
            Ok(stream.consume().await?.map(|pack| (pack, stream)))
        })
        .boxed()
    }

    /// Returns what the stream is doing. Costs O(channels).
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.aligned.status()
    }

    /// Returns the bytes that are read and not returned yet. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.aligned.buffered_bytes()
    }

    /// Returns the checkpoint after the last pack.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.aligned.checkpoint()
    }

    /// Moves the subscriptions' cursors to a checkpoint. Save the checkpoint first: the broker may
    /// delete what is before a cursor. Channels that the stream no longer has are skipped. A cursor
    /// alone is at-least-once.
    ///
    /// # Errors
    /// [`Error::NoSubscription`], [`Error::Closed`], and [`Error::Transport`], a temporary error
    /// after it was retried for [`retry_for`](ConsumerConfig::retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call some of the cursors have moved.
    pub async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.not_closed("ack")?;
        if let Some(channel) = self.aligned.without_cursor(checkpoint) {
            return Err(Error::NoSubscription { channel: channel.to_owned() });
        }
        self.aligned.ack(checkpoint).await
    }

    /// Closes the stream. Closing again has no effect. The transport stays open.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.aligned.stop();
    }

    fn not_closed(&self, operation: &'static str) -> Result<()> {
        if self.state == State::Closed { Err(Error::Closed { operation }) } else { Ok(()) }
    }

    /// Saves the checkpoint after a pack, [`MsgPack::end`], together with the program's state,
    /// which [`Committer::open`] returns. Once both are durable, moves the cursors of the channels
    /// that have a subscription. The state may be empty.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use msgstream_core::{ConsumerConfig, Producer, TickSource, Timestamp, TtMsgStream, transport::Start};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let mut producer = Producer::builder(transport.clone()).channels(["orders"]).create_missing().open().await?;
    /// # producer.end(Timestamp(5)).await?;
    /// # let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    /// # stream.create_consumers(Some("totals"), &["orders"], Start::Earliest).await?;
    /// # stream.start()?;
    ///
    /// use msgstream_core::checkpoint::MemoryStore;
    /// use msgstream_core::consume::Committer;
    ///
    /// let store = std::sync::Arc::new(MemoryStore::default());
    /// let (mut committer, _stored) = Committer::open(store).await?;
    /// while let Some(pack) = stream.consume().await? {
    ///     stream.commit(&mut committer, &pack.end, "the state").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Committer::save`]. [`Error::Transport`] and [`Error::Closed`] if acknowledging failed:
    /// the checkpoint is saved, and the next commit moves the cursors.
    ///
    /// # Cancel safety
    /// After a cancelled call the checkpoint may be saved or not; the next commit finds out. No
    /// cursor has moved past what is saved.
    pub async fn commit(
        &mut self,
        committer: &mut Committer,
        checkpoint: &Checkpoint,
        state: impl Into<Bytes>,
    ) -> Result<()> {
        committer.save(checkpoint, state).await?;
        self.not_closed("commit")?;
        self.aligned.ack(checkpoint).await
    }

    /// Sets how late records are handled, for example after [`Error::Late`].
    ///
    /// # Errors
    /// [`Error::Config`] for [`LatePolicy::Error`] if channels may be idle.
    pub fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        self.aligned.set_late_policy(late)
    }

    /// Sets how far a tick may be ahead of the system's clock, for example after
    /// [`Error::TickTooFar`]. `None` accepts any tick.
    pub fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.aligned.set_max_tick_ahead(ahead);
    }

    /// Sets the memory for what is read ahead, in bytes, for example after
    /// [`Error::WindowTooLarge`]. 0 counts as 1.
    ///
    /// ```
    /// # use msgstream_core::{ConsumerConfig, TtMsgStream};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    /// stream.set_budget_bytes(256 << 20);
    /// assert_eq!(stream.status().merge.budget, 256 << 20);
    /// # Ok::<(), msgstream_core::Error>(())
    /// ```
    pub fn set_budget_bytes(&mut self, bytes: usize) {
        self.aligned.set_budget_bytes(bytes);
    }

    /// Sets how many producers with sessions a channel may have, and for how long they are
    /// remembered, for example after [`Error::TooManyProducers`].
    pub fn set_producer_limits(&mut self, producers: ProducerLimits) {
        self.aligned.set_producer_limits(producers);
    }

    /// Sets how many records of a channel a checkpoint may hold back, for example after
    /// [`Error::SpanTooLong`].
    pub fn set_max_span(&mut self, records: u64) {
        self.aligned.set_max_span(records);
    }

    /// Ignores the tick at this position, after [`Error::TickTooFar`]. Call this again on a stream
    /// that resumes from before it.
    ///
    /// # Errors
    /// [`Error::NotConsumed`].
    pub fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        self.aligned.ignore_tick(channel, position)
    }
}
