//! A writer that recovers from failures.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::counts::Counts;
use super::retry::{Retry, deadline};
use super::shared::Shared;
use super::unacked::UnackedQueue;
use crate::record::{Incarnation, Record, Timestamp};
use crate::transport::{
    ChannelWriter, Receipt, Result, Transport, TransportError, TransportErrorKind,
};

/// Writes to one channel, and sends each tick once the messages before it are acknowledged. For a
/// session it also numbers messages, and sends what isn't acknowledged again, with a new writer, in
/// order, until the deadline.
///
/// `submit` itself sends the batch. A task waits for the receipts, and recovers from failures.
pub(crate) struct QueueWriter {
    shared: Arc<Shared>,
    closing: Closing,
    counts: Counts,
    task: AbortHandle,
}

enum Closing {
    Open,
    Goodbye(Receipt),
    Done,
}

/// Replaces a failed writer and sends again what isn't acknowledged.
pub(super) struct Recovery {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) channel: Arc<str>,
    /// The incarnation of the channel: another one has nothing of what was written.
    pub(super) incarnation: Incarnation,
    pub(super) retry_for: Duration,
    pub(super) counts: Counts,
}

impl QueueWriter {
    /// Starts without a session. Must be called in a tokio runtime.
    pub(crate) fn plain(
        channel: Arc<str>,
        writer: Box<dyn ChannelWriter>,
        overtake: usize,
    ) -> Self {
        let (now, counts) = (Instant::now(), Counts::default());
        let queue =
            UnackedQueue::new(channel, None, 0, Timestamp::MIN, overtake, now, counts.clone());
        let shared = Arc::new(Shared::new(queue, writer, usize::MAX));
        let settling = shared.clone();
        let settle = async move { while poll_fn(|cx| settling.poll_broken(cx)).await.is_some() {} };
        let task = tokio::spawn(settle).abort_handle();
        Self { shared, closing: Closing::Open, counts, task }
    }

    /// Starts with a writer that is open. Must be called in a tokio runtime.
    pub(super) fn start(
        recovery: Recovery,
        queue: UnackedQueue,
        writer: Box<dyn ChannelWriter>,
        window_bytes: usize,
    ) -> Self {
        let shared = Arc::new(Shared::new(queue, writer, window_bytes));
        let counts = recovery.counts.clone();
        let task = tokio::spawn(recovery.run(shared.clone())).abort_handle();
        Self { shared, closing: Closing::Open, counts, task }
    }

    /// Submits records whose payloads are in these buffers, in the same order, so that the resend
    /// buffer needs a handle for each buffer, not one for each record.
    pub(crate) fn submit_sharing(&mut self, records: Vec<Record>, buffers: Vec<Bytes>) -> Receipt {
        self.shared.submit(records, buffers)
    }

    /// Submits a tick. Messages that follow it needn't wait for it, as they do for one that is
    /// submitted among records.
    pub(crate) fn submit_tick(&mut self, tick: Vec<Record>) -> Receipt {
        self.shared.submit_tick(tick)
    }

    /// Returns the shared state, which writes bases to the same channel.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
}

#[async_trait]
impl ChannelWriter for QueueWriter {
    async fn ready(&mut self) -> Result<()> {
        self.shared.ready().await
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.shared.check(records)
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.shared.submit(records, Vec::new())
    }

    async fn close(&mut self) -> Result<()> {
        if matches!(self.closing, Closing::Open) {
            self.shared.settled().await;
            self.closing = self.shared.say_goodbye().map_or(Closing::Done, Closing::Goodbye);
        }
        if let Closing::Goodbye(receipt) = &mut self.closing {
            // If it is lost, consumers only remember the session for somewhat longer.
            let outcome = receipt.await;
            self.counts.lock().goodbyes += u64::from(outcome.rest.is_none());
            self.closing = Closing::Done;
        }
        self.shared.close().await
    }
}

impl Drop for QueueWriter {
    fn drop(&mut self) {
        if self.shared.is_session() {
            self.task.abort();
        } else {
            self.shared.leave();
        }
    }
}

impl fmt::Debug for QueueWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("QueueWriter")
            .field("channel", state.queue.channel())
            .field("bytes", &state.queue.bytes())
            .finish_non_exhaustive()
    }
}

impl Recovery {
    async fn run(self, shared: Arc<Shared>) {
        let mut retry = Retry::default();
        let channel = &*self.channel;
        while let Some(error) = poll_fn(|cx| shared.poll_broken(cx)).await {
            tracing::warn!(
                channel,
                error = &error as &(dyn StdError + 'static),
                "a session's writer failed; sending again with another"
            );
            if let Err(error) = self.recover(&shared, &mut retry, error).await {
                tracing::error!(
                    channel,
                    error = &error as &(dyn StdError + 'static),
                    "a session gives up on a channel"
                );
                self.counts.lock().gave_up += 1;
                shared.end(error, TransportErrorKind::Poisoned);
                return;
            }
            tracing::info!(channel, "a session writes to a channel again");
        }
    }

    /// Opens another writer and sends again everything that isn't acknowledged.
    async fn recover(
        &self,
        shared: &Shared,
        retry: &mut Retry,
        mut error: TransportError,
    ) -> Result<()> {
        let begin = Instant::now();
        loop {
            if shared.rewind() {
                *retry = Retry::default();
            }
            let since = shared.lock().queue.fails_since().unwrap_or(begin);
            let deadline = deadline(since, self.retry_for);
            retry.pause(error, deadline).await?;
            error = match timeout_at(deadline, self.reopen(shared)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => {
                    let after = self.retry_for;
                    let kind = TransportErrorKind::TimedOut { after };
                    return Err(TransportError::new("writer", kind).on(&*self.channel));
                }
            };
        }
    }

    async fn reopen(&self, shared: &Shared) -> Result<()> {
        let mut writer = self.transport.writer(&self.channel).await?;
        let found = self.transport.describe(&self.channel).await?.incarnation;
        let expected = self.incarnation;
        if found != expected {
            let kind = TransportErrorKind::WrongIncarnation { expected, found };
            return Err(TransportError::new("writer", kind).on(&*self.channel));
        }
        self.counts.lock().reopened_writers += 1;
        loop {
            writer.ready().await?;
            match shared.resend(writer) {
                Some(again) => writer = again,
                None => return Ok(()),
            }
        }
    }
}
