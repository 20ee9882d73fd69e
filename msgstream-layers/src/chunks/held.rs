//! The parts of messages that aren't whole yet.

use std::collections::HashMap;

use bytes::Bytes;
use msgstream_core::record::{Record, Stamp};

use super::part::{Id, Part};
use crate::planted::{Bug, planted};

/// What a message costs beside its parts, in bytes.
const MESSAGE: usize = 256;
/// What a part costs beside its payload, in bytes.
const PART: usize = 64;

/// The parts that a reader has read of messages whose last part it hasn't, up to so many bytes.
///
/// It only saves reading: whatever is missing when the last part of a message comes is read again from
/// where the first one stands.
#[derive(Debug)]
pub(super) struct Held {
    /// By writer: each writes one message after the other.
    messages: HashMap<u128, Message>,
    bytes: usize,
    most: usize,
    /// How many parts were added.
    added: u64,
}

/// The first parts of a message, without a gap.
#[derive(Debug)]
struct Message {
    id: Id,
    parts: Parts,
    stamp: Option<Stamp>,
    /// How many parts of all messages had been added with its newest one.
    newest: u64,
}

/// The payloads of the first parts of a message.
#[derive(Debug, Default)]
pub(super) struct Parts {
    payloads: Vec<Bytes>,
    bytes: usize,
}

impl Parts {
    /// Adds a part if it is the next one. What a broker has stored twice is passed over.
    pub(super) fn add(&mut self, part: &Part, payload: &Bytes) {
        let is_next = self.payloads.len() == part.index as usize || planted(Bug::RepeatedPart);
        if is_next && self.bytes.saturating_add(payload.len()) <= part.total {
            self.bytes += payload.len();
            self.payloads.push(payload.clone());
        }
    }

    /// Returns whether these are all parts before a last one.
    pub(super) fn precede(&self, last: &Part) -> bool {
        self.payloads.len() == last.count as usize - 1
    }

    /// Returns the whole payload; `None` if it isn't as long as the last part says.
    pub(super) fn join(self, last: &Part, payload: &Bytes) -> Option<Bytes> {
        if self.bytes + payload.len() != last.total {
            return None;
        }
        let mut whole = Vec::with_capacity(last.total);
        // Each part is freed once it is copied, so that the message isn't in memory twice.
        self.payloads.into_iter().for_each(|part| whole.extend_from_slice(&part));
        whole.extend_from_slice(payload);
        Some(whole.into())
    }

    fn cost(&self) -> usize {
        MESSAGE + self.bytes + self.payloads.len() * PART
    }
}

impl Held {
    pub(super) fn new(most: usize) -> Self {
        Self { messages: HashMap::new(), bytes: 0, most, added: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Adds a part that isn't the last one of its message.
    pub(super) fn add(&mut self, part: &Part, record: &Record) {
        // Larger ones aren't delivered.
        if part.total > self.most {
            return;
        }
        let writer = key(part);
        let mut message = match self.remove(writer) {
            Some(message) if message.id == part.id || planted(Bug::PartsOfAnother) => message,
            // This one was begun before the reader came.
            other if part.index > 0 => return self.insert(writer, other),
            _ => {
                let stamp = record.meta.stamp.clone();
                Message { id: part.id, parts: Parts::default(), stamp, newest: 0 }
            }
        };
        self.added += 1;
        message.newest = self.added;
        message.parts.add(part, &record.payload);
        self.insert(writer, Some(message));
        while self.bytes > self.most && self.messages.len() > 1 {
            let oldest = self.messages.iter().min_by_key(|(_, message)| message.newest);
            let Some((&oldest, _)) = oldest else { break };
            self.remove(oldest);
        }
    }

    fn insert(&mut self, writer: u128, message: Option<Message>) {
        if let Some(message) = message {
            self.bytes += message.parts.cost();
            self.messages.insert(writer, message);
        }
    }

    fn remove(&mut self, writer: u128) -> Option<Message> {
        let message = self.messages.remove(&writer)?;
        self.bytes -= message.parts.cost();
        Some(message)
    }

    /// Returns whether all parts before a last one are there.
    pub(super) fn precede(&self, last: &Part) -> bool {
        let message = self.messages.get(&key(last));
        message.is_some_and(|message| {
            (message.id == last.id || planted(Bug::PartsOfAnother)) && message.parts.precede(last)
        })
    }

    /// Removes the parts before a last one, and returns them.
    pub(super) fn take(&mut self, last: &Part) -> Parts {
        let other = |message: &Message| message.id != last.id && !planted(Bug::PartsOfAnother);
        if self.messages.get(&key(last)).is_none_or(other) {
            return Parts::default();
        }
        self.remove(key(last)).map_or_else(Parts::default, |message| message.parts)
    }

    /// Drops the messages that will never be whole, as a record shows that was read. Returns how many
    /// they are.
    #[inline]
    pub(super) fn pass(&mut self, part: Option<&Part>, record: &Record) -> u64 {
        if self.messages.is_empty() {
            return 0;
        }
        let before = self.messages.len();
        let bytes = &mut self.bytes;
        self.messages.retain(|_, message| {
            let over = is_over(message.id, message.stamp.as_ref(), part, record);
            *bytes -= if over { message.parts.cost() } else { 0 };
            !over
        });
        (before - self.messages.len()) as u64
    }
}

fn key(part: &Part) -> u128 {
    if planted(Bug::PartsOfAnother) { 0 } else { part.id.writer }
}

/// Returns whether a record shows that an earlier message which isn't whole will never be: its writer
/// has begun another one, or its session has sent it again, or has had it acknowledged, or a newer one
/// has begun.
pub(super) fn is_over(id: Id, stamp: Option<&Stamp>, part: Option<&Part>, record: &Record) -> bool {
    match part {
        Some(part) if part.id.writer == id.writer => part.id.message > id.message,
        _ => match (stamp, &record.meta.stamp) {
            (Some(own), Some(other)) => {
                // The number of a tick is that of the last message before it.
                let [before, after] = [own, other].map(|stamp| (stamp.origin.epoch, stamp.seq));
                own.origin.producer == other.origin.producer && before <= after
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use msgstream_core::Timestamp;
    use msgstream_core::record::{Meta, MsgType, Origin, Position};

    use super::*;

    fn part(writer: u128, message: u64, index: u32, count: u32, total: usize) -> Part {
        Part { id: Id { writer, message }, index, count, total, last: None }
    }

    fn record(payload: &'static str) -> Record {
        Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), payload)
    }

    fn stamped(epoch: u64, seq: u64) -> Record {
        let origin = Origin { producer: "shop".into(), epoch: Position::new(epoch) };
        let mut record = record("x");
        record.meta.stamp = Some(Stamp { origin: Arc::new(origin), seq });
        record
    }

    #[test]
    fn parts_are_joined_by_writer_whatever_is_between_them_or_twice() {
        let mut held = Held::new(10_000);
        for index in [0, 0, 1, 0, 1] {
            held.add(&part(1, 5, index, 3, 3), &record(["a", "b"][index as usize]));
            held.add(&part(2, 5, index, 3, 3), &record(["x", "y"][index as usize]));
        }
        for (writer, whole) in [(1, "abc"), (2, "xyc")] {
            let last = part(writer, 5, 2, 3, 3);
            assert!(held.precede(&last) && !held.precede(&part(writer, 6, 2, 3, 3)));
            let parts = held.take(&last);
            assert_eq!(parts.join(&last, &"c".into()).as_deref(), Some(whole.as_bytes()));
            assert!(!held.precede(&last));
        }
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn a_gap_is_no_whole() {
        let mut held = Held::new(10_000);
        held.add(&part(1, 5, 0, 4, 4), &record("a"));
        held.add(&part(1, 5, 2, 4, 4), &record("c"));
        assert!(!held.precede(&part(1, 5, 3, 4, 4)));
        // Begun before the reader came.
        held.add(&part(2, 5, 1, 3, 4), &record("b"));
        assert!(!held.precede(&part(2, 5, 2, 3, 4)));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        const MOST: usize = 3 * (MESSAGE + PART) + 30;
        let mut held = Held::new(MOST);
        for writer in 0..100 {
            held.add(&part(writer, 0, 0, 2, 20), &record("0123456789"));
            assert!(held.bytes <= MOST);
        }
        let there = |held: &Held, writer| held.precede(&part(writer, 0, 1, 2, 20));
        assert!((0..100).map(|writer| there(&held, writer)).eq((0..100).map(|n| n >= 97)));
        // Longer than it says, and longer than is delivered.
        held.clear();
        held.add(&part(1, 0, 0, 3, 9), &record("0123456789"));
        held.add(&part(2, 0, 0, 3, MOST + 1), &record("0123456789"));
        assert_eq!((held.messages.len(), held.bytes), (1, MESSAGE));
    }

    #[test]
    fn what_is_never_whole_is_dropped_at_what_shows_it() {
        let new = || {
            let mut held = Held::new(10_000);
            held.add(&part(1, 5, 0, 3, 3), &stamped(7, 42));
            held
        };
        // Parts of the same message, of an earlier one that comes late, and messages before it.
        for (part, record) in [
            (Some(part(1, 5, 1, 3, 3)), stamped(7, 42)),
            (Some(part(1, 4, 1, 3, 3)), stamped(7, 41)),
            (Some(part(2, 0, 0, 3, 3)), stamped(7, 41)),
            (None, stamped(7, 41)),
            (None, stamped(6, 50)),
            (None, record("x")),
        ] {
            assert_eq!(new().pass(part.as_ref(), &record), 0, "{part:?} {record:?}");
        }
        // The next of the writer, the message again, one behind it or a tick, and a newer epoch.
        for (part, record) in [
            (Some(part(1, 6, 0, 3, 3)), record("x")),
            (Some(part(2, 0, 0, 3, 3)), stamped(7, 42)),
            (None, stamped(7, 42)),
            (None, stamped(8, 0)),
        ] {
            let mut held = new();
            assert_eq!(held.pass(part.as_ref(), &record), 1, "{part:?} {record:?}");
            assert_eq!(held.bytes, 0);
        }
    }
}
