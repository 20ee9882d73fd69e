//! Writers, readers and subscriptions that fail now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Fate, Limit, Outcome, ReadBatch, Receipt, Result, Start,
    Subscription, TransportError, TransportErrorKind,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::dice::{Dice, Fall};
use super::{call, unavailable};

#[derive(Debug)]
pub(super) struct FaultyWriter {
    inner: Box<dyn ChannelWriter>,
    channel: Arc<str>,
    dice: Arc<Dice>,
    /// A batch failed.
    failed: bool,
    /// An outcome has reported it: from then on nothing is sent.
    reported: Arc<AtomicBool>,
    /// When the last outcome is known.
    due: Instant,
}

impl FaultyWriter {
    pub(super) fn new(inner: Box<dyn ChannelWriter>, channel: &str, dice: Arc<Dice>) -> Self {
        let (channel, due) = (channel.into(), Instant::now());
        Self { inner, channel, dice, failed: false, reported: Arc::default(), due }
    }

    fn poisoned(&self, operation: &'static str) -> TransportError {
        TransportError::new(operation, TransportErrorKind::Poisoned).on(&*self.channel)
    }
}

#[async_trait]
impl ChannelWriter for FaultyWriter {
    delegate!(self => self.inner, ChannelWriter { check });

    async fn ready(&mut self) -> Result<()> {
        self.inner.ready().await?;
        if self.failed {
            self.reported.store(true, Ordering::Release);
            return Err(self.poisoned("ready"));
        }
        Ok(())
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        if self.reported.load(Ordering::Acquire) {
            let error = self.poisoned("submit");
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
        }
        // What can't be written at all is for the writer underneath to refuse.
        if self.inner.check(&records).is_err() {
            return self.inner.submit(records);
        }
        let Fall { stored, acked, rest } = self.dice.batch(records.len(), self.failed);
        let error = match self.failed {
            true => self.poisoned("submit"),
            false => unavailable("submit", &self.channel),
        };
        self.failed |= rest.is_some();
        // No outcome overtakes another.
        self.due = self.due.max(Instant::now() + self.dice.delay());
        let (reported, due) = (self.reported.clone(), self.due);
        let whole = rest.is_none();
        let records = match whole {
            true => records,
            false => stored.iter().filter_map(|index| records.get(*index).cloned()).collect(),
        };
        let receipt = (whole || !records.is_empty()).then(|| self.inner.submit(records));
        Receipt::from_future(async move {
            wait_until(due).await;
            let mut outcome = match receipt {
                Some(receipt) => receipt.await,
                None => Outcome::stored(Vec::new()),
            };
            let Some(fate) = rest else { return outcome };
            reported.store(true, Ordering::Release);
            outcome.stored.truncate(acked);
            // If the transport failed by itself, too, more than we know of may be missing.
            let fate = if outcome.rest.is_some() { Fate::Unknown } else { fate };
            Outcome::partial(outcome.stored, fate, error)
        })
    }

    async fn close(&mut self) -> Result<()> {
        wait_until(self.due).await;
        self.inner.close().await
    }
}

async fn wait_until(due: Instant) {
    // A timer rounds up: who asks again once it is over doesn't wait.
    if Instant::now() < due {
        sleep_until(due).await;
    }
}

#[derive(Debug)]
pub(super) struct FaultyReader {
    pub(super) inner: Box<dyn ChannelReader>,
    pub(super) channel: Arc<str>,
    pub(super) dice: Arc<Dice>,
}

#[async_trait]
impl ChannelReader for FaultyReader {
    delegate!(self => self.inner, ChannelReader { incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        sleep(self.dice.delay()).await;
        if self.dice.fails() {
            return Err(unavailable("read", &self.channel));
        }
        self.inner.read(limit).await
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        sleep(self.dice.delay()).await;
        if self.dice.fails() {
            return Err(unavailable("seek", &self.channel));
        }
        self.inner.seek(start).await
    }
}

#[derive(Debug)]
pub(super) struct FaultySubscription {
    pub(super) inner: Arc<dyn Subscription>,
    pub(super) channel: Arc<str>,
    pub(super) dice: Arc<Dice>,
}

#[async_trait]
impl Subscription for FaultySubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        call(&self.dice, "ack", &self.channel, self.inner.ack(before)).await
    }

    async fn acked(&self) -> Result<Option<Position>> {
        call(&self.dice, "acked", &self.channel, self.inner.acked()).await
    }
}
