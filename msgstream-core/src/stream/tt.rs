//! [`TtMsgStream`]: the time-tick merge, made empty, filled and started.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::checkpoint::Checkpoint;
use crate::consume::aligned::Aligned;
use crate::consume::{Committer, ConsumerConfig, ConsumerStatus};
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::{LatePolicy, TickSource};
use crate::message::MsgPack;
use crate::record::Position;
use crate::transport::{Start, Transport};
use std::sync::Arc;

use super::State;

/// Reads many channels as one stream of packs that are aligned in event time: a pack holds exactly
/// the messages of one interval, of every channel. See [`merge`](super::merge) for the rules.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::{Error, ConsumerConfig, TtMsgStream, transport::{Start, Transport}};
///
/// async fn print(transport: Arc<dyn Transport>) -> Result<(), Error> {
///     let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
///     stream.create_consumers(None, &["orders-0", "orders-1"], Start::Earliest).await?;
///     stream.start()?;
///     while let Some(pack) = stream.consume().await? {
///         println!("up to {}: {} messages", pack.end_ts, pack.msgs.len());
///     }
///     stream.close();
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct TtMsgStream {
    aligned: Aligned,
    state: State,
}

impl TtMsgStream {
    /// A stream without channels.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration contradicts itself.
    pub fn new(transport: Arc<dyn Transport>, config: ConsumerConfig) -> Result<Self> {
        Ok(Self { aligned: Aligned::new(transport, config)?, state: State::New })
    }

    /// Opens readers on channels whose producers tick, beside those that the stream has.
    ///
    /// With a subscription each starts at its acknowledged position, and at `start` where nothing
    /// was acknowledged; without one, at `start`.
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that the stream has or that is named twice,
    /// [`Error::Transport`], temporary ones after they were tried again for
    /// [`retry_for`](ConsumerConfig::retry_for), [`Error::Closed`]. No channel was added then.
    ///
    /// # Cancel safety
    /// After a cancelled call no channel was added. New subscriptions may be there.
    pub async fn create_consumers(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<()> {
        self.not_closed("create_consumers")?;
        self.aligned.add(subscription, channels, start, |_| TickSource::Written).await
    }

    /// Adds a channel, before the start or while the stream runs: from the next pack on, packs
    /// hold its messages. Those at or before the last pack's end belong to none; they are counted
    /// as "before join".
    ///
    /// # Errors
    /// As [`TtMsgStream::create_consumers`].
    ///
    /// # Cancel safety
    /// After a cancelled call the channel was not added. A new subscription may be there.
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

    /// Takes a channel out: the next pack has nothing of it. Gives a checkpoint of this one
    /// channel, from which another stream can go on.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Closed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Checkpoint> {
        self.not_closed("remove_channel")?;
        self.aligned.remove(channel)
    }

    /// Goes to a checkpoint, before the start or while the stream runs: its channels, at their
    /// marks, take the place of those that the stream has. The next packs are those that followed
    /// the checkpoint. [`MsgPack::start`] gives a pack again, [`MsgPack::end`] what follows it.
    ///
    /// `ticks` says where a channel's ticks come from: what it was when the checkpoint was made.
    ///
    /// # Errors
    /// [`Error::Transport`], among them a channel that was deleted and created again, or whose
    /// records are gone; temporary ones after they were tried again for
    /// [`retry_for`](ConsumerConfig::retry_for). [`Error::NoChannels`] for a checkpoint without
    /// channels; [`Error::Closed`]. The stream is where it was then.
    ///
    /// # Cancel safety
    /// After a cancelled call the stream is where it was. New subscriptions may be there.
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

    /// Starts the stream. Starting twice is harmless.
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

    /// The next pack; `None` once every channel has ended and all of it was handed out.
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`],
    /// [`Error::TooManyProducers`], [`Error::SpanTooLong`], and [`Error::Transport`] of one
    /// channel: one that time can't mend at once, a temporary one after it was tried again for
    /// [`retry_for`](ConsumerConfig::retry_for) while the other channels were read. Until then
    /// [`status`](Self::status) tells of it, and the log has a warning.
    ///
    /// Nothing is lost: the next call tries again, with success after
    /// [`set_late_policy`](Self::set_late_policy), [`ignore_tick`](Self::ignore_tick),
    /// [`set_budget_bytes`](Self::set_budget_bytes), [`set_producer_limits`](Self::set_producer_limits) or
    /// [`set_max_span`](Self::set_max_span). [`Error::NotStarted`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was tried stays counted. Time in
    /// which nobody polls doesn't count.
    pub async fn consume(&mut self) -> Result<Option<MsgPack>> {
        self.not_closed("consume")?;
        if self.state == State::New {
            return Err(Error::NotStarted { operation: "consume" });
        }
        self.aligned.next_pack().await
    }

    /// The packs as a [`Stream`](futures::Stream). It ends with the stream's end or after an
    /// error; dropping it loses nothing, and another goes on.
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

    /// What the stream is doing. Costs O(channels).
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.aligned.status()
    }

    /// What is read and not handed out, in bytes. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.aligned.buffered_bytes()
    }

    /// Where the stream stands after the last pack.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.aligned.checkpoint()
    }

    /// Moves the subscriptions' cursors to a checkpoint, which must be durable by then: what is
    /// before it may be deleted. Channels of the checkpoint that the stream no longer has are
    /// passed over. A cursor alone gives at-least-once.
    ///
    /// # Errors
    /// [`Error::NoSubscription`], [`Error::Closed`], and [`Error::Transport`], temporary ones after
    /// they were tried again for [`retry_for`](ConsumerConfig::retry_for).
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

    /// Ends the stream. Closing twice is harmless. The transport stays open.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.aligned.stop();
    }

    fn not_closed(&self, operation: &'static str) -> Result<()> {
        if self.state == State::Closed { Err(Error::Closed { operation }) } else { Ok(()) }
    }

    /// Saves where the stream stands after a pack, [`MsgPack::end`], together with what the packs led
    /// to. Once that is durable, moves the subscriptions' cursors up to it; channels without a
    /// subscription have none to move. `state` is the program's own, as [`Committer::open`] returns
    /// it; it takes the place of the one before, and may be empty.
    ///
    /// # Errors
    /// As [`Committer::save`]. [`Error::Transport`] and [`Error::Closed`] come from acknowledging:
    /// the checkpoint is saved, and the next commit moves the cursors as well.
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

    /// Sets what happens to late records, after [`Error::Late`](crate::Error::Late).
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for [`LatePolicy::Error`] in a stream whose channels may be idle.
    pub fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        self.aligned.set_late_policy(late)
    }

    /// Changes how far a tick may be ahead of the system's clock, after [`Error::TickTooFar`](crate::Error::TickTooFar);
    /// `None` is any.
    pub fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.aligned.set_max_tick_ahead(ahead);
    }

    /// Changes the memory budget, in bytes, after [`Error::WindowTooLarge`](crate::Error::WindowTooLarge); 0 is taken as 1.
    pub fn set_budget_bytes(&mut self, bytes: usize) {
        self.aligned.set_budget_bytes(bytes);
    }

    /// Changes how many producers with sessions a channel may have and how long they are
    /// remembered, after [`Error::TooManyProducers`](crate::Error::TooManyProducers).
    pub fn set_producer_limits(&mut self, producers: ProducerLimits) {
        self.aligned.set_producer_limits(producers);
    }

    /// Changes how many records a checkpoint may hold back, after [`Error::SpanTooLong`](crate::Error::SpanTooLong).
    pub fn set_max_span(&mut self, records: u64) {
        self.aligned.set_max_span(records);
    }

    /// Repairs a channel after [`Error::TickTooFar`](crate::Error::TickTooFar): the tick at this position does nothing. A
    /// stream that resumes from before it must be told again.
    ///
    /// # Errors
    /// [`Error::NotConsumed`](crate::Error::NotConsumed).
    pub fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        self.aligned.ignore_tick(channel, position)
    }
}
