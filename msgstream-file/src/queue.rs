//! What is submitted to one channel, and the task that commits it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, Outcome, ReceiptSender, TransportError, TransportErrorKind as Kind,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::{Busy, Handle, lock};
use crate::config::Sync;
use crate::log::{Batch, Log, Writing};
use crate::watch::signal;

/// How much one commit takes, in bytes: what waits is committed together.
const COMMIT: usize = 8 << 20;

/// A batch that waits for its commit.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) batch: Batch,
    pub(crate) receipt: ReceiptSender,
    pub(crate) writer: Arc<State>,
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
    ) {
        let mut inner = lock(&self.inner);
        inner.waiting.push_back(pending);
        if !std::mem::replace(&mut inner.runs, true) {
            let (queue, busy) = (Arc::clone(self), handle.busy());
            runtime.spawn(queue.run(Arc::clone(handle), busy));
        }
    }

    /// Commits until nothing waits any more.
    async fn run(self: Arc<Self>, handle: Arc<Handle>, _busy: Busy) {
        while let Some((group, writing)) = self.take() {
            let group = self.commit(&handle, group, writing).await;
            if let Sync::Every(interval) = handle.config.sync {
                self.sync_in(&handle, interval, group);
            }
        }
    }

    /// Takes what is committed next; `None` if nothing waits.
    fn take(&self) -> Option<(Vec<Pending>, Writing)> {
        let mut inner = lock(&self.inner);
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(next) = inner.waiting.front() {
            bytes += next.batch.size();
            if bytes > COMMIT && !group.is_empty() {
                break;
            }
            group.extend(inner.waiting.pop_front());
        }
        if group.is_empty() {
            inner.runs = false;
            return None;
        }
        Some((group, std::mem::take(&mut inner.writing)))
    }

    /// Commits a group, and returns who wrote it.
    async fn commit(
        &self,
        handle: &Arc<Handle>,
        group: Vec<Pending>,
        mut writing: Writing,
    ) -> Vec<Arc<State>> {
        let (mut batches, mut receipts) = (Vec::new(), Vec::new());
        for Pending { batch, receipt, writer } in group {
            // What follows a failure isn't written: it would be out of order.
            if writer.flight.borrow().failed {
                let poisoned = (Fate::NotStored, Kind::Poisoned.into());
                settle(&writer, &Size::from(&batch), receipt, |_| Err(poisoned));
                continue;
            }
            receipts.push((Size::from(&batch), receipt, writer));
            batches.push(batch);
        }
        if batches.is_empty() {
            return Vec::new();
        }
        let (log, rules) = (self.log.clone(), handle.config.rules());
        let permit = handle.commits.acquire().await;
        let appended = handle.locked(&self.log, move |held| {
            let mut range = Range::default();
            let appended =
                log.append(held, &mut writing, &mut batches, &rules, |stored| range = stored);
            Ok((appended.map(|()| range), writing))
        });
        // Whoever couldn't take the lock has written nothing.
        let appended = match appended.await {
            Ok((appended, writing)) => {
                lock(&self.inner).writing = writing;
                appended
            }
            Err(failure) => Err((Fate::NotStored, failure)),
        };
        drop(permit);
        if appended.is_ok()
            && let Some(signal) = signal::find(self.log.incarnation())
        {
            signal.notify_waiters();
        }
        let mut next = appended.as_ref().map_or(0, |range| range.start);
        let mut writers = Vec::new();
        for (size, receipt, writer) in receipts {
            settle(&writer, &size, receipt, |count| match &appended {
                Ok(_) => {
                    let positions = (next..next + count).map(Position::new).collect();
                    next += count;
                    Ok(positions)
                }
                Err((fate, failure)) => Err((*fate, failure.clone())),
            });
            writers.push(writer);
        }
        writers
    }

    /// Syncs after an interval what these writers wrote, together with what is written until then.
    fn sync_in(self: &Arc<Self>, handle: &Arc<Handle>, interval: Duration, wrote: Vec<Arc<State>>) {
        let mut inner = lock(&self.inner);
        inner.unsynced.extend(wrote);
        if std::mem::replace(&mut inner.syncs, true) {
            return;
        }
        drop(inner);
        let (queue, handle, busy) = (Arc::clone(self), Arc::clone(handle), handle.busy());
        tokio::spawn(async move {
            let _busy = busy;
            // It waits no longer if the handle is closed.
            let _ = timeout(interval, handle.closed()).await;
            let writers = {
                let mut inner = lock(&queue.inner);
                inner.syncs = false;
                std::mem::take(&mut inner.unsynced)
            };
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

/// What a batch counts for.
struct Size {
    records: u64,
    bytes: usize,
}

impl From<&Batch> for Size {
    fn from(batch: &Batch) -> Self {
        Self { records: batch.count(), bytes: batch.size() }
    }
}

/// Ends a batch: tells its writer, and whoever has the receipt.
fn settle(
    writer: &State,
    size: &Size,
    receipt: ReceiptSender,
    outcome: impl FnOnce(u64) -> Result<Vec<Position>, (Fate, Failure)>,
) {
    let outcome = match outcome(size.records) {
        Ok(positions) => Outcome::stored(positions),
        Err((fate, failure)) => {
            writer.fail();
            let error: TransportError = failure.during("submit").on(&*writer.channel);
            Outcome::partial(Vec::new(), fate, error)
        }
    };
    receipt.send(outcome);
    writer.flight.send_modify(|flight| {
        flight.batches -= 1;
        flight.bytes -= size.bytes;
    });
}
