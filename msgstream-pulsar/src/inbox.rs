//! What came for a reader and wasn't read yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use msgstream_core::transport::{Position, TransportErrorKind as Kind};
use pulsar::Payload;
use tokio::sync::Notify;

use crate::connection::{Connection, lock};
use crate::frames;
use crate::ledgers::{Ledgers, entry_place, is_beginning};

/// No more messages are asked for at once: what they take is guessed from those that came.
const MAX_PERMITS: i64 = 1000;

/// Entries between the connection, which puts them in, the reader, which takes them out, and the
/// reader's pump, which attaches the inbox to the topic whenever it isn't.
///
/// What doesn't fit is dropped, and read again: the log has it. So the bytes that it holds are
/// bounded, whatever a broker sends.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// In bytes.
    limit: usize,
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
    /// What comes next; what is before it is dropped.
    tail: Position,
    /// Counts the moves of the reader to other places.
    moves: u64,
    link: Link,
    /// Messages that the broker may still send; below 0 where it sent more than it might.
    permits: i64,
    /// What an entry takes, by those that came, in bytes.
    entry_size: usize,
    /// Where the log ended, and what `tail` was when that was asked.
    end: Option<(Position, Position)>,
    end_wanted: bool,
    /// The ledgers, as they were last told.
    ledgers: Ledgers,
    /// The ledger up to which nothing is missing before what came.
    sound: Option<u64>,
    /// Where the reader is that wants to know.
    sound_wanted: Option<Position>,
    failure: Option<Kind>,
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

/// What came, as it came.
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
    Failure(Kind),
}

/// What the pump is to do.
pub(crate) enum Job {
    /// Attach at the place; the number of moves goes with it.
    Join(Position, u64),
    /// Ask for the end of the log.
    End(u64, Arc<Connection>),
    /// Look whether something is missing between the reader's place and the entry that is next.
    Sound(Position),
    Wait,
}

impl Inbox {
    pub(crate) fn new(limit: usize, start: Position) -> Arc<Self> {
        let state = State {
            entries: VecDeque::new(),
            bytes: 0,
            tail: start,
            moves: 0,
            link: Link::Apart,
            permits: 0,
            entry_size: limit,
            end: None,
            end_wanted: false,
            ledgers: Ledgers::default(),
            sound: None,
            sound_wanted: None,
            failure: None,
        };
        let (state, reader, pump) = (Mutex::new(state), Notify::new(), Notify::new());
        Arc::new(Self { limit, state, reader, pump })
    }

    /// What to do next.
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

    /// A consumer is about to be made.
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

    /// Attaching failed, for now or for good.
    pub(crate) fn not_joined(&self) {
        lock(&self.state).link = Link::Apart;
    }

    /// Tells the reader, once it has what came before.
    pub(crate) fn fail(&self, kind: Kind) {
        lock(&self.state).failure = Some(kind);
        self.reader.notify_one();
    }

    /// The consumer is gone.
    pub(crate) fn lost(&self, id: u64) {
        let mut state = lock(&self.state);
        match &state.link {
            Link::Joined(joined, _) if *joined == id => state.link = Link::Apart,
            Link::Joining(joining) if *joining == id => state.link = Link::LostMeanwhile,
            _ => return,
        }
        drop(state);
        self.pump.notify_one();
        self.reader.notify_one();
    }

    /// An entry came for a consumer.
    pub(crate) fn push(&self, id: u64, ledger: u64, entry: u64, payload: Payload) {
        let mut state = lock(&self.state);
        let Link::Joined(joined, connection) = &state.link else { return };
        if *joined != id {
            return;
        }
        let connection = Arc::clone(connection);
        let messages = payload.metadata.num_messages_in_batch.unwrap_or(1).max(1);
        state.permits -= i64::from(messages);
        let [from_ledger, from_entry, _] = state.tail.words();
        if (ledger, entry) < (from_ledger, from_entry) {
            self.grant(&mut state);
            return;
        }
        let bytes = payload.data.len() + size_of::<Entry>();
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
        self.grant(&mut state);
        drop(state);
        self.reader.notify_one();
    }

    /// Lets the broker send what there is room for. A permit is for a message, and may bring all
    /// of an entry.
    fn grant(&self, state: &mut State) {
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

    /// The next entry, where nothing is missing between it and the place that the reader is at.
    pub(crate) fn take(&self, next: Position) -> Found {
        let mut state = lock(&self.state);
        let Some(front) = state.entries.front() else {
            return match state.failure.take() {
                None => Found::Nothing,
                Some(kind) => {
                    drop(state);
                    // It tries again.
                    self.pump.notify_one();
                    Found::Failure(kind)
                }
            };
        };
        let (ledger, entry) = (front.ledger, front.entry);
        let follows = next.words()[0] == ledger
            || is_beginning(next)
            || state.sound == Some(ledger)
            || state.ledgers.adjoin(next, ledger, entry);
        if !follows {
            if let Some(kind) = state.failure.take() {
                return Found::Failure(kind);
            }
            state.sound_wanted = Some(next);
            drop(state);
            self.pump.notify_one();
            return Found::Nothing;
        }
        let Some(entry) = state.entries.pop_front() else { return Found::Nothing };
        state.bytes -= entry.bytes;
        self.grant(&mut state);
        let room = matches!(state.link, Link::Apart) && state.bytes <= self.limit / 2;
        drop(state);
        if room {
            self.pump.notify_one();
        }
        Found::Entry(Box::new(entry))
    }

    /// Whether records of a ledger that was read in part are gone, by what the broker tells now.
    pub(crate) fn sounded(&self, next: Position, ledgers: Ledgers) {
        let mut state = lock(&self.state);
        if state.sound_wanted.take_if(|wanted| *wanted == next).is_none() {
            return;
        }
        let Some((ledger, entry)) = state.entries.front().map(|e| (e.ledger, e.entry)) else {
            return;
        };
        if ledgers.contains(next.words()[0]) {
            state.sound = Some(ledger);
            state.ledgers = ledgers;
        } else {
            let first = ledgers.first().unwrap_or(entry_place(ledger, entry));
            state.failure = Some(Kind::PositionTrimmed { position: next, first });
        }
        drop(state);
        self.reader.notify_one();
    }

    /// Whether the reader is at the end of the log when it has taken everything; `None` where it
    /// has to be asked.
    pub(crate) fn at_end(&self) -> Option<bool> {
        let mut state = lock(&self.state);
        if !state.entries.is_empty() || !matches!(state.link, Link::Joined(..)) {
            return Some(false);
        }
        match state.end {
            Some((end, _)) if end > state.tail => Some(false),
            Some((_, asked_at)) if asked_at == state.tail => Some(true),
            _ => {
                state.end_wanted = true;
                drop(state);
                self.pump.notify_one();
                None
            }
        }
    }

    /// What `tail` is, for a question about the end.
    pub(crate) fn tail(&self) -> Position {
        lock(&self.state).tail
    }

    /// The log ends here; it was asked when the tail was there. `None` where nobody said.
    pub(crate) fn ends(&self, asked_at: Position, end: Option<Position>) {
        let mut state = lock(&self.state);
        state.end_wanted = false;
        state.end = end.map(|end| (end, asked_at));
        drop(state);
        self.reader.notify_one();
    }

    /// Goes to another place. What came is void.
    pub(crate) fn go(&self, to: Position) {
        let mut state = lock(&self.state);
        state.entries.clear();
        state.bytes = 0;
        state.tail = to;
        state.moves += 1;
        (state.end, state.end_wanted) = (None, false);
        (state.sound, state.sound_wanted, state.failure) = (None, None, None);
        let link = std::mem::replace(&mut state.link, Link::Apart);
        drop(state);
        match link {
            Link::Joined(id, connection) => connection.close_consumer(id),
            // The pump finds that it came too late.
            Link::Joining(_) | Link::LostMeanwhile | Link::Apart => {}
        }
        self.pump.notify_one();
    }

    /// Its reader is gone.
    pub(crate) fn close(&self) {
        let link = std::mem::replace(&mut lock(&self.state).link, Link::Apart);
        match link {
            Link::Joined(id, connection) => connection.close_consumer(id),
            Link::Joining(_) | Link::LostMeanwhile | Link::Apart => {}
        }
    }
}
