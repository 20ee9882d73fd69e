//! What the records of a channel say of the producers with sessions.

use std::sync::Arc;

use msgstream::record::{Position, Record, Stamp};
use msgstream::{MsgType, Timestamp};

use super::{Noted, Place, Verdict};

/// A producer on one channel.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Its newest epoch.
    pub(crate) epoch: Position,
    /// Its last session was closed.
    pub(crate) closed: bool,
    /// The watermark at its last record.
    pub(crate) heard: Option<Timestamp>,
    /// Its last record.
    pub(crate) last: Position,
    /// What it wrote after a newer session had begun.
    pub(crate) void: Noted<Place>,
    /// Messages that it knows to be stored, and that aren't there.
    pub(crate) missing: Noted<Place>,
}

/// Who wrote a record.
pub(super) struct Written {
    pub(super) producer: Arc<str>,
    epoch: Position,
    begins: bool,
    goodbye: bool,
}

/// Returns who wrote a record; `None` if it wasn't written in a session.
pub(super) fn session_of(record: &Record) -> Option<Written> {
    if let Some(stamp) = &record.meta.stamp {
        let (producer, epoch) = (stamp.origin.producer.clone(), stamp.origin.epoch);
        return Some(Written { producer, epoch, begins: false, goodbye: false });
    }
    if record.meta.msg_type != MsgType::TIME_TICK {
        return None;
    }
    // A fence, a base or a goodbye: `producer;epoch;kind;value`.
    let text = str::from_utf8(record.header(Stamp::HEADER)?).ok()?;
    let mut parts = text.split(';');
    let (producer, epoch, kind) = (parts.next()?, parts.next()?, parts.next()?);
    // The fence on the home channel begins an epoch: that is its own position.
    let begins = epoch.is_empty();
    let epoch = if begins { record.position } else { epoch.parse().ok()? };
    Some(Written { producer: producer.into(), epoch, begins, goodbye: kind == "bye" })
}

/// Returns whether a record is what a session writes beside messages and ticks.
pub(crate) fn is_control(record: &Record) -> bool {
    record.meta.stamp.is_none() && session_of(record).is_some()
}

/// Returns the producer that wrote a record in a session.
pub(crate) fn producer_of(record: &Record) -> Option<Arc<str>> {
    session_of(record).map(|written| written.producer)
}

/// Returns the producer whose epoch a record begins, as on a home channel.
pub(crate) fn begins_epoch(record: &Record) -> Option<Arc<str>> {
    session_of(record).filter(|written| written.begins).map(|written| written.producer)
}

impl Session {
    /// Notes a record of the producer.
    pub(super) fn hear(&mut self, written: &Written, place: Place, verdict: Verdict) {
        if verdict.missing > 0 {
            self.missing.note_many(place, verdict.missing);
        }
        if written.epoch < self.epoch {
            if !verdict.counts {
                self.void.note(place);
            }
            return;
        }
        self.epoch = written.epoch;
        self.closed = written.goodbye;
        (self.heard, self.last) = (place.watermark, place.position);
    }
}
