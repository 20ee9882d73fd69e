//! A transport around the in-process one whose reads wait, fail and are counted as a test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use async_trait::async_trait;
use msgstream_core::record::{END_HEADER, Header, Meta, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, ReaderOptions, Result, Start, Subscription, Transport,
    TransportError, TransportErrorKind,
};
use msgstream_core::{MsgType, Timestamp, delegate};
use tokio::sync::Semaphore;

use crate::common::{mem, unavailable};

/// What is written to a channel, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Msg(u64),
    Tick(u64),
    End(u64),
}

impl Entry {
    pub(crate) fn record(self) -> Record {
        let (msg_type, ts) = match self {
            Self::Msg(ts) => (MsgType::INSERT, ts),
            Self::Tick(ts) | Self::End(ts) => (MsgType::TIME_TICK, ts),
        };
        let payload = if msg_type == MsgType::INSERT { vec![7; 100] } else { Vec::new() };
        let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), payload);
        if matches!(self, Self::End(_)) {
            record.extra.push(Header::new(END_HEADER, "1"));
        }
        record
    }
}

/// Appends entries to a channel.
pub(crate) async fn write(transport: &dyn Transport, channel: &str, log: &[Entry]) {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(log.iter().map(|entry| entry.record()).collect()).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Each read of these channels takes a permit first.
    pub(crate) gates: BTreeMap<String, Arc<Semaphore>>,
    /// The next reads, or seeks, of these channels fail.
    pub(crate) fail_read: BTreeSet<String>,
    pub(crate) fail_seek: BTreeSet<String>,
    /// Whatever is asked of these channels fails.
    pub(crate) down: BTreeMap<String, TransportErrorKind>,
    /// Whether the next reads and seeks fail, of whatever channel.
    pub(crate) failures: VecDeque<bool>,
    /// The channels of the reads that were begun, in their order.
    pub(crate) reads: Vec<String>,
}

impl Plan {
    fn check(&self, operation: &'static str, channel: &str) -> Result<()> {
        let failed = |kind: &TransportErrorKind| {
            Err(TransportError::new(operation, kind.clone()).on(channel))
        };
        self.down.get(channel).map_or(Ok(()), failed)
    }

    /// The same for what readers do.
    fn check_reader(&mut self, operation: &'static str, channel: &str) -> Result<()> {
        if self.failures.pop_front() == Some(true) {
            return Err(unavailable(operation, channel));
        }
        self.check(operation, channel)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rig {
    inner: Arc<dyn Transport>,
    plan: Arc<Mutex<Plan>>,
    /// Held by every reader.
    readers: Arc<()>,
}

impl Rig {
    /// With these logs.
    pub(crate) async fn new(logs: &[(&str, &[Entry])]) -> Self {
        let channels: Vec<&str> = logs.iter().map(|(channel, _)| *channel).collect();
        let inner = mem(&channels).await;
        for (channel, log) in logs {
            write(&*inner, channel, log).await;
        }
        Self { inner, plan: Arc::default(), readers: Arc::default() }
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    /// From now on the channel can't be reached, until it [`is_back`](Self::is_back).
    pub(crate) fn goes_down(&self, channel: &str) {
        let kind = TransportErrorKind::Unavailable { reason: "no leader".to_owned() };
        self.plan().down.insert(channel.to_owned(), kind);
    }

    pub(crate) fn is_back(&self, channel: &str) {
        self.plan().down.remove(channel);
    }

    /// From now on reads of this channel take a permit each.
    pub(crate) fn gate(&self, channel: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.plan().gates.insert(channel.to_owned(), gate.clone());
        gate
    }

    pub(crate) fn shared(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        let transports = Arc::strong_count(&self.plan);
        Arc::strong_count(&self.readers) - transports
    }
}

#[async_trait]
impl Transport for Rig {
    delegate!(self => self.inner, Transport { capabilities, create_with, delete, trim, list, describe, writer, unsubscribe, subscriptions, risks, encode_position, decode_position, close });
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        self.plan().check("reader", channel)?;
        let inner = self.inner.reader_with(channel, options).await?;
        let (plan, alive) = (Arc::downgrade(&self.plan), self.readers.clone());
        Ok(Box::new(Reader { inner, channel: channel.to_owned(), plan, _alive: alive }))
    }
    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        self.plan().check("subscription", channel)?;
        let inner = self.inner.subscription(channel, name).await?;
        Ok(Arc::new(Cursor {
            inner,
            channel: channel.to_owned(),
            plan: Arc::downgrade(&self.plan),
        }))
    }
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn ChannelReader>,
    channel: String,
    plan: Weak<Mutex<Plan>>,
    _alive: Arc<()>,
}

impl Reader {
    fn with<T>(&self, f: impl FnOnce(&mut Plan) -> T) -> T {
        f(&mut self.plan.upgrade().unwrap().lock().unwrap())
    }
}

#[async_trait]
impl ChannelReader for Reader {
    delegate!(self => self.inner, ChannelReader { incarnation });
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let gate = self.with(|plan| {
            plan.reads.push(self.channel.clone());
            plan.gates.get(&self.channel).cloned()
        });
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.with(|plan| plan.fail_read.remove(&self.channel)) {
            return Err(unavailable("read", &self.channel));
        }
        self.with(|plan| plan.check_reader("read", &self.channel))?;
        self.inner.read(limit).await
    }
    async fn seek(&mut self, start: Start) -> Result<()> {
        if self.with(|plan| plan.fail_seek.remove(&self.channel)) {
            return Err(unavailable("seek", &self.channel));
        }
        self.with(|plan| plan.check_reader("seek", &self.channel))?;
        self.inner.seek(start).await
    }
}

#[derive(Debug)]
struct Cursor {
    inner: Arc<dyn Subscription>,
    channel: String,
    plan: Weak<Mutex<Plan>>,
}

#[async_trait]
impl Subscription for Cursor {
    async fn ack(&self, before: Position) -> Result<()> {
        self.plan.upgrade().unwrap().lock().unwrap().check("ack", &self.channel)?;
        self.inner.ack(before).await
    }
    async fn acked(&self) -> Result<Option<Position>> {
        self.plan.upgrade().unwrap().lock().unwrap().check("acked", &self.channel)?;
        self.inner.acked().await
    }
}
