//! What is submitted to one channel, and what is owed for it until it is committed.

mod commit;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, Outcome, ReceiptSender, TransportError, TransportErrorKind as Kind,
};
use tokio::sync::watch;
use tokio::time::timeout;

use self::commit::{Committed, Group, Running};
use crate::client::{Busy, Handle, lock};
use crate::config::SyncPolicy;
use crate::log::{Batch, Log, Writing};

/// How much one commit takes, in bytes: what waits is committed together.
const COMMIT: usize = 8 << 20;

/// A batch that waits for its commit.
#[derive(Debug)]
pub(crate) struct Pending {
    batch: Batch,
    ticket: Ticket,
}

impl Pending {
    pub(crate) fn new(batch: Batch, receipt: ReceiptSender, writer: Arc<State>) -> Self {
        let (records, bytes) = (batch.count(), batch.size());
        writer.flight.send_modify(|flight| {
            flight.batches += 1;
            flight.bytes += bytes;
        });
        let ticket = Ticket { records, bytes, receipt: Some(receipt), writer, has_begun: false };
        Self { batch, ticket }
    }
}

/// What is owed for a batch in flight: an outcome to whoever has the receipt, and room to its writer.
///
/// It is dropped with both still owed only if the runtime ends, or a commit panics.
#[derive(Debug)]
struct Ticket {
    records: u64,
    bytes: usize,
    receipt: Option<ReceiptSender>,
    writer: Arc<State>,
    /// Whether its commit may be under way.
    has_begun: bool,
}

impl Ticket {
    fn settle(mut self, outcome: Result<Vec<Position>, (Fate, Failure)>) {
        self.pay(outcome);
    }

    fn pay(&mut self, outcome: Result<Vec<Position>, (Fate, Failure)>) {
        let Some(receipt) = self.receipt.take() else { return };
        let outcome = match outcome {
            Ok(positions) => Outcome::stored(positions),
            Err((fate, failure)) => {
                self.writer.fail();
                let error: TransportError = failure.during("submit").on(&*self.writer.channel);
                Outcome::partial(Vec::new(), fate, error)
            }
        };
        receipt.send(outcome);
        self.writer.flight.send_modify(|flight| {
            flight.batches -= 1;
            flight.bytes -= self.bytes;
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let reason = "the runtime in which it was written ended".to_owned();
        let fate = if self.has_begun { Fate::Unknown } else { Fate::NotStored };
        self.pay(Err((fate, Kind::Unavailable { reason }.into())));
    }
}

/// What a writer and the task know of each other.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) channel: Box<str>,
    /// What is in flight, in bytes, and whether it takes more.
    pub(crate) flight: watch::Sender<Flight>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) batches: usize,
    pub(crate) bytes: usize,
    /// It takes nothing more: something was refused, or failed.
    pub(crate) poisoned: bool,
    /// What it has in flight isn't written any more: something before it failed.
    failed: bool,
}

impl State {
    pub(crate) fn new(channel: &str) -> Arc<Self> {
        Arc::new(Self { channel: channel.into(), flight: watch::Sender::default() })
    }

    /// Takes nothing more.
    pub(crate) fn poison(&self) {
        self.flight.send_modify(|flight| flight.poisoned = true);
    }

    /// Takes nothing more, and gives up what is in flight.
    fn fail(&self) {
        self.flight.send_modify(|flight| (flight.poisoned, flight.failed) = (true, true));
    }
}

/// The batches of all writers that a handle has on a channel.
#[derive(Debug)]
pub(crate) struct Queue {
    log: Log,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Pending>,
    /// Whether the task runs that commits them.
    runs: bool,
    /// Whether a task runs that syncs what was committed.
    syncs: bool,
    writing: Writing,
    /// Those who wrote since the last sync.
    unsynced: Vec<Arc<State>>,
}

impl Queue {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, inner: Mutex::default() }
    }

    /// Takes a batch, and sees to it that it is committed.
    pub(crate) fn push(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        runtime: &tokio::runtime::Handle,
        pending: Pending,
        busy: Busy,
    ) {
        let starts = {
            let mut inner = lock(&self.inner);
            inner.waiting.push_back(pending);
            !std::mem::replace(&mut inner.runs, true)
        };
        if starts {
            let running = Running { queue: Arc::clone(self), is_done: false, _busy: busy };
            running.start(Arc::clone(handle), runtime.clone());
        }
    }

    /// Takes what is committed next; `None` if nothing waits.
    fn take(&self) -> Option<Group> {
        let mut inner = lock(&self.inner);
        let (mut group, mut bytes) = (Group::default(), 0);
        while let Some(next) = inner.waiting.front() {
            bytes += next.batch.size();
            if bytes > COMMIT && !group.batches.is_empty() {
                break;
            }
            let Some(Pending { batch, ticket }) = inner.waiting.pop_front() else { break };
            group.batches.push(batch);
            group.tickets.push(ticket);
        }
        if group.batches.is_empty() {
            inner.runs = false;
            return None;
        }
        group.writing = std::mem::take(&mut inner.writing);
        Some(group)
    }

    /// Returns whether nothing waits: then the next batch starts another who commits.
    fn rests(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.runs = !inner.waiting.is_empty();
        !inner.runs
    }

    /// Keeps what a commit knows for the next one, and sees to it that what it wrote is synced.
    fn committed(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        runtime: &tokio::runtime::Handle,
        done: Committed,
    ) {
        lock(&self.inner).writing = done.writing;
        if let SyncPolicy::Every(interval) = handle.config.sync {
            self.sync_in(handle, runtime, interval, done.writers);
        }
    }

    /// Syncs after an interval what these writers wrote, together with what is written until then.
    fn sync_in(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        runtime: &tokio::runtime::Handle,
        interval: Duration,
        wrote: Vec<Arc<State>>,
    ) {
        let mut inner = lock(&self.inner);
        inner.unsynced.extend(wrote);
        if std::mem::replace(&mut inner.syncs, true) {
            return;
        }
        drop(inner);
        let (queue, handle, busy) = (Arc::clone(self), Arc::clone(handle), handle.busy());
        runtime.spawn(async move {
            let _busy = busy;
            let due = Due(Arc::clone(&queue));
            // It waits no longer if the handle is closed.
            let _ = timeout(interval, handle.closed()).await;
            drop(due);
            let writers = std::mem::take(&mut lock(&queue.inner).unsynced);
            let log = queue.log.clone();
            let synced = handle.locked(&queue.log, move |held| log.sync_published(held)).await;
            if let Err(error) = synced {
                for writer in &writers {
                    writer.fail();
                }
                if let Some(writer) = writers.first() {
                    tracing::error!(channel = &*writer.channel, %error, "what was written isn't durable; its writers end");
                }
            }
        });
    }
}

/// A sync that is due. If its runtime ends before, the next commit sees to another.
struct Due(Arc<Queue>);

impl Drop for Due {
    fn drop(&mut self) {
        lock(&self.0.inner).syncs = false;
    }
}
