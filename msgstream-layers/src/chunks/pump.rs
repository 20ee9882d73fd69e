//! Writes large records part by part.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportError, TransportErrorKind as Kind,
    Unstored,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use super::part::Split;
use crate::planted::{Bug, planted};

/// What a batch is written in.
#[derive(Debug)]
pub(super) enum Piece {
    Whole(Vec<Record>),
    Split(Split),
}

/// How many tasks of a handle write something.
#[derive(Debug, Default)]
pub(super) struct Busy(watch::Sender<usize>);

impl Busy {
    /// Waits until none does.
    pub(super) async fn end(&self) {
        // The sender is here, so this can't fail.
        let _ = self.0.subscribe().wait_for(|running| *running == 0).await;
    }
}

/// A task that writes what waits.
struct Running {
    pump: Arc<Pump>,
    is_done: bool,
}

impl Running {
    fn new(pump: &Arc<Pump>) -> Self {
        pump.busy.0.send_modify(|running| *running += 1);
        Self { pump: Arc::clone(pump), is_done: false }
    }

    async fn run(mut self) {
        self.pump.run().await;
        self.is_done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done {
            // Its runtime ended: nobody writes what waits.
            self.pump.give_up();
        }
        self.pump.busy.0.send_modify(|running| *running -= 1);
    }
}

/// The writer underneath, and what waits for it.
///
/// A batch with a large record waits for the parts of it, and the batches behind it wait, too: a task
/// writes them, and ends when nothing waits any more. It goes on if the writer is dropped, as batches
/// in flight do.
pub(super) struct Pump {
    channel: Box<str>,
    busy: Arc<Busy>,
    state: Mutex<State>,
    /// Notified when nothing waits any more.
    idle: Notify,
}

struct State {
    /// `None` while it is lent, which it is only while nothing waits.
    inner: Option<Box<dyn ChannelWriter>>,
    queue: VecDeque<Queued>,
    /// A task writes what waits.
    busy: bool,
    /// The writer underneath may not know of it.
    poisoned: bool,
}

/// A batch that waits, and where the receipts of its pieces go.
struct Queued {
    pieces: Vec<Piece>,
    receipts: oneshot::Sender<Vec<Receipt>>,
}

impl Pump {
    pub(super) fn new(inner: Box<dyn ChannelWriter>, channel: &str, busy: Arc<Busy>) -> Self {
        let (inner, queue) = (Some(inner), VecDeque::new());
        let state = Mutex::new(State { inner, queue, busy: false, poisoned: false });
        Self { channel: channel.into(), busy, state, idle: Notify::new() }
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the writer underneath something.
    pub(super) fn with<T, E: From<Kind>>(
        &self,
        ask: impl FnOnce(&dyn ChannelWriter) -> Result<T, E>,
    ) -> Result<T, E> {
        // It is lent by calls alone that no other call can be made beside.
        self.lock().inner.as_deref().map_or_else(|| Err(Kind::Closed.into()), ask)
    }

    pub(super) fn poison(&self) {
        self.lock().poisoned = true;
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.lock().poisoned
    }

    /// Lends the writer underneath, once nothing waits any more.
    pub(super) async fn lend(&self) -> Lent<'_> {
        loop {
            let idle = self.idle.notified();
            if let Some(inner) = self.lock().take_idle() {
                return Lent { pump: self, inner: Some(inner) };
            }
            idle.await;
        }
    }

    /// Writes a batch, at once if nothing waits and nothing in it is split.
    pub(super) fn hand_over(self: &Arc<Self>, mut pieces: Vec<Piece>, runtime: &Handle) -> Receipt {
        let mut state = self.lock();
        if !state.busy
            && let [Piece::Whole(records)] = &mut pieces[..]
        {
            return state.submit(&self.channel, std::mem::take(records));
        }
        let (receipts, written) = oneshot::channel();
        state.queue.push_back(Queued { pieces, receipts });
        if !std::mem::replace(&mut state.busy, true) {
            runtime.spawn(Running::new(self).run());
        }
        let channel = self.channel.clone();
        Receipt::from_future(async move {
            match written.await {
                Ok(receipts) => together(receipts).await,
                // The runtime ended.
                Err(_) => {
                    let error = TransportError::new("submit", Kind::Closed).on(channel);
                    Outcome::partial(Vec::new(), Fate::Unknown, error)
                }
            }
        })
    }

    async fn run(&self) {
        while let Some(Queued { pieces, receipts }) = self.next() {
            let mut written = Vec::with_capacity(pieces.len());
            for piece in pieces {
                written.push(match piece {
                    Piece::Whole(records) => self.submit(records),
                    Piece::Split(split) => self.write(split).await,
                });
            }
            // The receipt may have been dropped.
            drop(receipts.send(written));
        }
    }

    fn give_up(&self) {
        let mut state = self.lock();
        state.queue.clear();
        (state.busy, state.poisoned) = (false, true);
        self.idle.notify_waiters();
    }

    fn next(&self) -> Option<Queued> {
        let mut state = self.lock();
        let next = state.queue.pop_front();
        if next.is_none() {
            state.busy = false;
            self.idle.notify_waiters();
        }
        next
    }

    fn submit(&self, records: Vec<Record>) -> Receipt {
        self.lock().submit(&self.channel, records)
    }

    /// Writes the parts of a message, and the last one once the others are stored.
    async fn write(&self, split: Split) -> Receipt {
        // Each a batch of its own: nothing has to hold all of them at once.
        let parts: Vec<_> = split.firsts().map(|part| self.submit(vec![part])).collect();
        if planted(Bug::EarlyLast) {
            return self.submit(vec![split.last(Position::default())]);
        }
        let mut first = None;
        for part in parts {
            let Outcome { stored, rest, .. } = part.await;
            if let Some(Unstored { error, .. }) = rest {
                // Without its last part it isn't a message, whatever is stored of it.
                self.poison();
                return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
            }
            first = first.or(stored.first().copied());
        }
        self.submit(vec![split.last(first.unwrap_or_default())])
    }
}

impl State {
    fn take_idle(&mut self) -> Option<Box<dyn ChannelWriter>> {
        if self.busy { None } else { self.inner.take() }
    }

    fn submit(&mut self, channel: &str, records: Vec<Record>) -> Receipt {
        match &mut self.inner {
            Some(inner) if !self.poisoned => inner.submit(records),
            _ => {
                let error = TransportError::new("submit", Kind::Poisoned).on(channel);
                Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
            }
        }
    }
}

/// Returns the outcome of a batch whose pieces have these.
async fn together(receipts: Vec<Receipt>) -> Outcome {
    let mut all = Outcome::stored(Vec::new());
    for receipt in receipts {
        let Outcome { stored, rest, .. } = receipt.await;
        match &mut all.rest {
            None => {
                all.stored.extend(stored);
                all.rest = rest;
            }
            // What is behind a failure isn't acknowledged, but may be stored.
            Some(failed) => {
                let is_refused = rest.is_none_or(|rest| rest.fate == Fate::NotStored);
                if !is_refused || !stored.is_empty() {
                    failed.fate = Fate::Unknown;
                }
            }
        }
    }
    all
}

/// The writer underneath. It is given back on drop.
pub(super) struct Lent<'a> {
    pump: &'a Pump,
    inner: Option<Box<dyn ChannelWriter>>,
}

impl Lent<'_> {
    pub(super) async fn ready(&mut self) -> Result<()> {
        match &mut self.inner {
            Some(inner) => inner.ready().await,
            None => Ok(()),
        }
    }

    pub(super) async fn close(&mut self) -> Result<()> {
        match &mut self.inner {
            Some(inner) => inner.close().await,
            None => Ok(()),
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pump.lock().inner = self.inner.take();
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let mut shown = f.debug_struct("Pump");
        shown.field("inner", &state.inner).field("waiting", &state.queue.len());
        shown.finish_non_exhaustive()
    }
}
