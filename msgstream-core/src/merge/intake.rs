//! Takes in records and ticks.

use std::cmp::Reverse;
use std::mem;

use super::channel::{Channel, Key, Standing, Tick};
use super::chunks::{Chunks, Seq, bury};
use super::{LatePolicy, Merge, Slot};
use crate::checkpoint::Mark;
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::planted::{Bug, planted};
use crate::record::END_HEADER;
use crate::record::{MsgType, Timestamp};
use crate::record::{Position, Record};

impl Merge {
    /// Takes what was read of a channel: the records, in order, and where reading continues. An
    /// empty batch only updates the latter. With a record, a channel that was idle holds the
    /// frontier again.
    ///
    /// # Errors
    /// [`Error::TickTooFar`], [`Error::TooManyProducers`]; `records` then has the refused record
    /// and what follows it, and the rest was taken. The same call succeeds after
    /// [`Merge::ignore_tick`] or [`Merge::set_tick_limit`], [`Merge::set_producer_limits`].
    pub fn push(&mut self, slot: Slot, records: &mut Vec<Record>, next: Position) -> Result<()> {
        self.begin(slot, records.first().map_or(next, |record| record.position));
        if !records.is_empty() {
            self.rejoin(slot);
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(Chunks::MAX_BATCH));
            let batch = mem::replace(records, rest);
            if let Err((error, mut refused)) = self.push_batch(slot.0, batch) {
                refused.append(records);
                *records = refused;
                return Err(error);
            }
        }
        if let Some(channel) = self.channel_mut(slot) {
            channel.next = Some(next);
        }
        Ok(())
    }

    /// Sets a new channel's mark to where its first read began: going back to before the next pack
    /// goes there.
    fn begin(&mut self, slot: Slot, resume: Position) {
        let Some(channel) = self.channel(slot) else { return };
        if channel.next.is_none() && !self.end.channels.contains_key(&channel.name) {
            let incarnation = channel.incarnation;
            let mark = Mark { resume, incarnation, ..Mark::default() };
            self.end.channels.insert(channel.name.clone(), mark);
        }
    }

    fn push_batch(
        &mut self,
        slot: usize,
        mut records: Vec<Record>,
    ) -> Result<(), (Error, Vec<Record>)> {
        let Some(mut channel) = self.slots.get_mut(slot).and_then(Option::take) else {
            return Ok(());
        };
        let (began, read) = (channel.chunks.next_seq(), channel.read);
        let mut seq = began;
        let mut live = 0;
        let mut refused = None;
        for (index, record) in records.iter_mut().enumerate() {
            if channel.raise_ahead.is_some() {
                self.reach_raise(&mut channel, record.position, seq);
            }
            match self.read(&mut channel, slot, record, seq) {
                Ok(kept) => {
                    channel.read += 1;
                    live += usize::from(kept);
                }
                Err(error) => {
                    refused = Some((error, index));
                    break;
                }
            }
            seq = seq.next();
        }
        let refused = refused.map(|(error, index)| (error, records.split_off(index)));
        if live > 0 {
            channel.chunks.push(records, live, read);
        } else {
            channel.forget_batch(began);
        }
        self.budget.settle(&mut channel);
        self.slots[slot] = Some(channel);
        self.queue_event(slot);
        refused.map_or(Ok(()), Err)
    }

    /// Takes in a record. Returns whether it is kept.
    fn read(
        &mut self,
        channel: &mut Channel,
        slot: usize,
        record: &mut Record,
        seq: Seq,
    ) -> Result<bool> {
        let position = record.position;
        let kept = if channel.standing == Standing::Ended {
            self.counts.after_end += 1;
            bury(record);
            false
        } else if channel.is_read_again(position) {
            self.read_again(channel, record, seq)
        } else if !self.admit(channel, record)? {
            bury(record);
            channel.last_read = Some(position);
            false
        } else if record.is_tick() {
            self.read_tick(channel, record, seq)?;
            false
        } else if record.meta.msg_type == MsgType::TIME_TICK {
            // A virtual channel's, which cuts nothing of the whole.
            bury(record);
            channel.last_read = Some(position);
            false
        } else {
            self.read_message(channel, slot, record, seq)?
        };
        Ok(kept)
    }

    /// Takes in a message. Returns whether it is kept. Refuses one that would make its channel tick
    /// too far ahead.
    fn read_message(
        &mut self,
        channel: &mut Channel,
        slot: usize,
        record: &mut Record,
        seq: Seq,
    ) -> Result<bool> {
        let (ts, position) = (record.meta.timestamp, record.position);
        let greatest = channel.greatest.max(ts);
        let mut tick = channel.source.derive(greatest);
        if tick.is_some_and(|tick| tick > self.tick_limit) {
            self.refuse_tick(channel, position, tick.unwrap_or_default())?;
            tick = None;
        } else {
            channel.greatest = greatest;
        }
        channel.last_read = Some(position);
        let eff = if planted(Bug::LateByFrontier) {
            self.end.frontier.map_or(ts, |frontier| ts.max(frontier.next()))
        } else {
            channel.effective(ts)
        };
        let late = eff > ts && record.meta.msg_type != MsgType::UNREADABLE;
        let kept = Some(eff) > self.end.frontier;
        if kept {
            let key = Key { eff, seq };
            if late && self.config.late_policy == LatePolicy::Error {
                self.late.push(Reverse((eff, slot, key)));
            }
            channel.payload_bytes += Channel::payload_cost(record);
            channel.hold(key);
        } else {
            // An earlier pack has it, or the channel wasn't a member then.
            *(if channel.joined.is_some() {
                &mut self.counts.before_join
            } else {
                &mut self.counts.replayed
            }) += 1;
            bury(record);
        }
        if let Some(tick) = tick {
            self.accept(channel, tick, position, seq);
        }
        Ok(kept)
    }

    fn read_tick(&mut self, channel: &mut Channel, record: &mut Record, seq: Seq) -> Result<()> {
        let (mut ts, position) = (record.meta.timestamp, record.position);
        let ends = !record.extra.is_empty() && record.header(END_HEADER).is_some();
        if ends {
            // Nothing follows: it ticks at the last record that the channel still holds.
            ts = channel.last_unsealed().map_or(ts, |last| last.max(ts));
        }
        let too_far = ts > self.tick_limit;
        if too_far || channel.ignored_ticks.contains(&position) {
            self.refuse_tick(channel, position, ts)?;
            channel.last_read = Some(position);
            bury(record);
            return Ok(());
        }
        channel.last_read = Some(position);
        bury(record);
        if ends {
            self.end_channel(channel, ts, position, seq);
            return Ok(());
        }
        if !self.accept(channel, ts, position, seq) {
            self.counts.repeated_ticks += 1;
        }
        Ok(())
    }

    /// Refuses a tick, unless it is to be ignored.
    fn refuse_tick(
        &mut self,
        channel: &Channel,
        position: Position,
        tick: Timestamp,
    ) -> Result<()> {
        if channel.ignored_ticks.contains(&position) {
            self.counts.ignored_ticks += 1;
            return Ok(());
        }
        let (channel, limit) = (channel.name.to_string(), self.tick_limit);
        Err(Error::TickTooFar { channel, position, tick, limit })
    }

    /// Ends a channel: what it still holds belongs to packs up to its last tick, rounded up to the
    /// interval if one is set.
    fn end_channel(&mut self, channel: &mut Channel, ts: Timestamp, position: Position, seq: Seq) {
        self.accept(channel, ts, position, seq);
        self.watermarks.remove(channel.watermark);
        channel.standing = Standing::Ended;
        let boundary = channel.watermark.map(|watermark| self.config.boundary_after(watermark));
        if boundary > self.end.frontier {
            channel.end_boundary = boundary;
            self.boundaries.extend(boundary);
        }
    }

    /// Applies a tick, unless it repeats or goes back, which has no effect.
    fn accept(
        &mut self,
        channel: &mut Channel,
        ts: Timestamp,
        position: Position,
        seq: Seq,
    ) -> bool {
        let watermark_before = channel.watermark;
        if Some(ts) <= watermark_before {
            return false;
        }
        self.watermarks.remove(watermark_before);
        self.watermarks.add(Some(ts));
        let boundary = self.config.boundary(ts);
        if Some(boundary) > self.end.frontier {
            self.boundaries.add(boundary);
        }
        if !channel.is_replay(position) {
            channel.dedup.ticked(position, watermark_before, ts, &self.config.producer_limits);
        }
        let read = channel.read + 1;
        channel.tick(Tick { ts, position, seq, watermark_before, read }, self.end.frontier);
        true
    }

    /// Raises the watermark of a channel that was idle before the checkpoint, once reading gets
    /// there.
    fn reach_raise(&mut self, channel: &mut Channel, position: Position, seq: Seq) {
        let reached = channel.raise_ahead.take_if(|(at, _)| *at <= position);
        if let Some((_, watermark)) =
            reached.filter(|(_, watermark)| Some(*watermark) > channel.watermark)
        {
            self.watermarks.remove(channel.watermark);
            self.watermarks.add(Some(watermark));
            channel.raise_watermark(seq, watermark);
            channel.seal(watermark);
        }
    }

    /// Sets how many producers a channel may have, and for how long they are remembered.
    pub fn set_producer_limits(&mut self, producers: ProducerLimits) {
        self.config.producer_limits = producers;
    }

    /// Sets how many records of a channel a checkpoint may hold back.
    pub fn set_max_span(&mut self, records: u64) {
        self.config.max_span = records;
    }

    /// Sets the greatest time that a tick may have from now on; a greater one is refused. For live
    /// channels this is the clock plus a bound, so that one wrong tick doesn't stop a channel for
    /// good. The end of a channel ticks at its last message and has the same bound.
    /// [`Timestamp::MAX`] is always refused.
    pub fn set_tick_limit(&mut self, limit: Timestamp) {
        self.tick_limit = limit.min(Timestamp(u64::MAX - 1));
    }

    /// Ignores a tick that was refused. If it is the channel's end, the channel doesn't end there.
    pub fn ignore_tick(&mut self, slot: Slot, position: Position) {
        if let Some(channel) = self.channel_mut(slot) {
            channel.ignored_ticks.insert(position);
        }
    }
}
