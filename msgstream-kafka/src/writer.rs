//! Appending.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::{encode_headers, headers_size};
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportErrorKind,
};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::Producer as _;
use tokio::task::coop;

use crate::admin::is_channel;
use crate::calls::At;
use crate::client::Handle;
use crate::error::kind;
use crate::in_flight::{Outgoing, Pipeline};
use crate::incarnations::Bound;

/// What Kafka's format adds to a record at the most, in bytes: lengths, deltas, counts.
const RECORD_OVERHEAD: usize = 36;
/// What it adds to a header at the most, in bytes.
const HEADER_OVERHEAD: usize = 10;

#[derive(Debug)]
pub(crate) struct KafkaWriter {
    pipeline: Arc<Pipeline>,
    names: MsgTypeNames,
    /// The greatest record that is taken, in bytes.
    limit: usize,
    closed: bool,
}

impl KafkaWriter {
    pub(crate) async fn open(
        handle: &Arc<Handle>,
        channel: &str,
        topic: String,
    ) -> Result<Self, TransportErrorKind> {
        let (pipeline, limit) = handle.in_time(open(handle, channel, topic)).await?;
        Ok(Self { pipeline, names: MsgTypeNames::default(), limit, closed: false })
    }

    /// The size of a record, where it can be written.
    fn size(&self, record: &Record) -> Result<usize, TransportErrorKind> {
        if let Some(header) = record.extra.iter().find(|header| header.name.contains('\0')) {
            return Err(TransportErrorKind::InvalidHeader {
                name: header.name.to_string(),
                reason: "Kafka's client ends names at a zero byte".to_owned(),
            });
        }
        let headers = headers_size(record, &self.names);
        let overhead = RECORD_OVERHEAD + HEADER_OVERHEAD * headers.count;
        let bytes = overhead + headers.bytes + record.payload.len();
        if bytes > self.limit {
            return Err(TransportErrorKind::TooLarge { bytes, limit: self.limit });
        }
        Ok(bytes)
    }

    fn sizes(&self, records: &[Record]) -> Result<usize, TransportErrorKind> {
        records.iter().try_fold(0, |sum, record| Ok(sum + self.size(record)?))
    }

    fn headers(&self, record: &Record) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(6 + record.extra.len());
        encode_headers(record, &self.names).fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(&*value) })
        })
    }

    /// Why nothing is taken any more.
    fn ended(&self) -> Option<TransportErrorKind> {
        let closed = self.closed || self.pipeline.handle().check_open().is_err();
        let poisoned = || self.pipeline.load.borrow().poisoned;
        closed
            .then_some(TransportErrorKind::Closed)
            .or_else(|| poisoned().then_some(TransportErrorKind::Poisoned))
    }

    fn hand_over(&self, records: &[Record]) -> Result<Receipt, TransportErrorKind> {
        if let Some(kind) = self.ended() {
            return Err(kind);
        }
        if records.is_empty() {
            return Ok(Receipt::ready(Outcome::stored(Vec::new())));
        }
        let bytes = self.sizes(records).inspect_err(|_| self.pipeline.poison())?;
        let outgoing = records.iter().map(|record| Outgoing {
            key: None,
            payload: Some(&record.payload),
            headers: Some(self.headers(record)),
        });
        Ok(self.pipeline.send(records.len(), bytes, outgoing))
    }

    async fn wait_for_room(&self) -> Result<(), TransportErrorKind> {
        let window = self.pipeline.handle().config.window;
        let mut load = self.pipeline.load.subscribe();
        // The sender is here, so this can't fail.
        let _ = load.wait_for(|load| load.poisoned || load.bytes < window).await;
        self.ended().map_or(Ok(()), Err)
    }
}

/// A pipeline to a topic, and the greatest record that may go through it.
pub(crate) async fn open(
    handle: &Arc<Handle>,
    channel: &str,
    topic: String,
) -> Result<(Arc<Pipeline>, usize), TransportErrorKind> {
    let bound = Bound::new(handle, &topic, None).await?;
    let limit = handle.setting(&topic, "max.message.bytes").await?;
    let limit = limit.and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let at = Arc::clone(handle);
    let (producer, limit) = handle.block(move || at.producers.open(&at.config, limit)).await?;
    // This client too has to know the topic, as it is now: it may have been deleted and made again since
    // the client saw it last.
    handle
        .ask(|look| {
            let (client, topic) = (Arc::clone(&producer.client), topic.clone());
            handle.call(At::AnyNode, look, move |_, left| {
                let seen = client.client().fetch_metadata(Some(&topic), left);
                let seen = seen.map_err(|error| kind(&error, left))?;
                is_channel(&topic, seen.topics().first(), left)
            })
        })
        .await?;
    Ok((Pipeline::new(Arc::clone(handle), producer, bound, channel, topic), limit))
}

#[async_trait]
impl ChannelWriter for KafkaWriter {
    async fn ready(&mut self) -> Result<()> {
        // Lets others run: a loop of writes that find room would keep its thread for itself.
        coop::consume_budget().await;
        let room = match self.ended() {
            Some(kind) => Err(kind),
            None => self.pipeline.handle().while_open(self.wait_for_room()).await,
        };
        room.map_err(|kind| self.pipeline.error("ready", kind))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.sizes(records).map(drop).map_err(|kind| self.pipeline.error("check", kind))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.hand_over(&records).unwrap_or_else(|kind| {
            let error = self.pipeline.error("submit", kind);
            Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.closed = true;
        let mut load = self.pipeline.load.subscribe();
        let _ = load.wait_for(|load| load.batches == 0).await;
        Ok(())
    }
}
