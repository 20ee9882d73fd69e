//! Writers, readers and subscriptions whose calls have a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Fate, Limit, Outcome, ReadBatch, Receipt, Result, Start,
    Subscription, TransportError, TransportErrorKind,
};
use tokio::time::{Instant, timeout_at};

use super::{in_time, timed_out};

#[derive(Debug)]
pub(super) struct TimedWriter {
    inner: Box<dyn ChannelWriter>,
    channel: Arc<str>,
    after: Duration,
    /// The number of the next batch.
    next: u64,
    /// The least number of a batch that timed out: what was submitted after it isn't stored for
    /// certain either.
    timed_out: Arc<AtomicU64>,
}

impl TimedWriter {
    pub(super) fn new(inner: Box<dyn ChannelWriter>, channel: &str, after: Duration) -> Self {
        let timed_out = Arc::new(AtomicU64::new(u64::MAX));
        Self { inner, channel: channel.into(), after, next: 0, timed_out }
    }

    fn is_poisoned(&self) -> bool {
        self.timed_out.load(Ordering::Acquire) != u64::MAX
    }
}

fn poisoned(operation: &'static str, channel: &str) -> TransportError {
    TransportError::new(operation, TransportErrorKind::Poisoned).on(channel)
}

#[async_trait]
impl ChannelWriter for TimedWriter {
    delegate!(self => self.inner, ChannelWriter { check });

    async fn ready(&mut self) -> Result<()> {
        in_time(self.after, "ready", &self.channel, self.inner.ready()).await?;
        if self.is_poisoned() { Err(poisoned("ready", &self.channel)) } else { Ok(()) }
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let (channel, after) = (self.channel.clone(), self.after);
        if self.is_poisoned() {
            let error = poisoned("submit", &channel);
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
        }
        let (number, timed) = (self.next, self.timed_out.clone());
        self.next += 1;
        let deadline = Instant::now() + after;
        let receipt = self.inner.submit(records);
        Receipt::from_future(async move {
            // An outcome that is there counts, however late somebody asks for it: it may be that
            // of a later batch that is stored, too.
            let outcome = timeout_at(deadline, receipt).await;
            if timed.load(Ordering::Acquire) < number {
                let error = poisoned("submit", &channel);
                return Outcome::partial(Vec::new(), Fate::Unknown, error);
            }
            outcome.unwrap_or_else(|_| {
                timed.fetch_min(number, Ordering::AcqRel);
                let error = timed_out(after, "submit", &channel);
                Outcome::partial(Vec::new(), Fate::Unknown, error)
            })
        })
    }

    async fn close(&mut self) -> Result<()> {
        in_time(self.after, "close", &self.channel, self.inner.close()).await
    }
}

#[derive(Debug)]
pub(super) struct TimedReader {
    pub(super) inner: Box<dyn ChannelReader>,
    pub(super) channel: Arc<str>,
    pub(super) after: Duration,
}

#[async_trait]
impl ChannelReader for TimedReader {
    delegate!(self => self.inner, ChannelReader { incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let after = self.after.saturating_add(limit.wait);
        in_time(after, "read", &self.channel, self.inner.read(limit)).await
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        in_time(self.after, "seek", &self.channel, self.inner.seek(start)).await
    }
}

#[derive(Debug)]
pub(super) struct TimedSubscription {
    pub(super) inner: Arc<dyn Subscription>,
    pub(super) channel: Arc<str>,
    pub(super) after: Duration,
}

#[async_trait]
impl Subscription for TimedSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        in_time(self.after, "ack", &self.channel, self.inner.ack(before)).await
    }

    async fn acked(&self) -> Result<Option<Position>> {
        in_time(self.after, "acked", &self.channel, self.inner.acked()).await
    }
}
