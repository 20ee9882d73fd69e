//! One channel of a merge: its buffered records and its ticks.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::TickSource;
use super::again::Again;
use super::budget::Account;
use super::chunks::{Chunks, Seq};
use super::early::Early;
use crate::checkpoint::Mark;
use crate::dedup::Dedup;
use crate::record::Timestamp;
use crate::record::{Incarnation, Position, Record};

/// A buffered record, in the order of packs. `eff` is its time, or just after its channel's
/// watermark if it was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) eff: Timestamp,
    pub(super) seq: Seq,
}

/// An accepted tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    pub(super) ts: Timestamp,
    pub(super) position: Position,
    pub(super) seq: Seq,
    pub(super) watermark_before: Option<Timestamp>,
    /// How many records of the channel were read up to and including it.
    pub(super) read: u64,
}

impl Tick {
    /// The bytes that a tick takes beside its record's slot, in the queues of its channel and among
    /// the boundaries: with the slot, as much as a record without a payload.
    const COST: usize = Record::OVERHEAD - size_of::<Record>();
}

/// Whether a channel holds the frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No pack ends after its watermark: it holds the frontier.
    Active,
    /// It is silent, and packs continue without it.
    Idle,
    /// Its end record was read.
    Ended,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    pub(super) source: TickSource,
    pub(super) standing: Standing,
    /// The greatest accepted tick.
    pub(super) watermark: Option<Timestamp>,
    /// The frontier when the channel joined; records at or before it belong to no pack.
    pub(super) joined: Option<Timestamp>,
    pub(super) chunks: Chunks,
    /// Records at or before the watermark, ready for packs.
    pub(super) sealed: VecDeque<Key>,
    /// Records since the last tick, as they came.
    pub(super) open: Vec<Key>,
    /// Whether `open` is in order, and the greatest time in it.
    open_sorted: bool,
    open_last: Option<Timestamp>,
    /// Records after the watermark that were read before the last tick.
    pub(super) early: Early,
    /// Accepted ticks that are not behind the frontier.
    pub(super) ticks: VecDeque<Tick>,
    /// The first tick at or after the frontier, as of the last pack.
    pub(super) cut: Option<Tick>,
    /// From which record on which watermark applied; the first one covers the first live record.
    pub(super) watermarks: VecDeque<(Seq, Option<Timestamp>)>,
    /// A record was kept while the last of them applied.
    watermark_used: bool,
    /// From a checkpoint, a watermark that applies once reading gets to a position.
    pub(super) raise_ahead: Option<(Position, Timestamp)>,
    /// The last record that isn't judged again: before the checkpoint, or before it was evicted.
    pub(super) replay_to: Option<Position>,
    /// What was evicted from before a tick.
    pub(super) again: Option<Again>,
    /// Decides which stamped records are accepted.
    pub(super) dedup: Dedup,
    /// How many records were read; evicted ones don't count until they are read again.
    pub(super) read: u64,
    /// `resume` of the last mark.
    pub(super) resume: Option<Position>,
    /// A record that was accepted by dedup and then refused: it comes again.
    pub(super) taken: Option<Position>,
    /// The greatest timestamp read, for ticks that are derived from the data.
    pub(super) greatest: Timestamp,
    /// The end of the pack with the channel's last records, once its end was read.
    pub(super) end_boundary: Option<Timestamp>,
    pub(super) last_read: Option<Position>,
    /// Where reading continues.
    pub(super) next: Option<Position>,
    pub(super) incarnation: Option<Incarnation>,
    pub(super) ignored_ticks: BTreeSet<Position>,
    /// The earliest time at which a pack concerns this channel, as it is queued in the merge.
    pub(super) event: Option<Timestamp>,
    pub(super) touched: bool,
    /// Bytes of live payloads and headers.
    pub(super) payload_bytes: usize,
    /// Bytes that a read in flight may bring.
    pub(super) granted: usize,
    pub(super) account: Account,
}

impl Channel {
    /// Creates a channel that joins, or that resumes at its mark of a checkpoint with this
    /// frontier.
    pub(super) fn new(
        name: Arc<str>,
        source: TickSource,
        mark: Option<&Mark>,
        frontier: Option<Timestamp>,
    ) -> Self {
        let mut watermark = mark.and_then(|m| m.watermark);
        let mut raise_ahead = mark.and_then(|m| m.raised).zip(frontier);
        if raise_ahead.take_if(|(at, _)| mark.is_some_and(|m| *at <= m.resume)).is_some() {
            watermark = watermark.max(frontier);
        }
        Self {
            name,
            source,
            standing: Standing::Active,
            watermark,
            joined: if mark.is_none() { frontier } else { None },
            chunks: Chunks::default(),
            sealed: VecDeque::new(),
            open: Vec::new(),
            open_sorted: true,
            open_last: None,
            early: Early::default(),
            ticks: VecDeque::new(),
            cut: None,
            watermarks: VecDeque::from([(Seq::FIRST, watermark)]),
            watermark_used: false,
            raise_ahead,
            replay_to: mark.and_then(|m| m.cut),
            again: None,
            dedup: mark
                .map(|m| Dedup::resume(m.producers.clone(), m.dropped.clone()))
                .unwrap_or_default(),
            read: 0,
            resume: mark.map(|m| m.resume),
            taken: None,
            greatest: Timestamp::MIN,
            end_boundary: None,
            last_read: None,
            next: mark.map(|m| m.resume),
            incarnation: mark.and_then(|m| m.incarnation),
            ignored_ticks: BTreeSet::new(),
            event: None,
            touched: false,
            payload_bytes: 0,
            granted: 0,
            account: Account::default(),
        }
    }

    /// Returns the bytes of the budget that the channel holds.
    pub(super) fn used(&self) -> usize {
        let ticks = match self.source {
            TickSource::Written => self.ticks.len(),
            // Each came with a message, which pays for it while it is live.
            TickSource::Synthetic { .. } => self.ticks.len().saturating_sub(self.chunks.live()),
        };
        self.payload_bytes + self.chunks.slot_bytes() + ticks * Tick::COST + self.dedup.bytes()
    }

    /// Returns the bytes that a live record takes beside its slot.
    pub(super) fn payload_cost(record: &Record) -> usize {
        record.footprint() - size_of::<Record>()
    }

    /// Returns the time at which a record counts: its own, or just after the watermark if it is
    /// late.
    pub(super) fn effective(&self, ts: Timestamp) -> Timestamp {
        self.watermark.map_or(ts, |watermark| ts.max(watermark.next()))
    }

    /// Returns whether the record at a position was judged before the checkpoint.
    pub(super) fn is_replay(&self, position: Position) -> bool {
        Some(position) <= self.replay_to
    }

    /// Returns whether the next record was judged before the checkpoint.
    pub(super) fn is_replaying(&self) -> bool {
        self.next <= self.replay_to
    }

    /// Returns whether a record that dedup accepted was refused and has not come again.
    pub(super) fn owes_refused(&self) -> bool {
        self.taken > self.last_read
    }

    pub(super) fn hold(&mut self, key: Key) {
        self.open_sorted &= self.open_last.is_none_or(|last| last <= key.eff);
        self.open_last = self.open_last.max(Some(key.eff));
        self.open.push(key);
        self.watermark_used = true;
    }

    /// Raises the watermark from a record on. The caller has checked that it rises.
    pub(super) fn raise_watermark(&mut self, from: Seq, watermark: Timestamp) {
        self.watermark = Some(watermark);
        self.cover(from, Some(watermark));
    }

    /// Notes the watermark that applies from a record on.
    pub(super) fn cover(&mut self, from: Seq, watermark: Option<Timestamp>) {
        if !self.watermark_used {
            self.watermarks.pop_back();
        }
        self.watermarks.push_back((from, watermark));
        self.watermark_used = false;
    }

    /// Returns the watermark that applied to a live record.
    pub(super) fn watermark_at(&self, seq: Seq) -> Option<Timestamp> {
        let applied = self.watermarks.partition_point(|(from, _)| *from <= seq);
        self.watermarks.get(applied.checked_sub(1)?)?.1
    }

    /// Applies a tick above the watermark. One that isn't above the frontier ends no pack. Costs
    /// O(1) amortised per record on sorted data.
    pub(super) fn tick(&mut self, tick: Tick, frontier: Option<Timestamp>) {
        if Some(tick.ts) > frontier {
            self.ticks.push_back(tick);
        }
        self.raise_watermark(tick.seq.next(), tick.ts);
        self.seal(tick.ts);
    }

    /// Moves the ticks of a batch of which no record is kept to just before the next record.
    pub(super) fn forget_batch(&mut self, began: Seq) {
        let ticks = self.ticks.iter_mut().rev().take_while(|tick| tick.seq >= began);
        for tick in ticks.chain(self.cut.as_mut().filter(|tick| tick.seq >= began)) {
            tick.seq = began.before();
        }
        if let Some((from, _)) = self.watermarks.back_mut().filter(|(from, _)| *from > began) {
            *from = began;
        }
    }

    /// Makes everything at or before a time ready for packs: nothing else at or before it follows.
    pub(super) fn seal(&mut self, upto: Timestamp) {
        let from = self.sealed.len();
        self.early.take_until(upto, |key| self.sealed.push_back(key));
        let from_early = self.sealed.len() - from;
        let sorted = self.open_sorted && from_early == 0;
        if self.open_last.is_none_or(|last| last <= upto) {
            self.sealed.extend(self.open.drain(..));
        } else {
            for key in self.open.drain(..) {
                if key.eff <= upto {
                    self.sealed.push_back(key);
                } else {
                    self.early.push(key);
                }
            }
        }
        (self.open_sorted, self.open_last) = (true, None);
        if !sorted {
            // What was sealed before is at or before the watermark, so all of it stays in front.
            // The stable sort takes runs as they are: nearly sorted data costs little.
            let (front, back) = self.sealed.as_mut_slices();
            match from.checked_sub(front.len()) {
                Some(from) => back[from..].sort(),
                None if back.is_empty() => front[from..].sort(),
                None => self.sealed.make_contiguous()[from..].sort(),
            }
        }
    }

    /// Returns the greatest time of the records that are not ready for packs.
    pub(super) fn last_unsealed(&self) -> Option<Timestamp> {
        // All are asked once in a channel's life, at its end.
        self.early.iter().map(|key| key.eff).max().max(self.open_last)
    }

    /// Undoes the sealing beyond the watermark when an idle channel continues.
    pub(super) fn unseal(&mut self) {
        let ready = self.sealed.partition_point(|key| Some(key.eff) <= self.watermark);
        self.sealed.drain(ready..).for_each(|key| self.early.push(key));
    }

    /// Returns the bytes, at most, that going back to a tick would free.
    pub(super) fn bytes_after(&self, to: &Tick) -> usize {
        let kept = self.ticks.partition_point(|tick| tick.position <= to.position);
        self.chunks.bytes_after(to.seq) + (self.ticks.len() - kept) * Tick::COST
    }

    /// Returns how many records are ready at or before a time.
    pub(super) fn ready(&self, end: Timestamp) -> usize {
        self.sealed.partition_point(|key| key.eff <= end)
    }

    /// Takes the next record that is ready at or before a time, with the time at which it counts.
    #[inline]
    pub(super) fn take_until(&mut self, end: Timestamp) -> Option<(Timestamp, Record)> {
        let key = self.sealed.pop_front_if(|key| key.eff <= end)?;
        let record = self.chunks.take(key.seq)?;
        self.payload_bytes -= Self::payload_cost(&record);
        Some((key.eff, record))
    }

    /// Returns the earliest time at which a pack concerns this channel.
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        let ready = self.sealed.front().map(|key| key.eff);
        let tick = self.ticks.front().map(|tick| tick.ts);
        ready.into_iter().chain(tick).min()
    }

    /// Goes back to just after a tick: forgets what was read after it, and its ticks.
    pub(super) fn rewind(&mut self, to: Tick) -> Vec<Tick> {
        let payload_bytes = &mut self.payload_bytes;
        self.chunks.truncate(to.seq, |record| *payload_bytes -= Self::payload_cost(record));
        self.open.clear();
        (self.open_sorted, self.open_last) = (true, None);
        self.early.retain(|key| key.seq <= to.seq);
        for key in std::mem::take(&mut self.sealed) {
            if key.seq > to.seq {
                continue;
            }
            if key.eff <= to.ts {
                self.sealed.push_back(key)
            } else {
                self.early.push(key);
            }
        }
        // What covers the first live record stays; after the tick its own watermark applies.
        while self.watermarks.back().is_some_and(|(from, _)| *from >= to.seq.next()) {
            self.watermarks.pop_back();
        }
        self.watermarks.push_back((to.seq.next(), Some(to.ts)));
        self.watermark_used = false;
        let kept = self.ticks.partition_point(|tick| tick.position <= to.position);
        self.watermark = Some(to.ts);
        self.greatest = Timestamp::MIN;
        self.last_read = Some(to.position);
        self.read = to.read;
        self.dedup.rewind(to.position, self.replay_to);
        self.taken = None;
        self.next = None;
        self.ticks.split_off(kept).into()
    }
}
