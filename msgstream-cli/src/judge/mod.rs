//! What the records of a channel say, as consumers judge them.

mod repaired;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream::consume::{LatePolicy, ProducerLimits, TickSource};
use msgstream::record::{Position, Record};
use msgstream::{Error, MsgType, Timestamp};
use msgstream_core::merge::{Merge, MergeConfig, MergeCounts, Slot};

pub(crate) use self::repaired::{note, noted};
use self::session::session_of;
pub(crate) use self::session::{Session, begins_epoch, is_control, producer_of};
use crate::error::Result;

/// What the records that were read say.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Records that were read.
    pub(crate) read: u64,
    /// Messages that count.
    pub(crate) messages: u64,
    /// The tick that set the watermark.
    pub(crate) watermark: Option<Place>,
    pub(crate) ended: bool,
    /// Ticks too far ahead of the clock. They don't raise the watermark here.
    pub(crate) ticks_ahead: Noted<Place>,
    /// Messages that are late for those who accept such a tick.
    pub(crate) late_by_ahead: u64,
    /// Messages too far ahead of the clock.
    pub(crate) messages_ahead: Noted<Place>,
    /// Late messages, with the tick that they are late for.
    pub(crate) late: Noted<(Place, Place)>,
    pub(crate) unreadable: Noted<Place>,
    pub(crate) after_end: Noted<Place>,
    /// The channel that `repair-ticks` made of this one, as is noted after its end.
    pub(crate) repaired: Option<String>,
    pub(crate) sessions: BTreeMap<Arc<str>, Session>,
}

/// A record, its time, and the watermark before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) ts: Timestamp,
    pub(crate) watermark: Option<Timestamp>,
}

/// The first of several, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted<T> {
    pub(crate) first: Option<T>,
    pub(crate) count: u64,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self { first: None, count: 0 }
    }
}

impl<T> Noted<T> {
    pub(super) fn note(&mut self, one: T) {
        self.note_many(one, 1);
    }

    pub(super) fn note_many(&mut self, first: T, count: u64) {
        self.first.get_or_insert(first);
        self.count += count;
    }
}

/// What consumers make of a record of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    /// It is no duplicate and not void.
    pub(super) counts: bool,
    /// Messages that its producer knows to be stored, and that aren't there.
    pub(super) missing: u64,
}

/// Judges the records of a channel one by one. What counts and what doesn't is decided by the merge
/// that consumers have.
pub(crate) struct Judge {
    merge: Merge,
    slot: Slot,
    /// The greatest time that a tick or a message may have.
    limit: Timestamp,
    /// The greatest tick beyond that.
    ahead: Option<Timestamp>,
    log: Log,
}

impl Judge {
    pub(crate) fn new(channel: &str, limit: Timestamp) -> Result<Self> {
        // Nothing is read ahead here, so nothing may be refused for being too much.
        let limits = ProducerLimits::default().with_max(usize::MAX);
        let config = MergeConfig::default()
            .with_late_policy(LatePolicy::Deliver)
            .with_max_span(u64::MAX)
            .with_producer_limits(limits);
        let mut merge = Merge::new(config)?;
        let slot = merge.add(channel.into(), TickSource::Written)?;
        merge.set_tick_limit(limit);
        Ok(Self { merge, slot, limit, ahead: None, log: Log::default() })
    }

    /// Ignores the tick at a position.
    pub(crate) fn ignore(&mut self, position: Position) {
        self.merge.ignore_tick(self.slot, position);
    }

    /// Returns whether the channel's end was read.
    pub(crate) const fn has_ended(&self) -> bool {
        self.log.ended
    }

    pub(crate) fn see(&mut self, record: Record) -> Result<()> {
        self.log.read += 1;
        let (ts, position) = (record.meta.timestamp, record.position);
        let watermark = self.log.watermark.map(|tick| tick.ts);
        let place = Place { position, ts, watermark };
        let msg_type = record.meta.msg_type;
        if self.log.ended {
            match noted(&record) {
                Some(into) => self.log.repaired = Some(into.to_owned()),
                None if msg_type != MsgType::TIME_TICK => self.log.after_end.note(place),
                None => {}
            }
            return Ok(());
        }
        let session = session_of(&record);
        // Without a stamp a message counts. The merge would hold it until the next tick.
        let verdict = match session.is_some() || msg_type == MsgType::TIME_TICK {
            true => self.judge(record, place)?,
            false => Verdict { counts: true, missing: 0 },
        };
        if let Some(session) = session {
            let heard = self.log.sessions.entry(session.producer.clone()).or_default();
            heard.hear(&session, place, verdict);
        }
        match msg_type {
            _ if !verdict.counts => {}
            MsgType::TIME_TICK => self.see_tick(place),
            MsgType::UNREADABLE => self.log.unreadable.note(place),
            _ => self.see_message(place),
        }
        Ok(())
    }

    fn judge(&mut self, mut record: Record, place: Place) -> Result<Verdict> {
        let before = *self.merge.counts();
        // The merge may hold it for long, and needs no payload.
        record.payload = Default::default();
        let mut records = vec![record];
        match self.merge.push(self.slot, &mut records, place.position) {
            Err(Error::TickTooFar { tick, .. }) => {
                self.log.ticks_ahead.note(Place { ts: tick, ..place });
                self.ahead = self.ahead.max(Some(tick));
                self.merge.ignore_tick(self.slot, place.position);
                self.merge.push(self.slot, &mut records, place.position)?;
            }
            pushed => pushed?,
        }
        while self.merge.advance()?.is_some() {}
        let after = self.merge.counts();
        let dropped = |counts: &MergeCounts| counts.duplicates + counts.gaps + counts.fenced;
        let counts = dropped(after) == dropped(&before);
        Ok(Verdict { counts, missing: after.missing.saturating_sub(before.missing) })
    }

    fn see_tick(&mut self, place: Place) {
        self.log.ended = self.merge.is_ended(self.slot);
        let watermark = self.merge.status().channels.first().and_then(|c| c.watermark);
        if let Some(ts) = watermark.filter(|ts| Some(*ts) > place.watermark) {
            self.log.watermark = Some(Place { ts, ..place });
        }
    }

    fn see_message(&mut self, place: Place) {
        self.log.messages += 1;
        if let Some(tick) = self.log.watermark.filter(|tick| place.ts <= tick.ts) {
            self.log.late.note((place, tick));
        } else if Some(place.ts) <= self.ahead {
            self.log.late_by_ahead += 1;
        } else if place.ts > self.limit {
            self.log.messages_ahead.note(place);
        }
    }

    pub(crate) fn into_log(self) -> Log {
        self.log
    }
}
