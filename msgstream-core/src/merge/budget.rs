//! How much of each channel may be read ahead.
//!
//! A quarter of the budget is a reserve for channels that hold the frontier; the rest is divided
//! into equal shares. A channel ahead of the frontier gets its share and no more. One that holds
//! the frontier gets more if there is room. If there is none, records that others have read ahead
//! are evicted and read again later.

use super::channel::{Channel, Standing, Tick};
use super::{Merge, Slot};
use crate::error::{Error, Result};
use crate::record::{Record, Timestamp};
use crate::transport::Start;

#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    channels: usize,
    /// The bytes that are buffered or may come with reads in flight.
    held: usize,
    /// The bytes that reads in flight may bring.
    granted: usize,
    /// The part of that which becomes free again: idle channels are read all the time.
    lent: usize,
    /// The bytes that are left of all shares.
    unspent: usize,
    /// A channel that holds the frontier was refused: nothing is read ahead until the next pack.
    starving: bool,
}

/// The part of one channel in the [`Budget`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    held: usize,
    granted: usize,
    lent: usize,
    unspent: usize,
    /// Its records were evicted; it waits for the frontier.
    evicted: bool,
}

impl Budget {
    pub(super) const fn new(total: usize) -> Self {
        Self { total, channels: 0, held: 0, granted: 0, lent: 0, unspent: 0, starving: false }
    }

    fn share(&self) -> usize {
        (self.total - self.total / 4) / self.channels.max(1)
    }

    /// Returns the least number of bytes that is worth a read.
    fn least(&self) -> usize {
        (self.share() / 8).clamp(Record::OVERHEAD, 4096)
    }

    /// Updates the counts of a channel.
    pub(super) fn settle(&mut self, channel: &mut Channel) {
        let held = channel.used() + channel.granted;
        let open = channel.standing != Standing::Ended;
        let now = Account {
            held,
            granted: channel.granted,
            lent: if channel.standing == Standing::Idle { 0 } else { channel.granted },
            unspent: if open { self.share().saturating_sub(held) } else { 0 },
            evicted: channel.account.evicted,
        };
        let old = std::mem::replace(&mut channel.account, now);
        self.held = self.held - old.held + now.held;
        self.granted = self.granted - old.granted + now.granted;
        self.lent = self.lent - old.lent + now.lent;
        self.unspent = self.unspent - old.unspent + now.unspent;
    }

    /// Updates the counts of all channels after their number changed.
    pub(super) fn resize<'a>(&mut self, channels: impl Iterator<Item = &'a mut Channel>) {
        let channels: Vec<_> = channels.collect();
        *self = Self { starving: self.starving, ..Self::new(self.total) };
        self.channels = channels.iter().filter(|c| c.standing != Standing::Ended).count();
        for channel in channels {
            channel.account = Account { evicted: channel.account.evicted, ..Account::default() };
            self.settle(channel);
        }
    }

    const fn free(&self) -> usize {
        self.total.saturating_sub(self.held)
    }
}

/// A channel whose records were evicted for lack of memory. Its reader must go back, and what it
/// reads meanwhile must not be pushed.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// The channel.
    pub slot: Slot,
    /// Where reading continues.
    pub from: Start,
}

impl Merge {
    /// Returns whether a channel holds back the next pack. While nothing is known of the next pack,
    /// every channel does.
    #[must_use]
    pub fn blocks(&self, slot: Slot) -> bool {
        self.channel(slot).is_some_and(|c| self.blocks_next(c))
    }

    pub(super) fn blocks_next(&self, channel: &Channel) -> bool {
        channel.standing == Standing::Active
            && self.boundaries.first().is_none_or(|end| channel.watermark < Some(end))
    }

    /// Returns how much of a channel may be read now, in bytes of [`Record::footprint`]; 0 if
    /// paused.
    #[must_use]
    pub fn wants(&self, slot: Slot) -> usize {
        let Some(channel) = self.channel(slot) else { return 0 };
        if channel.standing == Standing::Ended || channel.granted > 0 {
            return 0;
        }
        let budget = &self.budget;
        let own = channel.account.unspent;
        if channel.standing == Standing::Idle {
            // Its next record makes it hold the frontier, and if no pack may come before that,
            // nothing else makes room for it: it gets the least, whatever others hold. More would
            // be taken from those that packs wait for.
            return budget.least();
        }
        let room = match (self.blocks_next(channel), budget.starving) {
            (true, true) => budget.free() / 2,
            (true, false) if own >= budget.least() => own,
            (true, false) => budget.free().saturating_sub(budget.unspent) / 4,
            (false, true) => 0,
            (false, false) if channel.account.evicted => 0,
            (false, false) => own,
        };
        let room = room.min(budget.free());
        if room < budget.least() { 0 } else { room }
    }

    /// Reserves what [`Merge::wants`] allows, and returns it: the bytes to read. 0 is no read.
    pub fn reserve(&mut self, slot: Slot) -> usize {
        let bytes = self.wants(slot);
        let paused = |c: &Channel| c.standing != Standing::Ended && !self.blocks_next(c);
        if bytes == 0 && self.channel(slot).is_some_and(paused) {
            self.counts.paused += 1;
        }
        if let Some(channel) =
            self.slots.get_mut(slot.0).and_then(Option::as_mut).filter(|_| bytes > 0)
        {
            channel.granted = bytes;
            channel.account.evicted = false;
            self.budget.settle(channel);
        }
        bytes
    }

    /// Ends a reservation: the read is done, and its records are pushed next.
    pub fn release(&mut self, slot: Slot) {
        let Self { slots, budget, .. } = self;
        if let Some(channel) = slots.get_mut(slot.0).and_then(Option::as_mut) {
            channel.granted = 0;
            budget.settle(channel);
        }
    }

    /// Makes room for a channel that holds the frontier and has none. If an eviction is returned,
    /// the driver moves that channel's reader back and asks again. If none is, there is room now,
    /// or there will be when reads in flight are done.
    ///
    /// # Errors
    /// [`Error::WindowTooLarge`] if the next pack needs more than the budget has left, with
    /// everything evicted that can be: not what channels hold that have ended, nor what idle ones
    /// hold after their last tick. Nothing is lost: after [`Merge::set_budget_bytes`] the merge
    /// continues.
    pub fn relieve(&mut self, slot: Slot) -> Result<Option<Eviction>> {
        if !self.blocks(slot) || self.wants(slot) > 0 {
            return Ok(None);
        }
        self.budget.starving = true;
        if self.wants(slot) > 0 {
            return Ok(None);
        }
        if let Some(eviction) = self.evict() {
            return Ok(Some(eviction));
        }
        if self.budget.lent > 0 {
            return Ok(None);
        }
        self.counts.refused_windows += 1;
        Err(Error::WindowTooLarge {
            begin: self.end.frontier,
            channel: self.name(slot).map(|name| name.to_string()).unwrap_or_default(),
            buffered: self.buffered_bytes(),
            budget: self.budget.total,
        })
    }

    /// Returns the buffered bytes. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.budget.held - self.budget.granted
    }

    /// Sets the budget, in bytes; 0 counts as 1.
    pub fn set_budget_bytes(&mut self, bytes: usize) {
        let bytes = bytes.max(1);
        self.config.budget_bytes = bytes;
        self.budget.total = bytes;
        self.budget.starving = false;
        self.budget.resize(self.slots.iter_mut().flatten());
    }

    /// Allows reading ahead again after a pack was formed.
    pub(super) const fn fed(&mut self) {
        self.budget.starving = false;
    }

    /// Evicts what the largest of the channels ahead of the frontier holds after the next pack: what
    /// follows a tick, or if none holds any of that, what stands before the tick.
    fn evict(&mut self) -> Option<Eviction> {
        let end = self.boundaries.first()?;
        let after = |channel: &Channel, cut: &Tick| channel.bytes_after(cut);
        let before = |channel: &Channel, _: &Tick| channel.bytes_beyond(end);
        let largest = self.largest(end, after).map(|(slot, cut)| (slot, cut, false));
        let (slot, cut, early) =
            largest.or_else(|| self.largest(end, before).map(|(slot, cut)| (slot, cut, true)))?;
        let frontier = self.end.frontier;
        let channel = self.slots[slot].as_mut()?;
        if channel.standing == Standing::Idle {
            // It is no longer caught up.
            channel.standing = Standing::Active;
            self.retouch.push(slot);
        } else {
            self.watermarks.remove(channel.watermark);
        }
        let (forgotten, from) = channel.give_up(cut, end, early, frontier);
        for tick in forgotten {
            let boundary = self.config.boundary(tick.ts);
            if Some(boundary) > frontier {
                self.boundaries.remove(boundary);
            }
        }
        self.watermarks.add(channel.watermark);
        channel.account.evicted = true;
        self.budget.settle(channel);
        self.late.retain(|late| late.0.1 != slot || late.0.2.seq <= cut.seq);
        self.counts.evictions += 1;
        self.counts.evicted_before_ticks += u64::from(early);
        self.queue_event(slot);
        Some(Eviction { slot: Slot(slot), from })
    }

    /// Returns the channel ahead of the frontier that would free most, and its first tick at or
    /// after the end of the next pack.
    fn largest(
        &self,
        end: Timestamp,
        freed: impl Fn(&Channel, &Tick) -> usize,
    ) -> Option<(usize, Tick)> {
        let channels = self.slots.iter().enumerate();
        channels
            .filter_map(|(slot, channel)| Some((slot, channel.as_ref()?)))
            .filter(|(_, c)| c.standing != Standing::Ended && !self.blocks_next(c))
            .filter_map(|(slot, c)| {
                let cut = *c.ticks.iter().find(|tick| tick.ts >= end)?;
                let freed = freed(c, &cut);
                (freed > 0).then_some((freed, slot, cut))
            })
            .max_by_key(|(freed, ..)| *freed)
            .map(|(_, slot, cut)| (slot, cut))
    }

    /// Returns the greatest watermark, for [`Merge::status`].
    pub(super) fn greatest_watermark(&self) -> Option<Timestamp> {
        self.slots.iter().flatten().filter_map(|c| c.watermark).max()
    }
}
