//! [`TtMsgStream`]: the time-tick merge over any transport.

mod config;
mod drive;
mod input;
mod status;

use std::sync::Arc;

use tokio::time::Instant;

pub use self::config::TtConfig;
use self::input::{Input, Reads};
pub use self::status::TtStatus;
use super::merge::{Merge, Slot};
use super::{LatePolicy, TickSource};
use crate::checkpoint::{Checkpoint, Mark};
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::stream::open_consumer;
use crate::transport::{ChannelReader, Position, Start, Subscription, Transport};

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
    /// [`Error::Config`] for a channel that the stream has, [`Error::Transport`],
    /// [`Error::Closed`]. Channels before the one that failed were added.
    ///
    /// # Cancel safety
    /// After a cancelled call some of the channels were added.
    pub async fn create_consumers(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<()> {
        for channel in channels {
            self.add_channel(subscription, channel, start, TickSource::Written).await?;
        }
        Ok(())
    }

    /// Adds a channel, before the start or while the stream runs: from the next pack on, packs
    /// hold its messages. Those at or before the last pack's end belong to none; they are counted
    /// as "before join".
    ///
    /// # Errors
    /// As [`TtMsgStream::create_consumers`].
    ///
    /// # Cancel safety
    /// After a cancelled call the channel was not added.
    pub async fn add_channel(
        &mut self,
        subscription: Option<&str>,
        channel: &str,
        start: Start,
        ticks: TickSource,
    ) -> Result<()> {
        self.not_closed("add_channel")?;
        if self.merge.slot(channel).is_some() {
            let reason = format!("the stream has channel `{channel}` already");
            return Err(Error::Config { reason });
        }
        let (reader, cursor) =
            open_consumer(&*self.transport, channel, subscription, start).await?;
        self.attach(channel.into(), ticks, reader, cursor)
    }

    /// Takes a channel out: the next pack has nothing of it. Gives where it stood.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Closed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Option<Mark>> {
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
    /// records are gone; [`Error::Closed`]. The stream is where it was then.
    ///
    /// # Cancel safety
    /// After a cancelled call the stream is where it was.
    pub async fn resume(
        &mut self,
        subscription: Option<&str>,
        checkpoint: &Checkpoint,
        ticks: impl Fn(&str) -> TickSource,
    ) -> Result<()> {
        self.not_closed("resume")?;
        let mut opened = Vec::new();
        for (channel, mark) in &checkpoint.channels {
            let start = Start::At(mark.resume);
            let cursor = match subscription {
                Some(name) => Some(self.transport.subscription(channel, name).await?),
                None => None,
            };
            let reader = self.transport.reader(channel, start, mark.incarnation).await?;
            opened.push((channel.clone(), reader, cursor));
        }
        self.merge = Merge::resume(self.config.merge()?, checkpoint.clone())?;
        self.inputs.clear();
        self.parked.clear();
        self.reads = Reads::default();
        for (channel, reader, cursor) in opened {
            let source = ticks(&channel);
            self.attach(channel, source, reader, cursor)?;
        }
        Ok(())
    }

    fn attach(
        &mut self,
        channel: Arc<str>,
        ticks: TickSource,
        reader: Box<dyn ChannelReader>,
        subscription: Option<Arc<dyn Subscription>>,
    ) -> Result<()> {
        let slot = self.merge.add(channel, ticks)?;
        self.merge.set_incarnation(slot, reader.incarnation());
        self.generation += 1;
        let input = Input {
            generation: self.generation,
            reader: Some(reader),
            subscription,
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
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`], and
    /// [`Error::Transport`] of one channel. Nothing is lost: the next call tries again, after
    /// [`set_late`](Self::set_late), [`ignore_tick`](Self::ignore_tick) or
    /// [`set_budget`](Self::set_budget) with success. [`Error::NotStarted`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
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
    pub fn packs(&mut self) -> impl futures::Stream<Item = Result<MsgPack>> + '_ {
        futures::stream::try_unfold(self, async |stream| {
            Ok(stream.consume().await?.map(|pack| (pack, stream)))
        })
    }

    /// What the stream is doing. Costs O(channels).
    #[must_use]
    pub fn status(&self) -> TtStatus {
        let merge = self.merge.status();
        let silent = |channel: &str| {
            let input = self.inputs[self.merge.slot(channel)?.index()].as_ref()?;
            Some(input.heard.elapsed())
        };
        let blocking = merge
            .blocking()
            .filter_map(|c| Some((c.channel.clone(), silent(&c.channel)?)))
            .collect();
        TtStatus { merge, blocking, since_pack: self.last_pack.elapsed() }
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
    /// before it may be deleted. A cursor alone gives at-least-once.
    ///
    /// # Errors
    /// [`Error::NoSubscription`], [`Error::NotConsumed`], [`Error::Transport`],
    /// [`Error::Closed`].
    ///
    /// # Cancel safety
    /// After a cancelled call some of the cursors have moved.
    pub async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.not_closed("ack")?;
        for (channel, mark) in &checkpoint.channels {
            let input = self.inputs[self.slot(channel)?.index()].as_ref();
            let cursor = input.and_then(|input| input.subscription.as_ref());
            let none = || Error::NoSubscription { channel: channel.to_string() };
            cursor.ok_or_else(none)?.ack(mark.resume).await?;
        }
        Ok(())
    }

    /// Sets what happens to late records, after [`Error::Late`].
    pub fn set_late(&mut self, late: LatePolicy) {
        self.config.late = late;
        self.merge.set_late(late);
    }

    /// Changes the memory budget, in bytes, after [`Error::WindowTooLarge`].
    pub fn set_budget(&mut self, bytes: usize) {
        self.config.budget = bytes;
        self.merge.set_budget(bytes);
        self.recheck = true;
    }

    /// Repairs a channel after [`Error::TickTooFar`]: the tick at this position does nothing. A
    /// stream that resumes from before it must be told again.
    ///
    /// # Errors
    /// [`Error::NotConsumed`].
    pub fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        let slot = self.slot(channel)?;
        self.merge.ignore_tick(slot, position);
        Ok(())
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
