//! [`TtMsgStream`]: the time-tick merge over any transport.

mod config;
mod drive;
mod input;
mod repair;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

pub use self::config::TtConfig;
use self::input::{Input, Reads};
pub use self::status::TtStatus;
use super::TickSource;
use super::merge::{Merge, Slot};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::planted::{Bug, planted};
use crate::stream::open::{AT_A_TIME, Begin, Opened, open};
use crate::stream::outage::{Tries, ride_out};
use crate::transport::{Start, Transport};

/// Reads many channels as one stream of packs that are aligned in event time: a pack holds exactly
/// the messages of one interval, of every channel. See [`merge`](super::merge) for the rules.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::{Error, TtConfig, TtMsgStream, transport::{Start, Transport}};
///
/// async fn print(transport: Arc<dyn Transport>) -> Result<(), Error> {
///     let mut stream = TtMsgStream::new(transport, TtConfig::default())?;
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
    transport: Arc<dyn Transport>,
    config: TtConfig,
    merge: Merge,
    inputs: Vec<Option<Input>>,
    reads: Reads,
    /// Channels without a read in flight.
    parked: Vec<Slot>,
    /// So many of the parked channels had no room when they were last asked.
    checked: usize,
    /// They may have room again.
    recheck: bool,
    /// The merge refused records of a channel.
    refused: bool,
    generation: u64,
    state: State,
    last_pack: Instant,
    warned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Started,
    Closed,
}

impl TtMsgStream {
    /// A stream without channels.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration contradicts itself.
    pub fn new(transport: Arc<dyn Transport>, config: TtConfig) -> Result<Self> {
        Ok(Self {
            transport,
            merge: Merge::new(config.merge()?)?,
            config,
            inputs: Vec::new(),
            reads: Reads::default(),
            parked: Vec::new(),
            checked: 0,
            recheck: true,
            refused: false,
            generation: 0,
            state: State::New,
            last_pack: Instant::now(),
            warned: false,
        })
    }

    /// Opens readers on channels whose producers tick, beside those that the stream has.
    ///
    /// With a subscription each starts at its acknowledged position, and at `start` where nothing
    /// was acknowledged; without one, at `start`.
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that the stream has or that is named twice,
    /// [`Error::Transport`], temporary ones after they were tried again for
    /// [`retry_for`](TtConfig::retry_for), [`Error::Closed`]. No channel was added then.
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
        self.add(subscription, channels, start, TickSource::Written).await
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
        self.add(subscription, &[channel], start, ticks).await
    }

    async fn add(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
        ticks: TickSource,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        if let Some(twice) =
            channels.iter().find(|c| self.merge.slot(c).is_some() || !names.insert(**c))
        {
            let reason = format!("channel `{twice}` is there already; a stream has it once");
            return Err(Error::Config { reason });
        }
        let channels = channels.iter().map(|channel| (*channel, Begin::CursorOr(start)));
        let opened = open(&*self.transport, subscription, self.config.retry_for, channels).await?;
        for opened in opened {
            self.attach(opened, ticks)?;
        }
        Ok(())
    }

    /// Takes a channel out: the next pack has nothing of it. Gives a checkpoint of this one
    /// channel, from which another stream can go on.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Closed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Checkpoint> {
        self.not_closed("remove_channel")?;
        let slot = self.slot(channel)?;
        self.inputs[slot.index()] = None;
        self.parked.retain(|parked| *parked != slot);
        self.recheck = true;
        Ok(self.merge.remove(slot))
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
    /// [`retry_for`](TtConfig::retry_for). [`Error::NoChannels`] for a checkpoint without
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
        let marks = checkpoint.channels.iter().map(|(name, mark)| (&**name, Begin::Mark(mark)));
        let retry_for = self.config.retry_for;
        let opened = open(&*self.transport, subscription, retry_for, marks).await?;
        self.merge = Merge::resume(self.config.merge()?, checkpoint.clone())?;
        self.inputs.clear();
        self.parked.clear();
        self.reads = Reads::default();
        for opened in opened {
            let source = ticks(&opened.channel);
            self.attach(opened, source)?;
        }
        Ok(())
    }

    fn attach(&mut self, opened: Opened, ticks: TickSource) -> Result<()> {
        let Opened { channel, reader, cursor } = opened;
        let slot = self.merge.add(channel, ticks)?;
        self.merge.set_incarnation(slot, reader.incarnation());
        self.generation += 1;
        let input = Input {
            generation: self.generation,
            reader: Some(reader),
            tries: Tries::new(),
            cursor,
            acked: None,
            back_to: None,
            discard: false,
            refused: None,
            silent_since: None,
            heard: Instant::now(),
        };
        self.inputs.resize_with(self.inputs.len().max(slot.index() + 1), || None);
        self.inputs[slot.index()] = Some(input);
        self.parked.push(slot);
        self.recheck = true;
        Ok(())
    }

    /// Starts the stream. Starting twice is harmless.
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Closed`].
    pub fn start(&mut self) -> Result<()> {
        self.not_closed("start")?;
        if self.inputs.iter().all(Option::is_none) {
            return Err(Error::NoChannels { operation: "start", create: "create_consumers" });
        }
        self.state = State::Started;
        self.last_pack = Instant::now();
        Ok(())
    }

    /// The next pack; `None` once every channel has ended and all of it was handed out.
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`],
    /// [`Error::TooManyProducers`], [`Error::SpanTooLong`], and [`Error::Transport`] of one
    /// channel: one that time can't mend at once, a temporary one after it was tried again for
    /// [`retry_for`](TtConfig::retry_for) while the other channels were read. Until then
    /// [`status`](Self::status) tells of it, and the log has a warning.
    ///
    /// Nothing is lost: the next call tries again, with success after
    /// [`set_late`](Self::set_late), [`ignore_tick`](Self::ignore_tick),
    /// [`set_budget`](Self::set_budget), [`set_producers`](Self::set_producers) or
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
        let pack = self.drive().await?;
        if pack.is_some() {
            (self.recheck, self.warned) = (true, false);
            self.last_pack = Instant::now();
        }
        Ok(pack)
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
    pub fn status(&self) -> TtStatus {
        let merge = self.merge.status();
        let silent = |channel: &str| Some(self.input_of(channel)?.heard.elapsed());
        let blocking = merge
            .blocking()
            .filter_map(|c| Some((c.channel.clone(), silent(&c.channel)?)))
            .collect();
        let outage = |channel: &Arc<str>| self.input_of(channel)?.tries.outage(channel);
        let outages = merge.channels.iter().filter_map(|c| outage(&c.channel)).collect();
        TtStatus { merge, blocking, outages, since_pack: self.last_pack.elapsed() }
    }

    /// What is read and not handed out, in bytes. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.merge.buffered_bytes()
    }

    /// Where the stream stands after the last pack.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.merge.checkpoint()
    }

    /// Moves the subscriptions' cursors to a checkpoint, which must be durable by then: what is
    /// before it may be deleted. Channels of the checkpoint that the stream no longer has are
    /// passed over. A cursor alone gives at-least-once.
    ///
    /// # Errors
    /// [`Error::NoSubscription`], [`Error::Closed`], and [`Error::Transport`], temporary ones after
    /// they were tried again for [`retry_for`](TtConfig::retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call some of the cursors have moved.
    pub async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.not_closed("ack")?;
        let retry_for = self.config.retry_for;
        let mut acks = Vec::new();
        for (channel, mark) in &checkpoint.channels {
            let Some(slot) = self.merge.slot(channel) else { continue };
            let Some(input) = &self.inputs[slot.index()] else { continue };
            let none = || Error::NoSubscription { channel: channel.to_string() };
            let (cursor, mut before) = (input.cursor.clone().ok_or_else(none)?, mark.resume);
            if planted(Bug::AckPastResume) {
                before = mark.cut.unwrap_or(before);
            }
            if input.acked < Some(before) {
                let ack = async move {
                    let acked = ride_out(retry_for, channel, || cursor.ack(before)).await;
                    (slot, before, acked)
                };
                acks.push(ack.boxed());
            }
        }
        let mut acks = futures::stream::iter(acks).buffer_unordered(AT_A_TIME);
        while let Some((slot, before, acked)) = acks.next().await {
            acked?;
            if let Some(input) = &mut self.inputs[slot.index()] {
                input.acked = Some(before);
            }
        }
        Ok(())
    }

    /// Whether the stream has the channel, with a subscription.
    pub(crate) fn has_cursor(&self, channel: &str) -> bool {
        self.input_of(channel).is_some_and(|input| input.cursor.is_some())
    }

    /// `None` after the close, too.
    fn input_of(&self, channel: &str) -> Option<&Input> {
        self.inputs.get(self.merge.slot(channel)?.index())?.as_ref()
    }

    /// Ends the stream. Closing twice is harmless. The transport stays open.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.inputs.clear();
        self.parked.clear();
        self.reads = Reads::default();
    }

    fn slot(&self, channel: &str) -> Result<Slot> {
        self.merge.slot(channel).ok_or_else(|| Error::NotConsumed { channel: channel.to_owned() })
    }

    fn not_closed(&self, operation: &'static str) -> Result<()> {
        if self.state == State::Closed { Err(Error::Closed { operation }) } else { Ok(()) }
    }
}
