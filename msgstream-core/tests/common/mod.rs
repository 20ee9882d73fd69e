//! A transport whose failures and delays a test decides.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::message::{InsertMsg, proto::InsertRequest};
use msgstream_core::record::Record;
use msgstream_core::transport::{
    Capabilities, ChannelReader, ChannelWriter, CreateOptions, Fate, Limit, Outcome, ReadBatch,
    ReaderOptions, Receipt, Result, Transport, TransportError, TransportErrorKind,
    TransportExt as _,
};
use msgstream_mem::{MemConfig, MemTransport};
use tokio::sync::watch;

/// A private in-process transport with these channels.
pub(crate) async fn mem(channels: &[&str]) -> Arc<dyn Transport> {
    let mem = MemTransport::new(MemConfig::default());
    for channel in channels {
        mem.create(channel).await.unwrap();
    }
    Arc::new(mem)
}

/// An insert of one row: one time, one hash key.
pub(crate) fn insert(ts: u64, key: u32) -> InsertMsg {
    let request = InsertRequest { timestamps: vec![ts], row_ids: vec![1], ..Default::default() };
    InsertMsg::new(request).with_hash_keys([key])
}

/// What a [`Trick`] transport does other than the one it wraps.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The next batch on this channel ends after so many records, with this fate for the rest.
    pub(crate) fail_write: BTreeMap<String, (usize, Fate)>,
    /// These channels take no larger payload, in bytes.
    pub(crate) max_payload: BTreeMap<String, usize>,
    /// The next reads on these channels fail.
    pub(crate) fail_read: BTreeSet<String>,
    /// Readers of these channels fail, and can't be opened.
    pub(crate) down: BTreeSet<String>,
    /// Creating fails once so many channels are there, whether or not it took effect.
    pub(crate) create: Option<(usize, Fate)>,
    /// Deleting these channels fails; all of them where the set holds the empty string.
    pub(crate) no_delete: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Trick {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) can: Capabilities,
    pub(crate) plan: Arc<Mutex<Plan>>,
    /// Receipts come when this is false.
    pub(crate) hold: watch::Sender<bool>,
    /// Writers are ready when this is false.
    pub(crate) full: watch::Sender<bool>,
}

impl Trick {
    pub(crate) async fn new(channels: &[&str]) -> Self {
        let inner = mem(channels).await;
        let can = inner.capabilities();
        Self {
            inner,
            can,
            plan: Arc::default(),
            hold: watch::Sender::new(false),
            full: watch::Sender::new(false),
        }
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }
}

pub(crate) fn unavailable(operation: &'static str, channel: &str) -> TransportError {
    let kind = TransportErrorKind::Unavailable { reason: "the test says so".to_owned() };
    TransportError::new(operation, kind).on(channel)
}

#[async_trait]
impl Transport for Trick {
    delegate!(self => self.inner, Transport { trim, list, describe, subscription, unsubscribe, subscriptions, risks, encode_position, decode_position, close });
    fn capabilities(&self) -> Capabilities {
        self.can
    }
    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let there = self.inner.list("").await?.len();
        let failing = self.plan().create.filter(|(limit, _)| there >= *limit);
        if failing.is_none_or(|(_, fate)| fate == Fate::Unknown) {
            self.inner.create_with(channel, options).await?;
        }
        match failing {
            None => Ok(()),
            Some((_, Fate::Unknown)) => Err(unavailable("create", channel)),
            Some((_, Fate::NotStored)) => {
                let kind = TransportErrorKind::Denied { reason: "too many".to_owned() };
                Err(TransportError::new("create", kind).on(channel))
            }
        }
    }
    async fn delete(&self, channel: &str) -> Result<()> {
        if self.plan().no_delete.iter().any(|c| c.is_empty() || c == channel) {
            return Err(unavailable("delete", channel));
        }
        self.inner.delete(channel).await
    }
    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let inner = self.inner.writer(channel).await?;
        let channel = channel.to_owned();
        Ok(Box::new(TrickWriter { inner, channel, trick: self.clone(), poisoned: false }))
    }
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        if self.plan().down.contains(channel) {
            return Err(unavailable("reader", channel));
        }
        let inner = self.inner.reader_with(channel, options).await?;
        Ok(Box::new(TrickReader { inner, channel: channel.to_owned(), trick: self.clone() }))
    }
}

#[derive(Debug)]
struct TrickWriter {
    inner: Box<dyn ChannelWriter>,
    channel: String,
    trick: Trick,
    poisoned: bool,
}

impl TrickWriter {
    fn poisoned(&self) -> TransportError {
        TransportError::new("submit", TransportErrorKind::Poisoned).on(&*self.channel)
    }
}

#[async_trait]
impl ChannelWriter for TrickWriter {
    delegate!(self => self.inner, ChannelWriter { close });
    async fn ready(&mut self) -> Result<()> {
        self.trick.full.subscribe().wait_for(|full| !full).await.unwrap();
        if self.poisoned { Err(self.poisoned()) } else { self.inner.ready().await }
    }
    fn check(&self, records: &[Record]) -> Result<()> {
        let limit = self.trick.plan().max_payload.get(&self.channel).copied();
        let limit = limit.unwrap_or(usize::MAX);
        match records.iter().map(|r| r.payload.len()).find(|bytes| *bytes > limit) {
            Some(bytes) => {
                let kind = TransportErrorKind::TooLarge { bytes, limit };
                Err(TransportError::new("check", kind).on(&*self.channel))
            }
            None => self.inner.check(records),
        }
    }
    fn submit(&mut self, mut records: Vec<Record>) -> Receipt {
        if self.poisoned {
            let error = self.poisoned();
            return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
        }
        let failing = self.trick.plan().fail_write.remove(&self.channel);
        if let Some((stored, _)) = failing {
            records.truncate(stored);
            self.poisoned = true;
        }
        let channel = self.channel.clone();
        let inner = self.inner.submit(records);
        let mut hold = self.trick.hold.subscribe();
        let (sender, receipt) = Receipt::pending();
        tokio::spawn(async move {
            let mut outcome = inner.await;
            if let Some((_, fate)) = failing {
                let error = unavailable("submit", &channel);
                outcome = Outcome::partial(outcome.stored, fate, error);
            }
            hold.wait_for(|held| !held).await.unwrap();
            sender.send(outcome);
        });
        receipt
    }
}

#[derive(Debug)]
struct TrickReader {
    inner: Box<dyn ChannelReader>,
    channel: String,
    trick: Trick,
}

#[async_trait]
impl ChannelReader for TrickReader {
    delegate!(self => self.inner, ChannelReader { seek, incarnation });
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let failing = {
            let mut plan = self.trick.plan();
            plan.fail_read.remove(&self.channel) || plan.down.contains(&self.channel)
        };
        if failing {
            return Err(unavailable("read", &self.channel));
        }
        self.inner.read(limit).await
    }
}
