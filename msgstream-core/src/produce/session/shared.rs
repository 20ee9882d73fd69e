//! A channel's writer and its unacknowledged queue, shared by the caller that submits and the task
//! that recovers from failures.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::unacked::UnackedQueue;
use crate::record::Record;
use crate::transport::{
    ChannelWriter, Fate, Outcome, Receipt, ReceiptSender, TransportError, TransportErrorKind,
};

pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when something was acknowledged, recovered or ended.
    changed: Notify,
    window_bytes: usize,
    is_session: bool,
}

pub(super) struct State {
    pub(super) queue: UnackedQueue,
    /// The writer; a failed one until it is replaced. `None` while [`Shared::ready`] uses it.
    writer: Option<Box<dyn ChannelWriter>>,
    mode: Mode,
    /// Wakes the task.
    task: Option<Waker>,
    /// Something was acknowledged since the task last checked.
    progress: bool,
}

enum Mode {
    Open,
    /// The task has to open another writer.
    Broken(TransportError),
    /// The task is opening another writer and resending.
    Recovering,
    /// Nothing is accepted any more, for this reason.
    Ended(TransportErrorKind),
}

impl Shared {
    pub(super) fn new(
        queue: UnackedQueue,
        writer: Box<dyn ChannelWriter>,
        window_bytes: usize,
    ) -> Self {
        let (writer, mode, is_session) = (Some(writer), Mode::Open, queue.is_session());
        let state = State { queue, writer, mode, task: None, progress: false };
        Self { state: Mutex::new(state), changed: Notify::new(), window_bytes, is_session }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A transport that panicked in `submit` fails in its receipts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a batch, and sends it if the channel is open.
    pub(super) fn submit(&self, records: Vec<Record>, buffers: Vec<Bytes>) -> Receipt {
        self.take(|queue, reply| queue.take(records, buffers, reply, Instant::now()))
    }

    /// Queues a tick that messages which follow it needn't wait for, and sends it if it is due.
    pub(super) fn submit_tick(&self, tick: Vec<Record>) -> Receipt {
        self.take(|queue, reply| queue.take_tick(tick, reply, Instant::now()))
    }

    /// Writes a base. Its position is after everything that was submitted before.
    pub(super) fn mark(&self) -> Receipt {
        self.take(|queue, reply| queue.take_base(reply, Instant::now()))
    }

    fn take(&self, put: impl FnOnce(&mut UnackedQueue, ReceiptSender)) -> Receipt {
        let mut state = self.lock();
        if let Mode::Ended(kind) = &state.mode {
            let error = TransportError::new("submit", kind.clone()).on(&**state.queue.channel());
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
        }
        let (reply, receipt) = Receipt::pending();
        let idle = state.queue.receipt().is_none();
        put(&mut state.queue, reply);
        state.send();
        // The task waits for one receipt at a time. It needn't run for one that is complete
        // already.
        if idle && state.poll_receipts(&mut Context::from_waker(Waker::noop())).is_pending() {
            state.wake();
        }
        receipt
    }

    /// Waits until the channel accepts another batch.
    pub(super) async fn ready(&self) -> Result<(), TransportError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // It is notified from here on, so nothing is missed between the check and the wait.
            changed.as_mut().enable();
            let Some(mut lent) = self.lend()? else {
                changed.await;
                continue;
            };
            let Some(writer) = &mut lent.writer else { continue };
            match writer.ready().await {
                Ok(()) => return Ok(()),
                Err(error) if self.is_session => lent.failed = Some(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until everything is acknowledged, or the channel has ended.
    pub(super) async fn settled(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.lock().is_settled() {
                return;
            }
            changed.await;
        }
    }

    /// Accepts nothing more, and in a session writes a goodbye record if everything is
    /// acknowledged.
    pub(super) fn say_goodbye(&self) -> Option<Receipt> {
        let mut state = self.lock();
        let State { queue, writer, mode, .. } = &mut *state;
        let open = self.is_session && matches!(mode, Mode::Open) && queue.is_empty();
        let receipt = open.then(|| Some(writer.as_mut()?.submit(queue.goodbye())));
        drop(state);
        let closed = TransportError::new("submit", TransportErrorKind::Closed);
        self.end(closed, TransportErrorKind::Closed);
        receipt?
    }

    /// Closes the writer, once nothing more is sent.
    pub(super) async fn close(&self) -> Result<(), TransportError> {
        let writer = self.lock().writer.take();
        let mut lent = Lent { shared: self, writer, failed: None };
        match &mut lent.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }

    /// Checks whether these records could be written.
    pub(super) fn check(&self, records: &[Record]) -> Result<(), TransportError> {
        // It is lent only to `ready` and `close`, which borrow the session's writer exclusively.
        self.lock().writer.as_ref().map_or(Ok(()), |writer| writer.check(records))
    }

    /// Waits until the writer fails and returns its error; `None` once there is nothing more to do.
    pub(super) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<Option<TransportError>> {
        let mut state = self.lock();
        let _ = state.poll_receipts(cx);
        let polled = match std::mem::replace(&mut state.mode, Mode::Recovering) {
            Mode::Broken(error) => Poll::Ready(Some(error)),
            mode => {
                let ended = matches!(mode, Mode::Ended(_)) && state.queue.receipt().is_none();
                state.mode = mode;
                state.task = Some(cx.waker().clone());
                if ended { Poll::Ready(None) } else { Poll::Pending }
            }
        };
        drop(state);
        self.changed.notify_waiters();
        polled
    }

    /// Prepares everything that isn't acknowledged for being sent to another writer. Returns
    /// whether anything was acknowledged since the last call.
    pub(super) fn rewind(&self) -> bool {
        let mut state = self.lock();
        state.queue.rewind(Fate::Unknown, Instant::now());
        std::mem::take(&mut state.progress)
    }

    /// Sends the next piece to another writer, and returns the writer. If nothing is left to send,
    /// the channel continues with that writer.
    pub(super) fn resend(
        &self,
        mut writer: Box<dyn ChannelWriter>,
    ) -> Option<Box<dyn ChannelWriter>> {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Recovering) {
            return None;
        }
        if let Some(piece) = state.queue.piece() {
            state.queue.sent(writer.submit(piece));
            return Some(writer);
        }
        state.mode = Mode::Open;
        let failed = state.writer.replace(writer);
        drop(state);
        drop(failed);
        self.changed.notify_waiters();
        None
    }

    /// Accepts nothing more. Later batches fail for this reason.
    pub(super) fn end(&self, error: TransportError, kind: TransportErrorKind) {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Ended(_)) {
            state.mode = Mode::Ended(kind);
            state.queue.end(error);
            state.wake();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Drops the writer of a channel without a session, which accepts nothing more. The task goes on
    /// until there is an outcome of everything that was sent.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        if !matches!(state.mode, Mode::Ended(_)) {
            state.mode = Mode::Ended(TransportErrorKind::Closed);
            state.queue.refuse_unsent();
            state.wake();
        }
        let writer = state.writer.take();
        drop(state);
        drop(writer);
    }

    pub(super) const fn is_session(&self) -> bool {
        self.is_session
    }

    /// Lends the writer, if the channel accepts more.
    fn lend(&self) -> Result<Option<Lent<'_>>, TransportError> {
        let mut state = self.lock();
        match &state.mode {
            Mode::Ended(kind) => {
                Err(TransportError::new("ready", kind.clone()).on(&**state.queue.channel()))
            }
            Mode::Open if state.queue.is_sent() && state.queue.bytes() < self.window_bytes => {
                let writer = state.writer.take();
                Ok(Some(Lent { shared: self, writer, failed: None }))
            }
            _ => Ok(None),
        }
    }
}

impl State {
    fn is_settled(&self) -> bool {
        self.queue.is_empty() || matches!(self.mode, Mode::Ended(_))
    }

    /// Sends what may be sent.
    fn send(&mut self) {
        let Some(writer) = self.writer.as_mut().filter(|_| matches!(self.mode, Mode::Open)) else {
            return;
        };
        while let Some(piece) = self.queue.piece() {
            self.queue.sent(writer.submit(piece));
        }
    }

    /// Handles the receipts that are complete, while the channel is open or was left.
    fn poll_receipts(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while matches!(self.mode, Mode::Open | Mode::Ended(_))
            && let Some(receipt) = self.queue.receipt()
        {
            let outcome = ready!(receipt.poll_unpin(cx));
            match self.queue.settle(outcome) {
                Ok(()) => {
                    self.progress = true;
                    self.send();
                }
                Err((fate, error)) if self.queue.is_session() => self.broke(fate, error),
                Err((fate, error)) => {
                    self.queue.poison(fate, error);
                    self.send();
                }
            }
        }
        Poll::Ready(())
    }

    fn broke(&mut self, fate: Fate, error: TransportError) {
        if matches!(self.mode, Mode::Open) {
            self.queue.rewind(fate, Instant::now());
            self.mode = Mode::Broken(error);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

/// The writer, taken out of the state; it is put back when this is dropped.
struct Lent<'a> {
    shared: &'a Shared,
    writer: Option<Box<dyn ChannelWriter>>,
    failed: Option<TransportError>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // Otherwise it was replaced meanwhile.
        if state.writer.is_none() {
            state.writer = self.writer.take();
            if let Some(error) = self.failed.take() {
                state.broke(Fate::Unknown, error);
            }
            // A tick may have become due meanwhile, and nothing else may be in flight that would
            // send it once it is acknowledged.
            let idle = state.queue.receipt().is_none();
            state.send();
            if idle && state.queue.receipt().is_some() {
                state.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
