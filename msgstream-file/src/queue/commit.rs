//! Committing what waits in a queue: on one thread if nobody else has the lock.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{Fate, TransportErrorKind as Kind};

use super::{Queue, State, Ticket};
use crate::client::{Busy, Handle, lock};
use crate::log::{Batch, Held, Log, Rules, Writing};
use crate::watch::signal;

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) batches: Vec<Batch>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) writing: Writing,
}

/// What a commit leaves.
pub(super) struct Committed {
    pub(super) writing: Writing,
    pub(super) writers: Vec<Arc<State>>,
}

impl Group {
    /// Appends the batches, and settles what is owed for them.
    fn commit(mut self, log: &Log, held: &Held, rules: &Rules) -> Committed {
        // What follows a failure isn't written: it would be out of order.
        let (batches, tickets) = (std::mem::take(&mut self.batches), &mut self.tickets);
        let (mut going, mut refused) = (Vec::new(), Vec::new());
        for (batch, mut ticket) in batches.into_iter().zip(tickets.drain(..)) {
            if ticket.writer.flight.borrow().failed {
                refused.push(ticket);
            } else {
                ticket.has_begun = true;
                going.push((batch, ticket));
            }
        }
        for ticket in refused {
            ticket.settle(Err((Fate::NotStored, Kind::Poisoned.into())));
        }
        let (mut batches, tickets): (Vec<_>, Vec<_>) = going.into_iter().unzip();
        let writers = tickets.iter().map(|ticket| Arc::clone(&ticket.writer)).collect();
        let mut range = None;
        let appended = match batches.is_empty() {
            true => Ok(()),
            false => {
                let acknowledge = |stored| range = Some(stored);
                log.append(held, &mut self.writing, &mut batches, rules, acknowledge)
            }
        };
        if range.is_some() {
            signal::notify(log.incarnation());
        }
        let mut next = range.map_or(0, |range: Range<u64>| range.start);
        for ticket in tickets {
            let first = next;
            next += ticket.records;
            ticket.settle(match &appended {
                Ok(()) => Ok((first..next).map(Position::new).collect()),
                Err((fate, failure)) => Err((*fate, failure.clone())),
            });
        }
        Committed { writing: self.writing, writers }
    }

    /// Settles what is owed for batches of which nothing is written.
    fn refuse(self, failure: &Failure) {
        for ticket in self.tickets {
            ticket.settle(Err((Fate::NotStored, failure.clone())));
        }
    }
}

/// Whoever commits. If its runtime ends, what waits isn't stored, and the next batch starts another.
pub(super) struct Running {
    pub(super) queue: Arc<Queue>,
    pub(super) is_done: bool,
    /// Dropped last, so that closing the handle waits until everything is settled.
    pub(super) _busy: Busy,
}

impl Running {
    /// Commits on a thread for the disk.
    pub(super) fn start(self, handle: Arc<Handle>, runtime: tokio::runtime::Handle) {
        let workers = Arc::clone(&handle.workers);
        let own = runtime.clone();
        workers.start(&own, move || self.commit_now(handle, runtime));
    }

    /// Commits what waits, if nobody else has the lock: then no other thread has a part in it. The
    /// turn of other channels comes after each commit.
    fn commit_now(mut self, handle: Arc<Handle>, runtime: tokio::runtime::Handle) {
        let Some(group) = self.queue.take() else {
            self.is_done = true;
            return;
        };
        match self.queue.log.try_both_locks() {
            Ok(Some(held)) => {
                let done = group.commit(&self.queue.log, &held, &handle.config.rules());
                drop(held);
                self.queue.committed(&handle, &runtime, done);
                self.go_on(handle, runtime);
            }
            Ok(None) => {
                let own = runtime.clone();
                own.spawn(self.wait_and_commit(group, handle, runtime));
            }
            Err(failure) => {
                group.refuse(&failure);
                self.go_on(handle, runtime);
            }
        }
    }

    /// Commits what was submitted meanwhile.
    fn go_on(mut self, handle: Arc<Handle>, runtime: tokio::runtime::Handle) {
        self.is_done = self.queue.rests();
        if !self.is_done {
            self.start(handle, runtime);
        }
    }

    /// Commits a group once the lock is free, and goes on.
    async fn wait_and_commit(
        self,
        group: Group,
        handle: Arc<Handle>,
        runtime: tokio::runtime::Handle,
    ) {
        let permit = handle.commits.acquire().await;
        let waiting = Arc::new(Mutex::new(Some(group)));
        let (log, rules, taken) =
            (self.queue.log.clone(), handle.config.rules(), Arc::clone(&waiting));
        let committed = handle.locked(&self.queue.log, move |held| {
            let group = lock(&taken).take();
            Ok(group.map(|group| group.commit(&log, held, &rules)))
        });
        let committed = committed.await;
        drop(permit);
        match committed {
            Ok(Some(done)) => self.queue.committed(&handle, &runtime, done),
            Ok(None) => {}
            // Whoever couldn't take the lock has written nothing.
            Err(failure) => {
                if let Some(group) = lock(&waiting).take() {
                    group.refuse(&failure);
                }
            }
        }
        self.go_on(handle, runtime);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let left = {
            let mut inner = lock(&self.queue.inner);
            inner.runs = false;
            std::mem::take(&mut inner.waiting)
        };
        drop(left);
    }
}
