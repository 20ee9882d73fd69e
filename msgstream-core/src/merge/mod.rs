//! The time-tick merge: a pure state machine, with no I/O and no clock.
//!
//! Many channels come in, each one a log of records and time ticks; packs come out. A tick `t` on
//! a channel promises that nothing at or before `t` follows there. The packs are a function of
//! the channels' contents alone, whatever the order in which channels are read:
//!
//! - Packs end at the ticks of all channels together, one after the other; a pack that ends at `T`
//!   is formed once every channel has ticked at `T` or later. An empty pack is progress, too.
//! - A record counts at `eff`: its own time, or just after its channel's greatest tick before it
//!   where it is late. The pack `(F, T]` holds the records with `F < eff <= T`, in the order of
//!   (`eff`, channel name, position).
//!
//! A tick costs O(log channels). A record costs O(1) amortised where a channel's times are
//! nearly sorted, O(log n) where they are not.
//!
//! ```
//! use msgstream_core::merge::{Merge, MergeConfig};
//! use msgstream_core::merge::TickSource;
//! use msgstream_core::record::{Meta, Position, Record};
//! use msgstream_core::{MsgType, Timestamp};
//!
//! let mut merge = Merge::new(MergeConfig::default())?;
//! let slot = merge.add("orders".into(), TickSource::Written)?;
//! let record = |n, msg_type, ts| {
//!     let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), vec![]);
//!     record.position = Position::new(n);
//!     record
//! };
//! let mut batch = vec![record(0, MsgType::INSERT, 3), record(1, MsgType::TIME_TICK, 5)];
//! merge.push(slot, &mut batch, Position::new(2))?;
//! let pack = merge.advance()?.expect("the only channel ticked");
//! assert_eq!((pack.end_ts, pack.msgs.len()), (Timestamp(5), 1));
//! # Ok::<(), msgstream_core::Error>(())
//! ```

mod admit;
mod budget;
mod channel;
mod chunks;
mod config;
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

/// A channel's number in a [`Merge`], from [`Merge::add`] until [`Merge::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(usize);

impl Slot {
    /// The number; small and dense, good for an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// The merge. See the [module](self) for its rules.
#[derive(Debug)]
pub struct Merge {
    config: MergeConfig,
    /// Where every channel stands after the last pack.
    end: Checkpoint,
    slots: Vec<Option<Channel>>,
    names: HashMap<Arc<str>, Slot>,
    /// The ends of packs to come, one for each tick above the frontier.
    boundaries: Multiset<Timestamp>,
    /// The watermarks of the channels that hold the frontier.
    watermarks: Multiset<Option<Timestamp>>,
    /// The time at which the next pack concerns a channel, for those that have something.
    events: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Channels whose place changes with the next pack whatever comes.
    retouch: Vec<usize>,
    /// Late records that the next packs hold, under [`LatePolicy::Error`].
    late: BinaryHeap<Reverse<(Timestamp, usize, channel::Key)>>,
    tick_limit: Timestamp,
    budget: Budget,
    counts: MergeCounts,
    touched: Vec<usize>,
}

impl Merge {
    /// A merge without channels, before its first pack.
    ///
    /// # Errors
    /// [`Error::Config`] for a interval or a budget of 0.
    pub fn new(config: MergeConfig) -> Result<Self> {
        Self::resume(config, Checkpoint::default())
    }

    /// A merge that goes on after a pack. Each channel of the checkpoint must be added and read
    /// from its mark's `resume`; a channel that the checkpoint doesn't have joins at the frontier.
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

    /// The end of the last pack, `None` before the first.
    #[must_use]
    pub const fn frontier(&self) -> Option<Timestamp> {
        self.end.frontier
    }

    /// Where every channel stands after the last pack. Cheap: it shares what didn't change.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.end.clone()
    }

    /// The end of the next pack, as far as is known.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.boundaries.first()
    }

    /// Whether the next pack can be formed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let Some(end) = self.boundaries.first() else { return false };
        self.watermarks
            .first()
            .is_none_or(|watermark| watermark.is_some_and(|watermark| watermark >= end))
    }

    /// Forms the next pack, where every channel that holds the frontier has got that far.
    ///
    /// # Errors
    /// [`Error::Late`] where the pack holds a late record and the policy is
    /// [`LatePolicy::Error`]; [`Error::SpanTooLong`] where the checkpoint after the pack would hold
    /// back more records of a channel than [`MergeConfig::max_span`]. Nothing is lost: the error
    /// comes again until [`Merge::set_late_policy`] or [`Merge::set_max_span`] changes that.
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
            // An entry that the channel doesn't know any more was overtaken by an eviction.
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

    /// Moves the messages of a pack out, in its order.
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

    /// Moves the touched channels' places on to the end of a pack.
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

    /// Sets what happens to late records, those that were read already included. Going back to
    /// [`LatePolicy::Error`] holds for those that are read from then on.
    pub fn set_late_policy(&mut self, late: LatePolicy) {
        self.config.late_policy = late;
        if late != LatePolicy::Error {
            self.late.clear();
        }
    }
}
