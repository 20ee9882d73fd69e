//! The writer of a physical channel, which the writers of its virtual ones share.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportError, TransportErrorKind,
};
use tokio::sync::oneshot;

use crate::task::in_task;

/// A writer of the transport. One after the other waits until it is ready; what is submitted meanwhile
/// goes out right after that, in order.
#[derive(Debug)]
pub(crate) struct SharedWriter {
    state: Mutex<State>,
    /// Who waits for the writer.
    turn: tokio::sync::Mutex<()>,
    /// Checks records while the other one is lent; it writes nothing.
    checker: Mutex<Box<dyn ChannelWriter>>,
}

#[derive(Debug)]
struct State {
    /// `None` while it is lent.
    writer: Option<Box<dyn ChannelWriter>>,
    queued: Vec<(Vec<Record>, oneshot::Sender<Receipt>)>,
    broken: bool,
}

impl SharedWriter {
    pub(crate) fn new(writer: Box<dyn ChannelWriter>, checker: Box<dyn ChannelWriter>) -> Self {
        let state = State { writer: Some(writer), queued: Vec::new(), broken: false };
        let checker = Mutex::new(checker);
        Self { state: Mutex::new(state), turn: tokio::sync::Mutex::default(), checker }
    }

    pub(crate) fn check(&self, records: &[Record]) -> Result<()> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner).check(records)
    }

    pub(crate) async fn ready(self: &Arc<Self>) -> Result<()> {
        let shared = self.clone();
        let ready = async move {
            let _turn = shared.turn.lock().await;
            let mut lent = shared.lend();
            let Some(writer) = &mut lent.writer else { return Err(poisoned("ready")) };
            let ready = writer.ready().await;
            if ready.is_err() {
                shared.broke();
            }
            ready
        };
        in_task("ready", ready).await
    }

    /// Submits a batch that was checked.
    pub(crate) fn submit(&self, records: Vec<Record>) -> Receipt {
        let mut state = self.state();
        if state.broken {
            return refused(poisoned("submit"));
        }
        match &mut state.writer {
            Some(writer) => writer.submit(records),
            None => {
                let (sender, receipt) = oneshot::channel();
                state.queued.push((records, sender));
                Receipt::from_future(async {
                    match receipt.await {
                        Ok(receipt) => receipt.await,
                        // The writer was dropped before it was handed over.
                        Err(_) => Outcome::partial(Vec::new(), Fate::NotStored, poisoned("submit")),
                    }
                })
            }
        }
    }

    /// Takes no more: a batch failed, so what follows it would be out of order.
    pub(crate) fn broke(&self) {
        self.state().broken = true;
    }

    /// Returns whether it takes more, as far as is known without waiting.
    pub(crate) fn is_usable(&self) -> bool {
        let mut state = self.state();
        if let Some(writer) = &mut state.writer {
            let failed = writer.ready().now_or_never().is_some_and(|ready| ready.is_err());
            state.broken |= failed;
        }
        !state.broken
    }

    /// Ends the writer, once nobody shares it any more.
    pub(crate) async fn close(self) -> Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.writer {
            Some(mut writer) if !state.broken => writer.close().await,
            _ => Ok(()),
        }
    }

    fn lend(self: &Arc<Self>) -> Lent {
        let writer = self.state().writer.take();
        Lent { shared: self.clone(), writer }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A transport that panicked in `submit` fails in its receipts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer, taken out; it is put back, and gets what was queued, when this is dropped.
struct Lent {
    shared: Arc<SharedWriter>,
    writer: Option<Box<dyn ChannelWriter>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        let mut state = self.shared.state();
        for (records, sender) in mem::take(&mut state.queued) {
            // Nobody waits for it if the receipt was dropped; the batch is written all the same.
            let _ = sender.send(match state.broken {
                true => refused(poisoned("submit")),
                false => writer.submit(records),
            });
        }
        state.writer = Some(writer);
    }
}

pub(super) fn poisoned(operation: &'static str) -> TransportError {
    TransportError::new(operation, TransportErrorKind::Poisoned)
}

/// Returns the receipt of a batch of which nothing was sent.
pub(super) fn refused(error: TransportError) -> Receipt {
    Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
}
