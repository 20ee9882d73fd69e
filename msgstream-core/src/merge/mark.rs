//! The mark of a channel in the checkpoint after a pack.

use super::Merge;
use super::channel::{Channel, Standing};
use super::chunks::Seq;
use crate::checkpoint::Mark;
use crate::error::{Error, Result};
use crate::planted::{Bug, planted};
use crate::record::Timestamp;
use crate::record::{Position, Record};

impl Merge {
    /// Refuses a pack if a channel that it concerns would hold back too many records after it.
    pub(super) fn refuse_long_spans(&mut self, end: Timestamp) -> Result<()> {
        let max = self.config.max_span;
        let Self { slots, touched, retouch, .. } = self;
        let mut checks = touched.iter().filter_map(|slot| {
            let channel = slots[*slot].as_mut()?;
            channel.check_span(end, max).err()
        });
        let Some(error) = checks.next() else { return Ok(()) };
        // The pack concerns them all the same when it is asked for again.
        for slot in touched.drain(..) {
            if let Some(channel) = &mut slots[slot] {
                channel.touched = false;
                retouch.push(slot);
            }
        }
        Err(error)
    }
}

impl Channel {
    /// Advances the ticks, and `cut` with them, to the end of a pack.
    pub(super) fn cut_at(&mut self, end: Timestamp) {
        // Without a tick that far, as at a channel's end, its last one stays the cut.
        while let Some(tick) = self.ticks.pop_front_if(|tick| tick.ts < end) {
            self.cut = Some(tick);
        }
        if let Some(tick) = self.ticks.front() {
            self.cut = Some(*tick);
        }
        self.ticks.pop_front_if(|tick| tick.ts == end);
    }

    /// Returns the channel's mark after a pack with this end; `None` if it didn't change, or isn't
    /// known yet.
    pub(super) fn mark(&mut self, end: Timestamp) -> Option<Mark> {
        let silent = self.is_silent_at(end);
        let tick = self.cut.map(|tick| tick.position);
        // What was judged before a checkpoint isn't judged again: its producers are those after it.
        let cut = if silent { self.last_read } else { tick }.max(self.replay_to);
        let live = self.chunks.first_live();
        self.forget_watermarks(live.map(|(seq, _)| seq));
        let before = |position: &Position| silent || tick.is_some_and(|tick| *position < tick);
        self.again = self.again.filter(|again| end <= again.end);
        let watermark = self.watermarks.front().and_then(|(_, watermark)| *watermark);
        let live = live.map(|(_, position)| (position, watermark));
        let evicted = self.again.map(|again| (again.first, again.watermark));
        let evicted = evicted.filter(|_| !planted(Bug::EvictedForgotten));
        let first = live.into_iter().chain(evicted).min_by_key(|(position, _)| *position);
        let (resume, watermark) = match first.filter(|(position, _)| before(position)) {
            Some(first) => first,
            None if silent => (self.next?, self.watermark),
            None => self.cut.map(|tick| (tick.position, tick.watermark_before))?,
        };
        // An end after an idle time doesn't count as a tick if it is behind the frontier.
        if Some(resume) < self.resume {
            return None;
        }
        self.resume = Some(resume);
        // Packs continue; the watermark follows them without a new mark for each.
        let raised = self.next.filter(|_| silent);
        let settle_at = if planted(Bug::StateAtResume) { Some(resume) } else { tick };
        if let Some(cut) = settle_at {
            self.dedup.settle(cut);
        }
        let producers = if silent { self.dedup.at_head() } else { self.dedup.at_cut() };
        let dropped = self.dedup.dropped(resume, cut.unwrap_or(resume));
        let incarnation = self.incarnation;
        Some(Mark { resume, watermark, cut, producers, dropped, raised, incarnation })
    }

    /// Drops watermarks that applied only before the first live record.
    fn forget_watermarks(&mut self, live: Option<Seq>) {
        let Some(live) = live else {
            // Only the last one can matter to a record that is read later.
            self.watermarks.drain(..self.watermarks.len().saturating_sub(1));
            return;
        };
        while self.watermarks.get(1).is_some_and(|(from, _)| *from <= live) {
            self.watermarks.pop_front();
        }
    }

    /// Refuses a pack with this end if the mark after it would hold back too many records: those
    /// from its `resume` to its `cut`.
    pub(super) fn check_span(&mut self, end: Timestamp, max: u64) -> Result<()> {
        let first = self.chunks.first_live();
        // What was evicted counts as buffered in the marks of packs up to its own.
        let evicted = self.again.filter(|again| end <= again.end);
        if first.is_none() && evicted.is_none() {
            return Ok(());
        }
        let (upto, read) = if self.is_silent_at(end) {
            (self.chunks.next_seq(), self.read)
        } else {
            let cut = self.ticks.iter().find(|tick| tick.ts >= end).or(self.ticks.back());
            let Some(cut) = cut.or(self.cut.as_ref()) else { return Ok(()) };
            (cut.seq, cut.read)
        };
        let records = |from| read.saturating_sub(self.chunks.read_before(from));
        // Nearly always there are fewer, whatever the pack takes of them.
        let few = |first| self.again.is_none() && records(first) <= max;
        let first = first.filter(|(first, _)| *first < upto && !few(*first));
        // Before the cut no watermark is at or after the end: what has such a time stays, and
        // nothing else does.
        let stays = |record: &Record| record.meta.timestamp > end;
        let live = first.and_then(|(first, _)| self.chunks.find_live(first, upto, stays));
        let live = live.map(|(seq, resume)| (resume, records(seq)));
        let evicted = evicted.map(|again| (again.first, read.saturating_sub(again.read)));
        match live.into_iter().chain(evicted).max_by_key(|(_, records)| *records) {
            Some((resume, records)) if records > max => {
                let channel = self.name.to_string();
                Err(Error::SpanTooLong { channel, resume, records })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the channel is idle and no tick of it is at or after the end of a pack. Its
    /// mark is then where reading is.
    fn is_silent_at(&self, end: Timestamp) -> bool {
        let ticked = self.ticks.back().or(self.cut.as_ref()).is_some_and(|tick| tick.ts >= end);
        self.standing == Standing::Idle && !ticked
    }
}
