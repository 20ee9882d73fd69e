//! Writing.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::Failure;
use msgstream_core::adapter::{encode_with_key, headers_size};
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportErrorKind,
};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::Producer as _;
use tokio::task::coop;

use crate::calls::At;
use crate::client::Handle;
use crate::error::failed;
use crate::in_flight::{Outgoing, Pipeline};
use crate::incarnations::Bound;
use crate::lookup::Leaders;
use crate::partition::Name;
use crate::risks::is_compacted;

/// The most that Kafka's format adds to a record, in bytes: lengths, deltas, counts.
const RECORD_OVERHEAD: usize = 36;
/// The most that it adds to a header, in bytes.
const HEADER_OVERHEAD: usize = 10;

#[derive(Debug)]
pub(crate) struct KafkaWriter {
    pipeline: Arc<Pipeline>,
    names: MsgTypeNames,
    /// The limit to a record, in bytes.
    limit: usize,
    is_compacted: bool,
    closed: bool,
}

impl KafkaWriter {
    pub(crate) async fn open(
        handle: &Arc<Handle>,
        channel: &str,
        name: &Name,
    ) -> Result<Self, Failure> {
        let Opened { pipeline, limit, is_compacted } =
            handle.in_time(open(handle, channel, name)).await?;
        let names = MsgTypeNames::default();
        Ok(Self { pipeline, names, limit, is_compacted, closed: false })
    }

    /// Returns the size of a record, or fails if it can't be written.
    fn size(&self, record: &Record) -> Result<usize, Failure> {
        if let Some(header) = record.extra.iter().find(|header| header.name.contains('\0')) {
            return Err(TransportErrorKind::InvalidHeader {
                name: header.name.to_string(),
                reason: "Kafka's client can't write a name with a zero byte".to_owned(),
            }
            .into());
        }
        if self.is_compacted {
            fits_compaction(record)?;
        }
        let headers = headers_size(record, &self.names);
        let overhead = RECORD_OVERHEAD + HEADER_OVERHEAD * headers.count;
        let bytes = overhead + headers.bytes + record.payload.len();
        if bytes > self.limit {
            return Err(TransportErrorKind::TooLarge { bytes, limit: self.limit }.into());
        }
        Ok(bytes)
    }

    fn sizes(&self, records: &[Record]) -> Result<usize, Failure> {
        records.iter().try_fold(0, |sum, record| Ok(sum + self.size(record)?))
    }

    fn outgoing<'a>(&'a self, record: &'a Record) -> Outgoing<'a> {
        let (key, headers) = encode_with_key(record, &self.names);
        let none = OwnedHeaders::new_with_capacity(6 + record.extra.len());
        let headers = headers.fold(none, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(&*value) })
        });
        Outgoing {
            key: key.map(|key| &**key),
            payload: Some(&record.payload),
            headers: Some(headers),
        }
    }

    /// Returns why no more records are accepted.
    fn ended(&self) -> Option<TransportErrorKind> {
        let closed = self.closed || self.pipeline.handle().check_open().is_err();
        let poisoned = || self.pipeline.load.borrow().poisoned;
        closed
            .then_some(TransportErrorKind::Closed)
            .or_else(|| poisoned().then_some(TransportErrorKind::Poisoned))
    }

    fn hand_over(&self, records: &[Record]) -> Result<Receipt, Failure> {
        if let Some(kind) = self.ended() {
            return Err(kind.into());
        }
        if records.is_empty() {
            return Ok(Receipt::ready(Outcome::stored(Vec::new())));
        }
        let bytes = self.sizes(records).inspect_err(|_| self.pipeline.poison())?;
        let outgoing = records.iter().map(|record| self.outgoing(record));
        Ok(self.pipeline.send(records.len(), bytes, outgoing))
    }

    async fn wait_for_room(&self) -> Result<(), Failure> {
        let window = self.pipeline.handle().config.window_bytes;
        let mut load = self.pipeline.load.subscribe();
        // The sender is here, so this can't fail.
        let _ = load.wait_for(|load| load.poisoned || load.bytes < window).await;
        self.ended().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// Fails if a record can't be in a topic of which only the last record of each key stays.
fn fits_compaction(record: &Record) -> Result<(), TransportErrorKind> {
    let why = match record.key() {
        _ if record.meta.stamp.is_some() => {
            "records of a session are numbered, and what compaction removes would be missing"
        }
        None if record.is_tick() => "it takes no time tick, which has no key",
        None => "it takes no record without a key",
        Some(_) => return Ok(()),
    };
    let reason =
        format!("the topic is compacted, and {why}: write to a topic with `cleanup.policy=delete`");
    Err(TransportErrorKind::Config { reason })
}

/// What a writer is opened with.
pub(crate) struct Opened {
    pub(crate) pipeline: Arc<Pipeline>,
    /// The limit to a record, in bytes.
    pub(crate) limit: usize,
    is_compacted: bool,
}

/// Opens a pipeline to a channel.
pub(crate) async fn open(
    handle: &Arc<Handle>,
    channel: &str,
    name: &Name,
) -> Result<Opened, Failure> {
    let bound = Bound::new(handle, name, None).await?;
    let [limit, policy] =
        handle.settings(&name.topic, ["max.message.bytes", "cleanup.policy"]).await?;
    let limit = limit.and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let at = Arc::clone(handle);
    let (producer, limit) = handle.block(move || at.producers.open(&at.config, limit)).await?;
    // This client too has to know the topic, as it is now: it may have been deleted and made again since
    // the client saw it last.
    handle
        .ask(|look| {
            let (client, partition) = (Arc::clone(&producer.client), bound.partition.clone());
            handle.call(At::AnyNode, look, move |_, left| {
                let topic = &partition.topic;
                let seen = client.client().fetch_metadata(Some(topic), left);
                let seen = seen.map_err(|error| failed(&error, left))?;
                Leaders::read(topic, seen.topics().first(), left)?.of(&partition, left)
            })
        })
        .await?;
    let pipeline = Pipeline::new(Arc::clone(handle), producer, bound, channel);
    Ok(Opened { pipeline, limit, is_compacted: policy.is_some_and(|policy| is_compacted(&policy)) })
}

#[async_trait]
impl ChannelWriter for KafkaWriter {
    async fn ready(&mut self) -> Result<()> {
        // Lets others run: a loop of writes that find room would keep its thread for itself.
        coop::consume_budget().await;
        let room = match self.ended() {
            Some(kind) => Err(kind.into()),
            None => self.pipeline.handle().while_open(self.wait_for_room()).await,
        };
        room.map_err(|failure| self.pipeline.error("ready", failure))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.sizes(records).map(drop).map_err(|failure| self.pipeline.error("check", failure))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.hand_over(&records).unwrap_or_else(|failure| {
            let error = self.pipeline.error("submit", failure);
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
