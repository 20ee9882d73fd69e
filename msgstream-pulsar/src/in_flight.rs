//! What a writer has in flight: entries, in order, and the receipts that wait for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind as Kind,
};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use crate::batch::EncodedEntry;
use crate::connection::lock;

/// The entries of one writer that no receipt has come for yet.
///
/// It hears from the connection what became of them. After the first that failed it takes nothing
/// more.
#[derive(Debug)]
pub(crate) struct Producer {
    channel: Arc<str>,
    /// How long an entry waits for its receipt.
    timeout: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_sequence: u64,
    entries: VecDeque<Pending>,
    batches: VecDeque<Batch>,
    /// Of the entries, in bytes.
    bytes: usize,
    last: Option<Position>,
    /// Why it takes nothing more.
    ended: Option<Kind>,
    /// Nobody will hand over more.
    dropped: bool,
}

#[derive(Debug)]
struct Pending {
    sequence: u64,
    messages: u64,
    bytes: usize,
    deadline: Instant,
    /// It is the last one of its batch.
    ends_batch: bool,
}

/// What was handed over together.
#[derive(Debug)]
struct Batch {
    sender: ReceiptSender,
    stored: Vec<Position>,
}

impl Producer {
    pub(crate) fn new(channel: &str, timeout: Duration) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { channel: channel.into(), timeout, state, changed })
    }

    fn error(&self, kind: Kind) -> TransportError {
        TransportError::new("submit", kind).on(&*self.channel)
    }

    /// A receipt for what isn't sent at all.
    pub(crate) fn refuse(&self, kind: Kind) -> Receipt {
        Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, self.error(kind)))
    }

    /// A receipt for what can't be sent, which ends the producer too.
    pub(crate) fn poison(&self, kind: Kind) -> Receipt {
        let mut state = lock(&self.state);
        let why = state.ended.clone().unwrap_or(kind);
        state.ended.get_or_insert(Kind::Poisoned);
        drop(state);
        self.changed.notify_waiters();
        self.refuse(why)
    }

    /// Takes the entries of a batch, and hands each with its sequence to what sends it. Nobody
    /// comes in between, so they are sent in the order of their sequences.
    pub(crate) fn submit(
        &self,
        entries: Vec<EncodedEntry>,
        mut send: impl FnMut(u64, EncodedEntry),
    ) -> Receipt {
        let mut state = lock(&self.state);
        if let Some(kind) = &state.ended {
            let kind = kind.clone();
            return self.refuse(kind);
        }
        let (sender, receipt) = Receipt::pending();
        let count = entries.len();
        if count == 0 {
            sender.send(Outcome::stored(Vec::new()));
            return receipt;
        }
        let deadline = Instant::now() + self.timeout;
        for (at, entry) in entries.into_iter().enumerate() {
            let sequence = state.next_sequence;
            state.next_sequence += 1;
            let bytes = entry.payload.len();
            state.bytes += bytes;
            state.entries.push_back(Pending {
                sequence,
                messages: entry.messages.into(),
                bytes,
                deadline,
                ends_batch: at + 1 == count,
            });
            send(sequence, entry);
        }
        state.batches.push_back(Batch { sender, stored: Vec::new() });
        receipt
    }

    /// The broker has an entry, at a place; or says so and has it not.
    pub(crate) fn receipt(&self, sequence: u64, place: Option<(u64, u64)>) {
        let mut state = lock(&self.state);
        let Some(pending) = state.entries.front() else { return };
        if sequence < pending.sequence {
            return;
        }
        if sequence > pending.sequence {
            let reason =
                format!("a receipt for {sequence} came before that for {}", pending.sequence);
            return self.end(state, Fate::Unknown, Kind::Protocol { reason });
        }
        // This is how a broker answers that takes an entry for one that it has already.
        let Some((ledger, entry)) = place.filter(|(_, entry)| *entry != u64::MAX) else {
            let reason = "the broker took the records for ones that it has, and didn't store them";
            let kind = Kind::Protocol { reason: reason.to_owned() };
            return self.end(state, Fate::NotStored, kind);
        };
        let first = Position::from_words([ledger, entry, 1]);
        if state.last.is_some_and(|last| last >= first) {
            let reason = format!("the receipt for {first} came after that for a later place");
            return self.end(state, Fate::Unknown, Kind::Protocol { reason });
        }
        let Some(done) = state.entries.pop_front() else { return };
        state.bytes -= done.bytes;
        state.last = Some(Position::from_words([ledger, entry, done.messages]));
        let stored = (1..=done.messages).map(|n| Position::from_words([ledger, entry, n]));
        if let Some(batch) = state.batches.front_mut() {
            batch.stored.extend(stored);
        }
        if done.ends_batch
            && let Some(batch) = state.batches.pop_front()
        {
            batch.sender.send(Outcome::stored(batch.stored));
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The broker refused an entry.
    pub(crate) fn refused(&self, sequence: u64, kind: Kind) {
        let state = lock(&self.state);
        match state.entries.front() {
            // A broker that failed to store may have stored all the same.
            Some(front) if front.sequence == sequence && !kind.is_temporary() => {
                self.end(state, Fate::NotStored, kind);
            }
            _ => self.end(state, Fate::Unknown, kind),
        }
    }

    /// Nothing more is heard of what is in flight.
    pub(crate) fn fail(&self, kind: Kind) {
        self.end(lock(&self.state), Fate::Unknown, kind);
    }

    /// Gives up what has waited for too long.
    pub(crate) fn expire(&self, now: Instant) {
        let state = lock(&self.state);
        if state.entries.front().is_some_and(|front| front.deadline <= now) {
            self.end(state, Fate::Unknown, Kind::TimedOut { after: self.timeout });
        }
    }

    /// Ends everything in flight: the first entry has the fate, and what is behind it may be
    /// stored or not.
    fn end(&self, mut state: std::sync::MutexGuard<'_, State>, first: Fate, kind: Kind) {
        if state.ended.is_none() && kind != Kind::Closed {
            warn!(channel = &*self.channel, error = %kind, "a writer is at its end");
        }
        state.ended.get_or_insert(Kind::Poisoned);
        let entries = std::mem::take(&mut state.entries);
        let batches = std::mem::take(&mut state.batches);
        state.bytes = 0;
        drop(state);
        let mut fate = match entries.front() {
            Some(front) if front.ends_batch => first,
            _ => Fate::Unknown,
        };
        for Batch { sender, stored } in batches {
            sender.send(Outcome::partial(stored, fate, self.error(kind.clone())));
            fate = Fate::Unknown;
        }
        self.changed.notify_waiters();
    }

    /// Takes nothing more, for a reason. What is in flight goes on.
    pub(crate) fn close(&self, why: Kind) {
        lock(&self.state).ended = Some(why);
        self.changed.notify_waiters();
    }

    /// Its writer is gone.
    pub(crate) fn abandon(&self) {
        lock(&self.state).dropped = true;
    }

    /// Nothing more can be heard or said of it.
    pub(crate) fn is_over(&self) -> bool {
        let state = lock(&self.state);
        state.entries.is_empty() && (state.dropped || state.ended.is_some())
    }

    /// Waits until less than so many bytes are in flight.
    pub(crate) async fn room(&self, inflight: usize) -> Result<(), Kind> {
        self.until(|state| match &state.ended {
            Some(kind) => Some(Err(kind.clone())),
            None => (state.bytes < inflight).then_some(Ok(())),
        })
        .await
    }

    /// Waits until nothing is in flight. That is so after the timeout at the latest.
    pub(crate) async fn flushed(&self) {
        self.until(|state| state.entries.is_empty().then_some(())).await;
    }

    async fn until<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // It hears of everything from here on, so nothing slips in between look and wait.
            changed.as_mut().enable();
            if let Some(found) = look(&lock(&self.state)) {
                return found;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests;
