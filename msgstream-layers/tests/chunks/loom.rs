//! A transport that stores the records of its writers one by one, when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelWriter, Fate, Limit, Outcome, Receipt, ReceiptSender, Result,
    Start, Subscription, Transport, TransportError, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_mem::MemTransport;

pub(crate) const CHANNEL: &str = "scans";

/// One channel in memory, its writers, and a cursor that removes what it passes.
#[derive(Debug)]
pub(crate) struct Loom {
    pub(crate) mem: Arc<MemTransport>,
    writers: Arc<Mutex<Vec<Woven>>>,
}

#[derive(Debug)]
struct Woven {
    inner: Box<dyn ChannelWriter>,
    waiting: VecDeque<(Record, Arc<Mutex<Batch>>)>,
    is_dead: bool,
}

#[derive(Debug)]
struct Batch {
    left: usize,
    stored: Vec<Position>,
    sender: Option<ReceiptSender>,
}

fn poisoned() -> TransportError {
    TransportError::new("submit", Kind::Poisoned).on(CHANNEL)
}

impl Loom {
    pub(crate) async fn new() -> Arc<Self> {
        let mem = Arc::new(MemTransport::new(Default::default()));
        mem.create(CHANNEL).await.unwrap();
        Arc::new(Self { mem, writers: Arc::default() })
    }

    fn writers(&self) -> MutexGuard<'_, Vec<Woven>> {
        self.writers.lock().unwrap()
    }

    /// Stores the next record of a writer, or stores it twice. Returns whether there was one.
    pub(crate) fn step(&self, writer: usize, twice: bool) -> bool {
        let mut writers = self.writers();
        let Some(woven) = writers.get_mut(writer) else { return false };
        let Some((record, batch)) = woven.waiting.pop_front() else { return false };
        if twice {
            now(woven.inner.submit(vec![record.clone()]));
        }
        let position = now(woven.inner.submit(vec![record])).stored[0];
        let mut batch = batch.lock().unwrap();
        batch.stored.push(position);
        batch.left -= 1;
        if batch.left == 0 {
            let stored = std::mem::take(&mut batch.stored);
            batch.sender.take().unwrap().send(Outcome::stored(stored));
        }
        true
    }

    /// Ends a writer: what it hasn't stored may be stored now, or never, and it doesn't know which.
    pub(crate) fn kill(&self, writer: usize, mut is_stored: impl FnMut() -> bool) {
        let mut writers = self.writers();
        let Some(woven) = writers.get_mut(writer) else { return };
        woven.is_dead = true;
        for (record, batch) in woven.waiting.drain(..) {
            if is_stored() {
                now(woven.inner.submit(vec![record]));
            }
            let mut batch = batch.lock().unwrap();
            let stored = std::mem::take(&mut batch.stored);
            if let Some(sender) = batch.sender.take() {
                sender.send(Outcome::partial(stored, Fate::Unknown, poisoned()));
            }
        }
    }

    /// All records as the broker has them.
    pub(crate) async fn raw(&self) -> Vec<Record> {
        let mut reader = self.mem.reader(CHANNEL, Start::Earliest).await.unwrap();
        let mut records = Vec::new();
        loop {
            let batch = reader.read(Limit::default()).await.unwrap();
            records.extend(batch.records);
            if batch.caught_up {
                return records;
            }
        }
    }
}

/// Returns what a receipt of memory has at once.
fn now(receipt: Receipt) -> Outcome {
    futures::executor::block_on(receipt)
}

#[derive(Debug)]
struct LoomWriter {
    writers: Arc<Mutex<Vec<Woven>>>,
    own: usize,
}

#[async_trait]
impl ChannelWriter for LoomWriter {
    async fn ready(&mut self) -> Result<()> {
        match self.writers.lock().unwrap()[self.own].is_dead {
            true => Err(poisoned()),
            false => Ok(()),
        }
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.writers.lock().unwrap()[self.own].inner.check(records)
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let woven = &mut self.writers.lock().unwrap()[self.own];
        if woven.is_dead {
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, poisoned()));
        }
        let (sender, receipt) = Receipt::pending();
        let (left, sender) = (records.len(), Some(sender));
        let batch = Arc::new(Mutex::new(Batch { left, stored: Vec::new(), sender }));
        woven.waiting.extend(records.into_iter().map(|record| (record, batch.clone())));
        receipt
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Removing {
    inner: Arc<dyn Subscription>,
    mem: Arc<MemTransport>,
}

#[async_trait]
impl Subscription for Removing {
    delegate!(self => self.inner, Subscription { acked });

    async fn ack(&self, before: Position) -> Result<()> {
        self.inner.ack(before).await?;
        self.mem.trim(CHANNEL, before).await
    }
}

#[async_trait]
impl Transport for Loom {
    delegate!(self => self.mem, Transport {
        create_with, delete, trim, list, describe, reader_with, unsubscribe, subscriptions, risks,
        encode_position, decode_position, close,
    });

    fn capabilities(&self) -> Capabilities {
        self.mem.capabilities().without(Capability::AckKeeps)
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let inner = self.mem.writer(channel).await?;
        let mut writers = self.writers();
        writers.push(Woven { inner, waiting: VecDeque::new(), is_dead: false });
        let own = writers.len() - 1;
        Ok(Box::new(LoomWriter { writers: self.writers.clone(), own }))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let inner = self.mem.subscription(channel, name).await?;
        Ok(Arc::new(Removing { inner, mem: self.mem.clone() }))
    }
}
