//! A broker that goes away and comes back, as its clients see it: refused connections, failed
//! reads, and writes of which nobody knows what became.

use msgstream_core::delegate;
use msgstream_core::transport::ReaderOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use msgstream_conformance::{Broker, BrokerError, Harness};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelReader, ChannelWriter, Fate, Limit, Outcome, ReadBatch,
    Receipt, Result, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::transport::MAX_PAYLOAD;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    KeepsAll,
    /// After each outage one batch is acknowledged and not stored.
    LosesABatch,
}

#[derive(Clone, Debug)]
pub(crate) struct Outages {
    inner: Arc<dyn Transport>,
    outage: Outage,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often the broker went away. Connections of an earlier time are broken.
    count: AtomicU64,
    /// It is away: nobody can connect.
    away: AtomicBool,
    /// The next batch is acknowledged and not stored.
    loses: AtomicBool,
}

impl Outages {
    pub(crate) fn new(inner: Arc<dyn Transport>, outage: Outage) -> Self {
        Self { inner, outage, state: Arc::default() }
    }

    async fn go_away_and_come_back(&self) {
        self.state.away.store(true, Ordering::SeqCst);
        self.state.count.fetch_add(1, Ordering::SeqCst);
        // Lets the clients find out.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.state.loses.store(self.outage == Outage::LosesABatch, Ordering::SeqCst);
        self.state.away.store(false, Ordering::SeqCst);
    }

    fn connection(&self) -> Connection {
        Connection {
            state: Arc::clone(&self.state),
            made_at: self.state.count.load(Ordering::SeqCst),
        }
    }
}

#[derive(Debug)]
struct Connection {
    state: Arc<State>,
    made_at: u64,
}

impl Connection {
    // Tells once that it broke.
    fn broke(&mut self) -> bool {
        let count = self.state.count.load(Ordering::SeqCst);
        std::mem::replace(&mut self.made_at, count) != count
    }
}

fn unavailable(operation: &'static str) -> TransportError {
    TransportError::new(operation, Kind::Unavailable { reason: "an outage".to_owned() })
}

#[async_trait]
impl Broker for Outages {
    async fn restart(&self) -> Result<(), BrokerError> {
        self.go_away_and_come_back().await;
        Ok(())
    }

    async fn kill(&self) -> Result<(), BrokerError> {
        self.go_away_and_come_back().await;
        Ok(())
    }
}

#[async_trait]
impl Harness for Outages {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clone()))
    }

    fn minimum(&self) -> Capabilities {
        Capabilities::all().with_max_payload(MAX_PAYLOAD)
    }

    fn broker(&self) -> Option<&dyn Broker> {
        Some(self)
    }
}

#[async_trait]
impl Transport for Outages {
    delegate!(self => self.inner, Transport { create_with, delete, trim, list, describe, subscription, unsubscribe, subscriptions, risks, encode_position, decode_position });
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with(Capability::Persistent)
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        if self.state.away.load(Ordering::SeqCst) {
            return Err(unavailable("writer"));
        }
        let inner = self.inner.writer(channel).await?;
        Ok(Box::new(Writer { inner, connection: self.connection(), poisoned: false }))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.inner.reader_with(channel, options).await?;
        Ok(Box::new(Reader { inner, connection: self.connection() }))
    }

    // Handles share what is underneath.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Writer {
    inner: Box<dyn ChannelWriter>,
    connection: Connection,
    poisoned: bool,
}

#[async_trait]
impl ChannelWriter for Writer {
    delegate!(self => self.inner, ChannelWriter { check, close });
    async fn ready(&mut self) -> Result<()> {
        if self.poisoned {
            return Err(TransportError::new("ready", Kind::Poisoned));
        }
        // Lets the others move: what is underneath never waits.
        tokio::task::yield_now().await;
        self.inner.ready().await
    }

    fn submit(&mut self, mut records: Vec<Record>) -> Receipt {
        if self.poisoned {
            let error = TransportError::new("submit", Kind::Poisoned);
            return Receipt::ready(Outcome::partial(vec![], Fate::NotStored, error));
        }
        if self.connection.broke() {
            // Half of it was stored, which nobody heard of.
            self.poisoned = true;
            records.truncate(records.len() / 2);
            drop(self.inner.submit(records));
            let error = unavailable("submit");
            return Receipt::ready(Outcome::partial(vec![], Fate::Unknown, error));
        }
        if self.connection.state.loses.swap(false, Ordering::SeqCst) {
            let positions = records.iter().map(|_| Position::MAX).collect();
            return Receipt::ready(Outcome::stored(positions));
        }
        self.inner.submit(records)
    }
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn ChannelReader>,
    connection: Connection,
}

#[async_trait]
impl ChannelReader for Reader {
    delegate!(self => self.inner, ChannelReader { seek, incarnation });
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        if self.connection.broke() {
            return Err(unavailable("read"));
        }
        self.inner.read(limit).await
    }
}
