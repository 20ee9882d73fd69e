//! What is in flight: entries in their order, and the receipts that wait for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind as Kind,
};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use crate::batch::EncodedEntry;
use crate::connection::lock;

/// The entries of one writer that have no receipt yet.
///
/// The connection reports what became of them. After the first failure it accepts nothing more.
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
    /// Why it accepts nothing more.
    ended: Option<Failure>,
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

    fn error(&self, failure: Failure) -> TransportError {
        failure.during("submit").on(&*self.channel)
    }

    /// Returns the receipt of records that aren't sent.
    pub(crate) fn refuse(&self, failure: Failure) -> Receipt {
        Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, self.error(failure)))
    }

    /// Returns the receipt of records that can't be sent, and ends the producer.
    pub(crate) fn poison(&self, failure: Failure) -> Receipt {
        let mut state = lock(&self.state);
        let why = state.ended.clone().unwrap_or(failure);
        state.ended.get_or_insert_with(|| Kind::Poisoned.into());
        drop(state);
        self.changed.notify_waiters();
        self.refuse(why)
    }

    /// Takes the entries of a batch, and passes each with its sequence to the function that sends it,
    /// under a lock, so that they are sent in the order of their sequences.
    pub(crate) fn submit(
        &self,
        entries: Vec<EncodedEntry>,
        mut send: impl FnMut(u64, EncodedEntry),
    ) -> Receipt {
        let mut state = lock(&self.state);
        if let Some(failure) = &state.ended {
            let failure = failure.clone();
            return self.refuse(failure);
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

    /// Handles the receipt of an entry, with its place if the broker stored it.
    pub(crate) fn receipt(&self, sequence: u64, place: Option<(u64, u64)>) {
        let mut state = lock(&self.state);
        let Some(pending) = state.entries.front() else { return };
        if sequence < pending.sequence {
            return;
        }
        if sequence > pending.sequence {
            let reason = format!(
                "the broker sent the receipt for entry {sequence} before that for {}",
                pending.sequence
            );
            return self.end(state, Fate::Unknown, Kind::Protocol { reason }.into());
        }
        // This is how a broker answers that takes an entry for one that it has already.
        let Some((ledger, entry)) = place.filter(|(_, entry)| *entry != u64::MAX) else {
            let reason = "the broker took the records for repeats and didn't store them; open a new writer and send them again";
            let kind = Kind::Protocol { reason: reason.to_owned() };
            return self.end(state, Fate::NotStored, kind.into());
        };
        let first = Position::from_words([ledger, entry, 1]);
        if state.last.is_some_and(|last| last >= first) {
            let reason =
                format!("the broker sent the receipt for {first} after that for a later position");
            return self.end(state, Fate::Unknown, Kind::Protocol { reason }.into());
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

    /// Handles the refusal of an entry.
    pub(crate) fn refused(&self, sequence: u64, failure: Failure) {
        let state = lock(&self.state);
        match state.entries.front() {
            // A broker that failed to store may have stored all the same.
            Some(front) if front.sequence == sequence && !failure.is_temporary() => {
                self.end(state, Fate::NotStored, failure);
            }
            _ => self.end(state, Fate::Unknown, failure),
        }
    }

    /// Fails everything in flight, whose fate is unknown.
    pub(crate) fn fail(&self, failure: Failure) {
        self.end(lock(&self.state), Fate::Unknown, failure);
    }

    /// Fails everything in flight if the first entry has waited for too long.
    pub(crate) fn expire(&self, now: Instant) {
        let state = lock(&self.state);
        if state.entries.front().is_some_and(|front| front.deadline <= now) {
            self.end(state, Fate::Unknown, Kind::TimedOut { after: self.timeout }.into());
        }
    }

    /// Ends everything in flight: the first entry has the fate, and what is behind it may be
    /// stored or not.
    fn end(&self, mut state: std::sync::MutexGuard<'_, State>, first: Fate, failure: Failure) {
        if state.ended.is_none() && failure.kind != Kind::Closed {
            warn!(channel = &*self.channel, error = %failure, "the writer failed and takes no more records");
        }
        state.ended.get_or_insert_with(|| Kind::Poisoned.into());
        let entries = std::mem::take(&mut state.entries);
        let batches = std::mem::take(&mut state.batches);
        state.bytes = 0;
        drop(state);
        let mut fate = match entries.front() {
            Some(front) if front.ends_batch => first,
            _ => Fate::Unknown,
        };
        for Batch { sender, stored } in batches {
            sender.send(Outcome::partial(stored, fate, self.error(failure.clone())));
            fate = Fate::Unknown;
        }
        self.changed.notify_waiters();
    }

    /// Accepts nothing more. Batches in flight are finished.
    pub(crate) fn close(&self) {
        lock(&self.state).ended = Some(Kind::Closed.into());
        self.changed.notify_waiters();
    }

    /// Notes that its writer was dropped.
    pub(crate) fn abandon(&self) {
        lock(&self.state).dropped = true;
    }

    /// Returns whether nothing more can happen to it.
    pub(crate) fn is_over(&self) -> bool {
        let state = lock(&self.state);
        state.entries.is_empty() && (state.dropped || state.ended.is_some())
    }

    /// Waits until less than so many bytes are in flight.
    pub(crate) async fn room(&self, window: usize) -> Result<(), Failure> {
        self.until(|state| match &state.ended {
            Some(failure) => Some(Err(failure.clone())),
            None => (state.bytes < window).then_some(Ok(())),
        })
        .await
    }

    /// Waits until nothing is in flight, for the timeout at most.
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
