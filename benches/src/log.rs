//! Inserts, and channels that hold them.

use std::sync::Arc;

use bytes::Bytes;
use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{Blob, InsertRequest, MsgBase};
use msgstream_core::produce::SessionConfig;
use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Transport, TransportExt as _};
use msgstream_core::{Message, MsgPack, MsgType, Timestamp, TsMsg};
use msgstream_mem::{MemConfig, MemTransport};

use crate::Shape;
use crate::checksum::{Checksum, of_headers, of_insert};
use crate::shape::random;
use crate::workload::{Layer, Result};

/// What writes the channels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writer {
    Plain,
    Session,
}

/// The names of the channels, in the order of their numbers.
pub(crate) fn names(shape: Shape) -> Vec<String> {
    (0..shape.channels).map(|channel| format!("by-dev-rootcoord-dml_{channel:04}")).collect()
}

/// One pack for each tick: what it takes to write a log.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) names: Vec<String>,
    pub(crate) packs: Vec<MsgPack>,
    /// Of the messages' contents.
    pub(crate) contents: Checksum,
    /// Of what is known of them undecoded.
    pub(crate) headers: Checksum,
}

impl Input {
    pub(crate) fn new(shape: Shape, messages: usize) -> Self {
        let mut input = Self {
            names: names(shape),
            packs: Vec::new(),
            contents: Checksum::default(),
            headers: Checksum::default(),
        };
        let counts = shape.counts();
        let most = counts.iter().copied().max().unwrap_or(0);
        for tick in 0..shape.ticks(messages) {
            let mut msgs = Vec::new();
            for index in 0..most {
                for (channel, count) in counts.iter().enumerate().filter(|(_, n)| index < **n) {
                    let ts = Shape::time(tick, channel, *count, index);
                    msgs.push(input.message(shape.payload, channel, ts));
                }
            }
            input.packs.push(MsgPack::new(msgs));
        }
        input
    }

    fn message(&mut self, payload: usize, channel: usize, ts: Timestamp) -> Message {
        let name = &self.names[channel];
        let id = self.contents.messages as i64 + 1;
        let insert = InsertMsg::new(InsertRequest {
            base: Some(MsgBase { msg_id: id, source_id: 7, ..MsgBase::new(MsgType::INSERT, ts) }),
            shard_name: format!("{name}_v0"),
            db_name: "default".into(),
            collection_name: "orders".into(),
            partition_name: "_default".into(),
            db_id: 1,
            collection_id: 449_182_220_713_001_001,
            partition_id: 449_182_220_713_001_002,
            segment_id: id % 64,
            timestamps: vec![ts.0],
            row_ids: vec![id],
            row_data: vec![Blob { value: blob(id as u64, payload) }],
            num_rows: 1,
            ..InsertRequest::default()
        })
        .with_hash_keys([channel as u32]);
        self.contents.add(of_insert(name, insert.body()));
        self.headers.add(of_headers(ts.0, id, insert.encoded_len()));
        insert.into()
    }

    /// A transport with the channels, all empty, and a stream that writes to them.
    pub(crate) async fn open(
        &self,
        writer: Writer,
        layer: Layer,
    ) -> Result<(Arc<dyn Transport>, MsgStream)> {
        let transport = layer(Arc::new(MemTransport::new(MemConfig::default())));
        for name in &self.names {
            transport.create(name).await?;
        }
        let mut stream = MsgStream::new(Arc::clone(&transport));
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        match writer {
            Writer::Plain => stream.create_producers(&names).await?,
            Writer::Session => {
                transport.create("home").await?;
                stream
                    .create_session(SessionConfig::new("bench").with_home("home"), &names)
                    .await?;
            }
        }
        stream.start()?;
        Ok((transport, stream))
    }
}

/// Writes packs, a tick after each, all pipelined, and ends the channels with the last one's.
pub(crate) async fn write(stream: &mut MsgStream, packs: Vec<MsgPack>) -> Result<()> {
    let last = packs.len() as u64 - 1;
    for (tick, pack) in (0..).zip(packs) {
        stream.ready().await?;
        // The end fails if a pack or a tick does.
        drop(stream.submit(pack)?);
        if tick == last {
            stream.end(Shape::tick(tick)).await?;
        } else {
            drop(stream.submit_tick(Shape::tick(tick))?);
        }
    }
    Ok(())
}

/// Bytes that no other message has.
fn blob(id: u64, len: usize) -> Bytes {
    (0..len as u64)
        .step_by(8)
        .flat_map(|at| random(id << 20 | at).to_le_bytes())
        .take(len)
        .collect()
}
