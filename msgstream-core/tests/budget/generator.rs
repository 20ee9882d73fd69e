//! A transport that makes its records when they are read, so that only a stream holds any.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::record::{
    END_HEADER, Header, Incarnation, Meta, Origin, Position, Record, Stamp,
};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, Limit,
    ReadBatch, ReaderOptions, Result, Risk, Start, Subscription, Transport, TransportError,
    TransportErrorKind as Kind,
};
use msgstream_core::{MsgType, Timestamp};

/// The size of each payload, in bytes.
pub(crate) const PAYLOAD: usize = 1024;

/// The contents of one channel: windows of messages, a tick after each, and an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// The number of windows.
    pub(crate) windows: u64,
    /// Messages in each.
    pub(crate) msgs: u64,
    /// How much later each tick is than the one before.
    pub(crate) span: u64,
    /// It gives so many records in one read at most, and lets others run before each.
    pub(crate) slow: Option<usize>,
    /// Each message has a virtual channel with a name of so many bytes.
    pub(crate) vchannel: usize,
    /// Each record has a session's stamp.
    pub(crate) stamped: bool,
}

impl Script {
    pub(crate) const fn messages(&self) -> u64 {
        self.windows * self.msgs
    }

    /// The record at an offset: after the messages of a window its tick; the last tick is the end.
    fn record(&self, offset: u64) -> Record {
        let (window, index) = (offset / (self.msgs + 1), offset % (self.msgs + 1));
        let tick = (window + 1) * self.span;
        let mut record = if index < self.msgs {
            let ts = tick - 1 - index % self.span.min(7);
            let mut payload = vec![0; PAYLOAD];
            payload[..8].copy_from_slice(&offset.to_le_bytes());
            let mut meta = Meta::new(MsgType::INSERT, Timestamp(ts));
            // Made for each, as readers make it.
            meta.vchannel =
                Some("v".repeat(self.vchannel)).filter(|v| !v.is_empty()).map(Into::into);
            Record::new(meta, payload)
        } else {
            Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(tick)), Vec::new())
        };
        record.position = Position::new(offset);
        if self.stamped {
            let producer = "a-producer-with-a-name-of-ordinary-length".into();
            let origin = Arc::new(Origin { producer, epoch: Position::new(1) });
            // A tick has the number of the last message before it.
            let seq = window * self.msgs + (index + 1).min(self.msgs);
            record.meta.stamp = Some(Stamp { origin, seq });
        }
        if index == self.msgs && window + 1 == self.windows {
            record.extra.push(Header::new(END_HEADER, "1"));
        }
        record
    }

    const fn end(&self) -> u64 {
        self.windows * (self.msgs + 1)
    }
}

/// Channels by name. It can be read and sought, and nothing else.
#[derive(Debug)]
pub(crate) struct Generator(pub(crate) BTreeMap<String, Script>);

fn no<T>(operation: &'static str, capability: Capability) -> Result<T> {
    Err(TransportError::new(operation, Kind::Unsupported { capability }))
}

#[async_trait]
impl Transport for Generator {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with(Capability::SeekPosition)
    }
    async fn create_with(&self, _: &str, _: CreateOptions) -> Result<()> {
        no("create", Capability::Create)
    }
    async fn delete(&self, _: &str) -> Result<()> {
        no("delete", Capability::Delete)
    }
    async fn trim(&self, _: &str, _: Position) -> Result<()> {
        no("trim", Capability::Trim)
    }
    async fn list(&self, _: &str) -> Result<Vec<String>> {
        no("list", Capability::List)
    }
    async fn describe(&self, _: &str) -> Result<ChannelInfo> {
        Err(TransportError::new("describe", Kind::Closed))
    }
    async fn writer(&self, _: &str) -> Result<Box<dyn ChannelWriter>> {
        Err(TransportError::new("writer", Kind::Closed))
    }
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let missing = || TransportError::new("reader", Kind::NotFound).on(channel);
        let script = *self.0.get(channel).ok_or_else(missing)?;
        let mut reader = Reader { script, next: 0 };
        reader.seek(options.start).await?;
        Ok(Box::new(reader))
    }
    async fn subscription(&self, _: &str, _: &str) -> Result<Arc<dyn Subscription>> {
        no("subscription", Capability::Subscriptions)
    }
    async fn unsubscribe(&self, _: &str, _: &str) -> Result<()> {
        no("unsubscribe", Capability::Subscriptions)
    }
    async fn subscriptions(&self, _: &str) -> Result<Vec<String>> {
        no("subscriptions", Capability::Subscriptions)
    }
    async fn risks(&self, _: &str) -> Result<Vec<Risk>> {
        Ok(Vec::new())
    }
    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        Ok(position.offset().to_le_bytes().to_vec())
    }
    fn decode_position(&self, _: &[u8]) -> Result<Position> {
        no("decode_position", Capability::SeekPosition)
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Reader {
    script: Script,
    next: u64,
}

#[async_trait]
impl ChannelReader for Reader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        tokio::task::coop::consume_budget().await;
        if self.script.slow.is_some() {
            tokio::task::yield_now().await;
        }
        let most = limit.records.min(self.script.slow.unwrap_or(usize::MAX));
        let left = usize::try_from(self.script.end() - self.next).unwrap();
        let fits = (limit.bytes / self.script.record(0).footprint()).max(1);
        let count = most.min(left).min(fits);
        // Not every adapter knows beforehand how many will come.
        let mut records = Vec::with_capacity(limit.records);
        records.extend((self.next..).take(count).map(|offset| self.script.record(offset)));
        self.next += count as u64;
        let caught_up = self.next == self.script.end();
        Ok(ReadBatch::new(records, Position::new(self.next), caught_up))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.next = match start {
            Start::Earliest => 0,
            Start::At(position) => position.offset(),
            Start::After(position) => position.offset() + 1,
            _ => return no("seek", Capability::SeekTime),
        };
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        Incarnation(0)
    }
}
