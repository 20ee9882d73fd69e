//! The rules by which packs are formed from many channels: the time-tick merge.
//!
//! Each channel is a log of records and time ticks. A tick `t` promises that nothing at or before
//! `t` follows on that channel; a channel's greatest tick so far is its *watermark*. The packs are
//! a function of the channels' contents alone, whatever the order in which channels are read:
//!
//! - Packs end at the ticks of all channels together, one after the other; with `align_to`, at
//!   multiples of that interval. A pack that ends at `T` is formed once every channel's watermark
//!   is `T` or later. An empty pack is progress, too. The end of the last pack is the *frontier*.
//! - A record counts at its own time, or just after its channel's watermark if it is late: that
//!   time is its `eff`. The pack `(F, T]` holds the records with `F < eff <= T`, ordered by (`eff`,
//!   channel name, position).
//!
//! A channel that is silent holds packs back, unless channels may be
//! [idle](crate::consume::ConsumerBuilder::idle_after): then packs continue without it. A tick
//! costs O(log channels). A record costs O(1) amortised if a channel's times are nearly sorted,
//! O(log n) if they aren't.
//!
//! ```
//! # use std::sync::Arc;
//! use msgstream_core::{Consumer, Producer, Timestamp};
//! # use msgstream_core::message::TimeSyncMsg;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
//! # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
//! # let order = |ts, channel: u32| TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([channel]);
//! let channels = ["orders-0", "orders-1"];
//! let mut producer =
//!     Producer::builder(broker.clone()).channels(channels).create_missing().open().await?;
//! producer.send(order(3, 0)).await?;
//! producer.send(order(2, 1)).await?;
//! producer.tick(Timestamp(5)).await?;
//!
//! let mut packs = Consumer::builder(broker).channels(channels).open().await?;
//! let pack = packs.next_pack().await?.expect("both channels have ticked");
//! assert_eq!(pack.end_ts, Timestamp(5));
//! let orders: Vec<_> = pack.msgs.iter().map(|m| (m.end_ts().0, m.channel())).collect();
//! assert_eq!(orders, [(2, Some("orders-1")), (3, Some("orders-0"))]);
//! # Ok(()) }
//! ```

mod admit;
mod again;
mod budget;
mod channel;
mod chunks;
mod config;
mod early;
mod gather;
mod intake;
mod mark;
mod membership;
mod multiset;
mod status;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

pub use self::budget::Eviction;
pub use self::config::{LatePolicy, MergeConfig, TickSource};
pub use self::status::{ChannelState, ChannelStatus, MergeCounts, MergeStatus};

use self::budget::Budget;
use self::channel::Channel;
use self::gather::Gather;
use self::multiset::Multiset;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::message::{Message, MsgPack, StoredMessage};
use crate::planted::{Bug, planted};
use crate::record::{MsgType, Timestamp};

// The engine is public for the tests, examples and benchmarks of this repository. It is not part of
// the API, and may change in any release.

/// A channel's number in a [`Merge`], from [`Merge::add`] until [`Merge::remove`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(usize);

impl Slot {
    /// Returns the number, which is small and dense, so that it can be an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// The merge: a pure state machine, with no I/O and no clock. See the [module](self) for its rules.
///
/// ```
/// use msgstream_core::merge::{Merge, MergeConfig, TickSource};
/// use msgstream_core::record::{Meta, Position, Record};
/// use msgstream_core::{MsgType, Timestamp};
///
/// let mut merge = Merge::new(MergeConfig::default())?;
/// let slot = merge.add("orders".into(), TickSource::Written)?;
/// let record = |n, msg_type, ts| {
///     let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), vec![]);
///     record.position = Position::new(n);
///     record
/// };
/// let mut batch = vec![record(0, MsgType::INSERT, 3), record(1, MsgType::TIME_TICK, 5)];
/// merge.push(slot, &mut batch, Position::new(2))?;
/// let pack = merge.advance()?.expect("the only channel ticked");
/// assert_eq!((pack.end_ts, pack.msgs.len()), (Timestamp(5), 1));
/// # Ok::<(), msgstream_core::Error>(())
/// ```
#[doc(hidden)]
#[derive(Debug)]
pub struct Merge {
    config: MergeConfig,
    /// The checkpoint after the last pack.
    end: Checkpoint,
    slots: Vec<Option<Channel>>,
    names: HashMap<Arc<str>, Slot>,
    /// The ends of packs to come, one for each tick above the frontier.
    boundaries: Multiset<Timestamp>,
    /// The watermarks of the channels that hold the frontier.
    watermarks: Multiset<Option<Timestamp>>,
    /// For each channel that has something, the earliest time at which a pack concerns it.
    events: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Channels whose mark changes with the next pack in any case.
    retouch: Vec<usize>,
    /// Late records of the next packs, under [`LatePolicy::Error`].
    late: BinaryHeap<Reverse<(Timestamp, usize, channel::Key)>>,
    tick_limit: Timestamp,
    budget: Budget,
    counts: MergeCounts,
    touched: Vec<usize>,
}

impl Merge {
    /// Creates a merge without channels, before its first pack.
    ///
    /// # Errors
    /// [`Error::Config`] for an interval or a budget of 0.
    pub fn new(config: MergeConfig) -> Result<Self> {
        Self::resume(config, Checkpoint::default())
    }

    /// Creates a merge that continues after a pack. Each channel of the checkpoint must be added
    /// and read from its mark's `resume`. A channel that the checkpoint doesn't have joins at the
    /// frontier.
    ///
    /// # Errors
    /// As [`Merge::new`].
    pub fn resume(config: MergeConfig, checkpoint: Checkpoint) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            end: checkpoint,
            slots: Vec::new(),
            names: HashMap::new(),
            boundaries: Multiset::new(),
            watermarks: Multiset::new(),
            events: BinaryHeap::new(),
            retouch: Vec::new(),
            late: BinaryHeap::new(),
            tick_limit: Timestamp(u64::MAX - 1),
            budget: Budget::new(config.budget_bytes),
            counts: MergeCounts::default(),
            touched: Vec::new(),
        })
    }

    /// Returns the end of the last pack, `None` before the first.
    #[must_use]
    pub const fn frontier(&self) -> Option<Timestamp> {
        self.end.frontier
    }

    /// Returns the checkpoint after the last pack. Cheap: checkpoints share what didn't change.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.end.clone()
    }

    /// Returns the end of the next pack, as far as it is known.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.boundaries.first()
    }

    /// Returns whether the next pack can be formed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let Some(end) = self.boundaries.first() else { return false };
        self.watermarks
            .first()
            .is_none_or(|watermark| watermark.is_some_and(|watermark| watermark >= end))
    }

    /// Forms the next pack, if every channel that holds the frontier has ticked that far.
    ///
    /// # Errors
    /// [`Error::Late`] if the pack has a late record and the policy is [`LatePolicy::Error`];
    /// [`Error::SpanTooLong`] if the checkpoint after the pack would hold back more records of a
    /// channel than [`MergeConfig::max_span`]. Nothing is lost: the error repeats until
    /// [`Merge::set_late_policy`] or [`Merge::set_max_span`] changes that.
    pub fn advance(&mut self) -> Result<Option<MsgPack>> {
        let Some(mut end) = self.boundaries.first().filter(|_| self.is_ready()) else {
            return Ok(None);
        };
        if let (Some(Some(least)), true) =
            (self.watermarks.first(), planted(Bug::CutAtLeastWatermark))
        {
            end = end.max(self.config.boundary(least));
            while self.boundaries.first() < Some(end) {
                self.boundaries.remove_first();
            }
        }
        self.refuse_late(end)?;
        self.touch(end);
        self.refuse_long_spans(end)?;
        self.boundaries.remove_first();

        let msgs = self.take_msgs(end);
        let start = self.end.clone();
        self.end.frontier = Some(end);
        self.settle_touched(end);
        let (begin_ts, end_ts) = (start.frontier, end);
        Ok(Some(MsgPack { begin_ts, end_ts, msgs, start, end: self.end.clone() }))
    }

    /// Collects the channels that a pack concerns, sorted by name.
    fn touch(&mut self, end: Timestamp) {
        self.touched.clear();
        let mut due = std::mem::take(&mut self.retouch);
        while let Some(Reverse((at, slot))) = self.events.peek().copied().filter(|e| e.0.0 <= end) {
            self.events.pop();
            // An eviction made entries obsolete that the channel no longer has.
            if let Some(channel) = self.slots[slot].as_mut().filter(|c| c.event == Some(at)) {
                channel.event = None;
                due.push(slot);
            }
        }
        for slot in due.drain(..) {
            if let Some(channel) = self.slots[slot].as_mut().filter(|c| !c.touched) {
                channel.touched = true;
                self.touched.push(slot);
            }
        }
        self.retouch = due;
        let slots = &self.slots;
        let name = |slot: &usize| slots[*slot].as_ref().map(|c| &*c.name);
        self.touched.sort_unstable_by(|a, b| name(a).cmp(&name(b)));
    }

    /// Takes the messages of a pack, in its order.
    fn take_msgs(&mut self, end: Timestamp) -> Vec<Message> {
        let ready = |slot: &usize| self.slots[*slot].as_ref().map_or(0, |c| c.ready(end));
        let mut msgs = Gather::with_capacity(self.touched.iter().map(ready).sum());
        // Channels come by name, so equal times stay in the order of names.
        for &slot in &self.touched {
            let Some(channel) = &mut self.slots[slot] else { continue };
            while let Some((eff, record)) = channel.take_until(end) {
                let late =
                    eff > record.meta.timestamp && record.meta.msg_type != MsgType::UNREADABLE;
                self.counts.late += u64::from(late);
                if late && self.config.late_policy == LatePolicy::Drop {
                    self.counts.dropped_late += 1;
                    continue;
                }
                self.counts.delivered += 1;
                let channel = channel.name.clone();
                msgs.push(eff, Message::Stored(StoredMessage { channel, record, late }));
            }
        }
        self.counts.packs += 1;
        msgs.sorted()
    }

    /// Advances the marks of the touched channels to the end of a pack.
    fn settle_touched(&mut self, end: Timestamp) {
        for slot in std::mem::take(&mut self.touched) {
            let Some(channel) = &mut self.slots[slot] else { continue };
            channel.touched = false;
            channel.cut_at(end);
            if channel.cut.is_some_and(|cut| cut.ts == end) {
                self.retouch.push(slot);
            }
            if let Some(mark) = channel.mark(end) {
                self.end.channels.insert(channel.name.clone(), mark);
            }
            self.budget.settle(channel);
            self.queue_event(slot);
        }
        self.fed();
    }

    fn channel(&self, slot: Slot) -> Option<&Channel> {
        self.slots.get(slot.0)?.as_ref()
    }

    fn channel_mut(&mut self, slot: Slot) -> Option<&mut Channel> {
        self.slots.get_mut(slot.0)?.as_mut()
    }

    fn queue_event(&mut self, slot: usize) {
        let Some(channel) = &mut self.slots[slot] else { return };
        let event = channel.next_event();
        if event != channel.event {
            channel.event = event;
            self.events.extend(event.map(|at| Reverse((at, slot))));
        }
    }

    fn refuse_late(&self, end: Timestamp) -> Result<()> {
        let Some(Reverse((_, slot, key))) = self.late.peek().filter(|late| late.0.0 <= end) else {
            return Ok(());
        };
        let Some(channel) = &self.slots[*slot] else { return Ok(()) };
        let Some(record) = channel.chunks.get(key.seq) else { return Ok(()) };
        Err(Error::Late {
            channel: channel.name.to_string(),
            position: record.position,
            ts: record.meta.timestamp,
            // A late record counts just after the watermark before it.
            watermark: Timestamp(key.eff.0.saturating_sub(1)),
        })
    }

    /// Sets how late records are handled, including those that were read already. Going back to
    /// [`LatePolicy::Error`] applies to records that are read from then on.
    pub fn set_late_policy(&mut self, late: LatePolicy) {
        self.config.late_policy = late;
        if late != LatePolicy::Error {
            self.late.clear();
        }
    }
}
