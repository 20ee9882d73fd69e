//! Evicts what a channel holds beyond the next pack, and reads it again.
//!
//! What was read after the first tick at or after the end of the next pack, the *cut*, goes first:
//! reading goes back to just after that tick. Messages beyond a tick may also stand before it. If
//! there is still no room, those are evicted too, and reading goes back to the first of them. Up to
//! the cut it then continues as after a resume: what was judged stays judged, and what the next pack
//! has is skipped.

use super::Merge;
use super::channel::{Channel, Key, Tick};
use super::chunks::{Seq, bury};
use crate::dedup::Control;
use crate::planted::{Bug, planted};
use crate::record::{MsgType, Position, Record, Timestamp};
use crate::transport::Start;

/// Records from before a channel's cut that were evicted. Until a pack after the next one is
/// formed, they count as buffered in the channel's marks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    /// The first of them.
    pub(super) first: Position,
    /// The watermark just before it.
    pub(super) watermark: Option<Timestamp>,
    /// How many records of the channel were read before it.
    pub(super) read: u64,
    /// The end of the next pack when they were evicted. They are after it, and hold back packs that
    /// end later until they are read again.
    pub(super) end: Timestamp,
    /// Until they are read again.
    reading: Option<Reading>,
}

/// How far evicted records are read again.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// The cut, up to which they are.
    upto: Tick,
    /// The watermark where reading is.
    reached: Option<Timestamp>,
}

impl Channel {
    /// Returns whether the record at a position is read again and counts after the next pack or not
    /// at all.
    pub(super) fn is_read_again(&self, position: Position) -> bool {
        let reading = self.again.and_then(|again| again.reading);
        reading.is_some_and(|reading| position <= reading.upto.position)
    }

    /// Goes back to a tick at or after the end of the next pack, and with `early` to the first
    /// record before it that is after that end. Returns the ticks that were forgotten, and where
    /// reading continues.
    pub(super) fn give_up(
        &mut self,
        to: Tick,
        end: Timestamp,
        early: bool,
        frontier: Option<Timestamp>,
    ) -> (Vec<Tick>, Start) {
        let ticks = self.rewind(to);
        // Records that are read again come after those that were kept, wherever they stand, so the
        // first that is live isn't the first in the channel until a pack has all that were kept. The
        // end of the next pack grows without one if a channel is removed.
        let mut again = self.again.filter(|again| Some(again.end) > frontier);
        if early && let Some(first) = self.first_beyond(end) {
            let (watermark, read) =
                (self.watermark_at(first.seq), self.chunks.read_before(first.seq));
            let position = self.chunks.get(first.seq).map_or(to.position, |r| r.position);
            let before = again.filter(|again| again.first <= position);
            let first = Again { first: position, watermark, read, end, reading: None };
            let reading = Some(Reading { upto: to, reached: None });
            again = Some(Again { end, reading, ..before.unwrap_or(first) });
            self.forget_beyond(end);
        }
        self.again = again;
        let Some(Again { first, watermark, read, end, reading: Some(reading) }) = &mut self.again
        else {
            return (ticks, Start::After(to.position));
        };
        reading.reached = *watermark;
        let (first, watermark, read, end, upto) = (*first, *watermark, *read, *end, reading.upto);
        if !planted(Bug::EvictedNotAwaited) {
            self.watermark = Some(end);
        }
        self.cover(to.seq.next(), watermark);
        self.read = read;
        self.replay_to = self.replay_to.max(Some(upto.position));
        (ticks, Start::At(first))
    }

    /// Returns the bytes that records before a tick take that are after the next pack.
    pub(super) fn bytes_beyond(&self, end: Timestamp) -> usize {
        let records = self.beyond(end).filter_map(|key| self.chunks.get(key.seq));
        records.map(Record::footprint).sum()
    }

    fn beyond(&self, end: Timestamp) -> impl Iterator<Item = &Key> {
        let ready = self.ready(end);
        self.sealed.iter().skip(ready).chain(self.early.iter()).chain(&self.open)
    }

    /// Returns the first record after the end of the next pack, by its position.
    fn first_beyond(&self, end: Timestamp) -> Option<Key> {
        let position = |key: &&Key| self.chunks.get(key.seq).map(|record| record.position);
        self.beyond(end).min_by_key(position).copied()
    }

    /// Drops the records after the end of the next pack.
    fn forget_beyond(&mut self, end: Timestamp) {
        let ready = self.ready(end);
        let mut beyond: Vec<_> = self.sealed.drain(ready..).collect();
        beyond.extend(self.early.drain());
        for key in beyond {
            if let Some(record) = self.chunks.take(key.seq) {
                self.payload_bytes -= Self::payload_cost(&record);
            }
        }
        self.chunks.compact();
    }
}

impl Merge {
    /// Takes in a record up to the cut for a second time. Returns whether it is kept.
    pub(super) fn read_again(
        &mut self,
        channel: &mut Channel,
        record: &mut Record,
        seq: Seq,
    ) -> bool {
        let (ts, position) = (record.meta.timestamp, record.position);
        channel.last_read = Some(position);
        let Some(Again { end, reading: Some(mut reading), .. }) = channel.again else {
            return false;
        };
        let void = channel.dedup.left_out(position) && !planted(Bug::VoidReadAgain);
        let counts = !void && Control::read(record).is_none();
        let message = counts && record.meta.msg_type != MsgType::TIME_TICK;
        let ticks = message || counts && record.is_tick();
        // Before the cut no watermark is at or after the end, so nothing after the end is late.
        let kept = message && (ts > end || planted(Bug::KeptTwice));
        if kept {
            channel.payload_bytes += Channel::payload_cost(record);
            channel.hold(Key { eff: ts, seq });
        }
        let done = position == reading.upto.position;
        if done {
            self.catch_up(channel, reading.upto, seq);
        } else if ticks && !channel.ignored_ticks.contains(&position) {
            let tick = if message {
                channel.greatest = channel.greatest.max(ts);
                channel.source.derive(channel.greatest)
            } else {
                Some(ts)
            };
            if tick > reading.reached && !planted(Bug::TicksNotReadAgain) {
                reading.reached = tick;
                channel.cover(seq.next(), tick);
            }
        }
        if let Some(again) = &mut channel.again {
            again.reading = (!done).then_some(reading);
        }
        if !kept {
            self.counts.replayed += 1;
            bury(record);
        }
        kept
    }

    /// Goes on from the cut, once everything up to it is read again.
    fn catch_up(&mut self, channel: &mut Channel, cut: Tick, seq: Seq) {
        self.watermarks.remove(channel.watermark);
        self.watermarks.add(Some(cut.ts));
        channel.raise_watermark(seq.next(), cut.ts);
        channel.seal(cut.ts);
        let ticks = channel.ticks.iter_mut().chain(&mut channel.cut);
        for tick in ticks.filter(|tick| tick.position == cut.position) {
            tick.seq = seq;
        }
    }
}
