//! A transport that fails as a script says, one fault for each batch.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    Capabilities, ChannelReader, ChannelWriter, Fate, Outcome, ReaderOptions, Receipt, Result,
    Start, Transport, TransportError, TransportErrorKind, TransportExt as _,
};
use msgstream_core::{Timestamp, delegate};
use msgstream_mem::{MemConfig, MemTransport};
use tokio::sync::watch;

/// What becomes of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    None,
    /// All of it is stored, and nobody hears of it.
    LostAck,
    /// Nothing of it is stored, nor of what follows it.
    Refused,
    /// So many records are stored and acknowledged, the next one is not stored, and what is behind
    /// it is, in the batches that follow, too.
    Holes(usize),
    /// Nothing is stored yet; it comes with [`Flaky::release`].
    Late,
    /// Nothing is stored, for a reason that stays.
    Final(TransportErrorKind),
    /// All of it is stored, and then these, which somebody else wrote.
    Followed(Vec<Record>),
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    /// For the next batches of each channel; none where it is at its end.
    pub(crate) writes: BTreeMap<String, VecDeque<Fault>>,
    /// For the next writers of each channel that are opened.
    pub(crate) opens: BTreeMap<String, VecDeque<TransportErrorKind>>,
    /// No batch on these channels is stored.
    pub(crate) down: Option<String>,
    /// What `Start::Time` means.
    pub(crate) since: Option<Position>,
    /// The starts of all readers that were opened.
    pub(crate) starts: Vec<(String, Start)>,
    late: Vec<(String, Vec<Record>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Flaky {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) can: Capabilities,
    script: Arc<Mutex<Script>>,
    /// Receipts come when this is false.
    pub(crate) hold: watch::Sender<bool>,
}

impl Flaky {
    pub(crate) async fn new(channels: &[&str]) -> Self {
        let inner = MemTransport::new(MemConfig::default());
        for channel in channels {
            inner.create(channel).await.unwrap();
        }
        let (can, hold) = (inner.capabilities(), watch::Sender::new(false));
        Self { inner: Arc::new(inner), can, script: Arc::default(), hold }
    }

    pub(crate) fn arc(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(crate) fn fail(&self, channel: &str, faults: impl IntoIterator<Item = Fault>) {
        self.script().writes.entry(channel.to_owned()).or_default().extend(faults);
    }

    /// Whether every fault happened.
    pub(crate) fn is_done(&self) -> bool {
        let script = self.script();
        script.writes.values().all(VecDeque::is_empty)
            && script.opens.values().all(VecDeque::is_empty)
    }

    /// Stores what is late.
    pub(crate) async fn release(&self) {
        let late = mem::take(&mut self.script().late);
        assert!(!late.is_empty());
        for (channel, records) in late {
            let outcome = self.inner.writer(&channel).await.unwrap().submit(records).await;
            assert!(outcome.rest.is_none());
        }
    }

    fn next_fault(&self, channel: &str) -> Fault {
        let mut script = self.script();
        if script.down.as_deref() == Some(channel) {
            return Fault::Refused;
        }
        let writes = script.writes.get_mut(channel);
        writes.and_then(VecDeque::pop_front).unwrap_or(Fault::None)
    }
}

fn unavailable(channel: &str) -> TransportError {
    let kind = TransportErrorKind::Unavailable { reason: "the test says so".to_owned() };
    TransportError::new("submit", kind).on(channel)
}

#[async_trait]
impl Transport for Flaky {
    delegate!(self => self.inner, Transport { create_with, delete, trim, list, describe, subscription, unsubscribe, subscriptions, risks, encode_position, decode_position, close });
    fn capabilities(&self) -> Capabilities {
        self.can
    }
    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let refused = self.script().opens.get_mut(channel).and_then(VecDeque::pop_front);
        if let Some(kind) = refused {
            return Err(TransportError::new("writer", kind).on(channel));
        }
        let inner = self.inner.writer(channel).await?;
        let (channel, flaky) = (channel.to_owned(), self.clone());
        Ok(Box::new(FlakyWriter { inner, channel, flaky, state: State::Fine }))
    }
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let mut options = options;
        self.script().starts.push((channel.to_owned(), options.start));
        let since = self.script().since;
        options.start = match options.start {
            Start::Time(_) => match since {
                Some(at) if at < self.describe(channel).await?.end => Start::At(at),
                _ => Start::Latest,
            },
            start => start,
        };
        self.inner.reader_with(channel, options).await
    }
}

#[derive(Debug)]
struct FlakyWriter {
    inner: Box<dyn ChannelWriter>,
    channel: String,
    flaky: Flaky,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fine,
    Poisoned,
    /// Poisoned, and what was in flight is stored all the same.
    Leaking,
}

impl FlakyWriter {
    fn poisoned(&self, operation: &'static str) -> TransportError {
        TransportError::new(operation, TransportErrorKind::Poisoned).on(&*self.channel)
    }

    fn store(&mut self, records: Vec<Record>) -> Vec<Position> {
        let outcome = futures::FutureExt::now_or_never(self.inner.submit(records)).unwrap();
        assert!(outcome.rest.is_none());
        outcome.stored
    }

    fn outcome(&mut self, mut records: Vec<Record>) -> Outcome {
        if self.state != State::Fine {
            if self.state == State::Leaking {
                self.store(records);
            }
            return Outcome::partial(Vec::new(), Fate::Unknown, self.poisoned("submit"));
        }
        let error = unavailable(&self.channel);
        let fault = self.flaky.next_fault(&self.channel);
        self.state = match fault {
            Fault::None | Fault::Followed(_) => State::Fine,
            Fault::LostAck | Fault::Holes(_) => State::Leaking,
            Fault::Refused | Fault::Late | Fault::Final(_) => State::Poisoned,
        };
        match fault {
            Fault::None => Outcome::stored(self.store(records)),
            Fault::LostAck => {
                self.store(records);
                Outcome::partial(Vec::new(), Fate::Unknown, error)
            }
            Fault::Refused => Outcome::partial(Vec::new(), Fate::NotStored, error),
            Fault::Holes(stored) => {
                let behind = records.split_off(stored.min(records.len()));
                let stored = self.store(records);
                self.store(behind.into_iter().skip(1).collect());
                Outcome::partial(stored, Fate::Unknown, error)
            }
            Fault::Late => {
                self.flaky.script().late.push((self.channel.clone(), records));
                Outcome::partial(Vec::new(), Fate::Unknown, error)
            }
            Fault::Final(kind) => {
                let error = TransportError::new("submit", kind).on(&*self.channel);
                Outcome::partial(Vec::new(), Fate::NotStored, error)
            }
            Fault::Followed(others) => {
                let stored = self.store(records);
                self.store(others);
                Outcome::stored(stored)
            }
        }
    }
}

#[async_trait]
impl ChannelWriter for FlakyWriter {
    delegate!(self => self.inner, ChannelWriter { check, close });
    async fn ready(&mut self) -> Result<()> {
        if self.state == State::Fine {
            self.inner.ready().await
        } else {
            Err(self.poisoned("ready"))
        }
    }
    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let outcome = self.outcome(records);
        let mut hold = self.flaky.hold.subscribe();
        let (sender, receipt) = Receipt::pending();
        tokio::spawn(async move {
            hold.wait_for(|held| !held).await.unwrap();
            sender.send(outcome);
        });
        receipt
    }
}

/// A time for configurations; what it means is in the script.
pub(crate) const SOME_TIME: Timestamp = Timestamp(1 << 30);
