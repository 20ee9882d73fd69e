//! Records and ticks on their way in.

use std::cmp::Reverse;
use std::mem;

use super::channel::{Channel, Key, Standing, Tick};
use super::chunks::{Chunks, Seq, bury};
use super::{LatePolicy, Merge, Slot};
use crate::checkpoint::Mark;
use crate::error::{Error, Result};
use crate::message::{MsgType, Timestamp};
use crate::timetick::END_HEADER;
use crate::transport::{Position, Record};

impl Merge {
    /// Takes what was read of a channel: the records, in order, and where reading goes on. An
    /// empty batch is good for the latter. With a record, a channel that was idle holds the
    /// frontier again.
    ///
    /// # Errors
    /// [`Error::TickTooFar`]; `records` then holds the refused tick and what follows it, and the
    /// rest was taken. After [`Merge::ignore_tick`] or [`Merge::set_tick_limit`] the same call
    /// goes on.
    pub fn push(&mut self, slot: Slot, records: &mut Vec<Record>, next: Position) -> Result<()> {
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
        if let Some(channel) = &mut self.slots[slot.0] {
            channel.next = Some(next);
        }
        Ok(())
    }

    fn push_batch(
        &mut self,
        slot: usize,
        mut records: Vec<Record>,
    ) -> Result<(), (Error, Vec<Record>)> {
        let Some(mut channel) = self.slots[slot].take() else { return Ok(()) };
        if let Some(first) = records.first()
            && !self.end.channels.contains_key(&channel.name)
        {
            // Where it begins is known now: going back to before the next pack means there.
            let (resume, incarnation) = (first.position, channel.incarnation);
            let mark = Mark { resume, incarnation, ..Mark::default() };
            self.end.channels.insert(channel.name.clone(), mark);
        }
        let mut seq = channel.chunks.next_seq();
        let mut live = 0;
        let mut refused = None;
        for (index, record) in records.iter_mut().enumerate() {
            if channel.raise_ahead.is_some() {
                self.reach_raise(&mut channel, record.position, seq);
            }
            if channel.standing == Standing::Ended {
                self.counts.after_end += 1;
                bury(record);
            } else if record.meta.msg_type == MsgType::TIME_TICK {
                if let Err(error) = self.read_tick(&mut channel, record, seq) {
                    refused = Some((error, index));
                    break;
                }
            } else {
                live += usize::from(self.read_message(&mut channel, slot, record, seq));
            }
            seq = seq.next();
        }
        let refused = refused.map(|(error, index)| (error, records.split_off(index)));
        channel.chunks.push(records, live);
        self.budget.settle(&mut channel);
        self.slots[slot] = Some(channel);
        self.queue_event(slot);
        refused.map_or(Ok(()), Err)
    }

    /// Takes a message in; says whether it is kept.
    fn read_message(
        &mut self,
        channel: &mut Channel,
        slot: usize,
        record: &mut Record,
        seq: Seq,
    ) -> bool {
        let (ts, position) = (record.meta.timestamp, record.position);
        channel.last_read = Some(position);
        let eff = channel.effective(ts);
        let late = eff > ts && record.meta.msg_type != MsgType::UNREADABLE;
        let kept = Some(eff) > self.end.frontier;
        if kept {
            let key = Key { eff, seq };
            if late && self.config.late == LatePolicy::Error {
                self.late.push(Reverse((eff, slot, key)));
            }
            channel.payload_bytes += Channel::payload_cost(record);
            channel.hold(key);
        } else {
            // A pack that was handed out holds it already, or the channel wasn't a member then.
            *(if channel.joined.is_some() {
                &mut self.counts.before_join
            } else {
                &mut self.counts.replayed
            }) += 1;
            bury(record);
        }
        channel.greatest = channel.greatest.max(ts);
        if let Some(tick) = channel.source.derive(channel.greatest) {
            self.accept(channel, tick, position, seq);
        }
        kept
    }

    fn read_tick(&mut self, channel: &mut Channel, record: &mut Record, seq: Seq) -> Result<()> {
        let (ts, position) = (record.meta.timestamp, record.position);
        let ignored = channel.ignored_ticks.contains(&position);
        if ts > self.tick_limit && !ignored {
            return Err(Error::TickTooFar {
                channel: channel.name.to_string(),
                position,
                tick: ts,
                limit: self.tick_limit,
            });
        }
        channel.last_read = Some(position);
        let ends = !record.extra.is_empty() && record.header(END_HEADER).is_some();
        bury(record);
        if ignored {
            self.counts.ignored_ticks += 1;
            return Ok(());
        }
        if ends {
            self.end_channel(channel, ts, position, seq);
            return Ok(());
        }
        if !self.accept(channel, ts, position, seq) {
            self.counts.repeated_ticks += 1;
        }
        Ok(())
    }

    /// Nothing follows: whatever the channel still holds belongs to packs that end with it, on
    /// the grid after it where there is one.
    fn end_channel(&mut self, channel: &mut Channel, ts: Timestamp, position: Position, seq: Seq) {
        let last = channel.last_unsealed().map_or(ts, |last| last.max(ts));
        self.accept(channel, last, position, seq);
        self.floors.remove(channel.floor);
        channel.standing = Standing::Ended;
        let boundary = channel.floor.map(|floor| self.config.boundary_after(floor));
        if boundary > self.end.frontier {
            channel.end_boundary = boundary;
            self.boundaries.extend(boundary);
        }
    }

    /// Takes a tick in, unless it repeats or goes back, which is harmless.
    fn accept(
        &mut self,
        channel: &mut Channel,
        ts: Timestamp,
        position: Position,
        seq: Seq,
    ) -> bool {
        let floor_before = channel.floor;
        if Some(ts) <= floor_before {
            return false;
        }
        self.floors.remove(floor_before);
        self.floors.add(Some(ts));
        let boundary = self.config.boundary(ts);
        if Some(boundary) > self.end.frontier {
            self.boundaries.add(boundary);
        }
        channel.tick(Tick { ts, position, seq, floor_before });
        true
    }

    /// Raises the floor of a channel that was idle before the checkpoint, once reading is there.
    fn reach_raise(&mut self, channel: &mut Channel, position: Position, seq: Seq) {
        let Some(raise) = channel.raise_ahead.take_if(|raise| raise.at <= position) else { return };
        channel.raised = Some(raise);
        if let Some(floor) = raise.floor.filter(|floor| Some(*floor) > channel.floor) {
            self.floors.remove(channel.floor);
            self.floors.add(Some(floor));
            channel.raise_floor(seq, floor);
            channel.seal(floor);
        }
    }

    /// The greatest time that a tick may have from now on; what is past it is refused. Whoever
    /// reads live channels sets it to the clock plus a bound, so that one wrong tick doesn't stop
    /// a channel for good. [`Timestamp::MAX`] is always past it.
    pub fn set_tick_limit(&mut self, limit: Timestamp) {
        self.tick_limit = limit.min(Timestamp(u64::MAX - 1));
    }

    /// Repairs a channel with a tick that was refused: the tick at this position does nothing.
    pub fn ignore_tick(&mut self, slot: Slot, position: Position) {
        if let Some(channel) = &mut self.slots[slot.0] {
            channel.ignored_ticks.insert(position);
        }
    }
}
