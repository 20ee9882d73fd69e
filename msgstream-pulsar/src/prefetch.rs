//! The prefetch of a reader: entries that arrived for it and weren't read yet.

mod continuity;
mod end;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::continuity::Jump;
use self::end::End;
use crate::connection::{Connection, lock};
use crate::entry::Payload;
use crate::frames;
use crate::ledgers::{Ledgers, entry_place};

/// No more messages are asked for at once: what they take is guessed from those that came.
const MAX_PERMITS: i64 = 1000;
/// No batch has more messages.
const MAX_BATCH: i64 = 1 << 24;

/// Entries between the connection, which puts them in, the reader, which takes them out, and the
/// reader's pump, which attaches the inbox to the topic whenever it isn't.
///
/// What doesn't fit is dropped and read again, because the log has it. So the bytes that it holds are
/// bounded, whatever a broker sends.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// In bytes.
    limit: usize,
    /// After this time without an entry that the log has, it is requested again.
    patience: Duration,
    state: Mutex<State>,
    /// Something came, or what the pump was asked for.
    pub(crate) reader: Notify,
    /// There is something to do.
    pub(crate) pump: Notify,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The place of the next entry; entries before it are dropped.
    tail: Position,
    /// Counts the moves of the reader to other places.
    moves: u64,
    link: Link,
    /// Messages that the broker may still send; below 0 if it sent more than it was allowed to.
    permits: i64,
    /// When it last got something, or made room.
    moved: Instant,
    /// The estimated size of an entry, in bytes.
    entry_size: usize,
    /// Where the log ended at the last report.
    end: Option<End>,
    end_wanted: bool,
    /// The ledgers at the last report.
    ledgers: Ledgers,
    /// Over what the broker passed when it was last attached to.
    jump: Option<Jump>,
    /// The same, when it did so again: nothing that is there is missing.
    sound: Option<Jump>,
    /// Where the reader is that wants to know.
    sound_wanted: Option<Position>,
    failure: Option<Failure>,
    /// The broker closed the consumer since the pump last looked.
    lost: bool,
}

#[derive(Debug)]
enum Link {
    Apart,
    /// The consumer of this number is being made.
    Joining(u64),
    /// Made, and lost again before it was ready.
    LostMeanwhile,
    Joined(u64, Arc<Connection>),
}

/// An entry as it arrived.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) ledger: u64,
    pub(crate) entry: u64,
    pub(crate) payload: Payload,
    bytes: usize,
}

/// What a reader finds.
pub(crate) enum Found {
    Entry(Box<Entry>),
    /// Nothing that could be handed out now.
    Nothing,
    Failure(Failure),
}

/// What the pump must do.
pub(crate) enum Job {
    /// Attach at the place; the number of moves goes with it.
    Join(Position, u64),
    /// Request the end of the log.
    End(u64, Arc<Connection>),
    /// Look whether something is missing between the reader's place and the entry that is next.
    Sound(Position),
    Wait,
}

impl Inbox {
    pub(crate) fn new(limit: usize, patience: Duration, start: Position) -> Arc<Self> {
        let state = State {
            entries: VecDeque::new(),
            bytes: 0,
            tail: start,
            moves: 0,
            link: Link::Apart,
            permits: 0,
            moved: Instant::now(),
            entry_size: limit,
            end: None,
            end_wanted: false,
            ledgers: Ledgers::default(),
            jump: None,
            sound: None,
            sound_wanted: None,
            failure: None,
            lost: false,
        };
        let (state, reader, pump) = (Mutex::new(state), Notify::new(), Notify::new());
        Arc::new(Self { limit, patience, state, reader, pump })
    }

    /// Returns what to do next.
    pub(crate) fn job(&self) -> Job {
        let state = lock(&self.state);
        if state.failure.is_some() {
            return Job::Wait;
        }
        match (&state.link, state.sound_wanted) {
            // Not before there is room.
            (Link::Apart, _) if state.bytes <= self.limit / 2 => Job::Join(state.tail, state.moves),
            (_, Some(place)) => Job::Sound(place),
            (Link::Joined(id, connection), _) if state.end_wanted => {
                Job::End(*id, Arc::clone(connection))
            }
            _ => Job::Wait,
        }
    }

    /// Notes that a consumer is about to be created.
    pub(crate) fn joining(&self, id: u64) {
        lock(&self.state).link = Link::Joining(id);
    }

    /// The consumer is there, and nothing is missing before the place it was made at. Whether it is
    /// still wanted, and alive.
    pub(crate) fn joined(
        &self,
        moves: u64,
        id: u64,
        connection: &Arc<Connection>,
        ledgers: Ledgers,
    ) -> bool {
        let mut state = lock(&self.state);
        let alive = matches!(state.link, Link::Joining(joining) if joining == id);
        if !alive || state.moves != moves {
            state.link = Link::Apart;
            return false;
        }
        state.link = Link::Joined(id, Arc::clone(connection));
        state.ledgers = ledgers;
        (state.permits, state.end) = (0, None);
        self.grant(&mut state);
        drop(state);
        self.reader.notify_one();
        true
    }

    /// Notes that attaching failed.
    pub(crate) fn not_joined(&self) {
        lock(&self.state).link = Link::Apart;
    }

    /// Fails the reader, once it has what arrived before.
    pub(crate) fn fail(&self, failure: Failure) {
        lock(&self.state).failure = Some(failure);
        self.reader.notify_one();
    }

    /// Notes that the consumer is gone.
    pub(crate) fn lost(&self, id: u64) {
        let mut state = lock(&self.state);
        match &state.link {
            Link::Joined(joined, _) if *joined == id => state.link = Link::Apart,
            Link::Joining(joining) if *joining == id => state.link = Link::LostMeanwhile,
            _ => return,
        }
        state.lost = true;
        drop(state);
        self.pump.notify_one();
        self.reader.notify_one();
    }

    /// Returns whether the broker closed the consumer since the last call.
    pub(crate) fn was_lost(&self) -> bool {
        std::mem::take(&mut lock(&self.state).lost)
    }

    /// Handles an entry that arrived for a consumer.
    pub(crate) fn push(&self, id: u64, ledger: u64, entry: u64, raw: Bytes) {
        let bytes = raw.len() + size_of::<Entry>();
        let payload = Payload::parse(raw);
        let mut state = lock(&self.state);
        let Link::Joined(joined, connection) = &state.link else { return };
        if *joined != id {
            return;
        }
        let connection = Arc::clone(connection);
        // If the number of messages is unknown, no permits are left: granting too many does no harm.
        state.permits = payload.messages().map_or(0, |messages| state.permits - messages);
        let [from_ledger, from_entry, _] = state.tail.words();
        if (ledger, entry) < (from_ledger, from_entry) {
            self.grant(&mut state);
            return;
        }
        // Grows at once and shrinks slowly: more than expected is worse than less.
        state.entry_size = bytes.max(state.entry_size - state.entry_size.saturating_sub(bytes) / 8);
        if !state.entries.is_empty() && state.bytes + bytes > self.limit {
            state.link = Link::Apart;
            drop(state);
            connection.close_consumer(id);
            return;
        }
        state.bytes += bytes;
        state.tail = entry_place(ledger, entry.saturating_add(1));
        state.entries.push_back(Entry { ledger, entry, payload, bytes });
        if state.permits < -MAX_BATCH {
            // The entry claims an impossible number of messages. A new consumer counts from 0.
            state.link = Link::Apart;
            drop(state);
            connection.close_consumer(id);
            self.pump.notify_one();
        } else {
            self.grant(&mut state);
            drop(state);
        }
        self.reader.notify_one();
    }

    /// Lets the broker send as much as there is room for. A permit is for one message, but the broker may
    /// send a whole entry for it.
    fn grant(&self, state: &mut State) {
        state.moved = Instant::now();
        let Link::Joined(id, connection) = &state.link else { return };
        let room = self.limit.saturating_sub(state.bytes);
        let entries = i64::try_from(room / state.entry_size.max(1)).unwrap_or(MAX_PERMITS);
        // The first one comes whatever it takes.
        let least = i64::from(state.entries.is_empty());
        let wanted = entries.clamp(least, MAX_PERMITS);
        if wanted > 0 && state.permits <= wanted / 2 {
            let more = u32::try_from(wanted - state.permits).unwrap_or(u32::MAX);
            connection.send(frames::flow(*id, more));
            state.permits += i64::from(more);
        }
    }

    /// Moves to another place, and drops what has arrived.
    pub(crate) fn go(&self, to: Position) {
        let mut state = lock(&self.state);
        state.moves += 1;
        (state.jump, state.sound, state.failure) = (None, None, None);
        self.attach_anew(state, to);
    }

    /// Makes the broker send what it has from a place on.
    fn attach_anew(&self, mut state: MutexGuard<'_, State>, from: Position) {
        state.entries.clear();
        state.bytes = 0;
        state.tail = from;
        (state.end, state.end_wanted, state.sound_wanted) = (None, false, None);
        let link = std::mem::replace(&mut state.link, Link::Apart);
        drop(state);
        match link {
            Link::Joined(id, connection) => connection.close_consumer(id),
            // The pump finds that it came too late.
            Link::Joining(_) | Link::LostMeanwhile | Link::Apart => {}
        }
        self.pump.notify_one();
    }

    /// Closes the consumer, because the reader was dropped.
    pub(crate) fn close(&self) {
        let link = std::mem::replace(&mut lock(&self.state).link, Link::Apart);
        match link {
            Link::Joined(id, connection) => connection.close_consumer(id),
            Link::Joining(_) | Link::LostMeanwhile | Link::Apart => {}
        }
    }
}
