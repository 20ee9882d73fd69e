//! What Milvus writes.

use std::collections::BTreeMap;

use msgstream_core::adapter::decode_headers;
use msgstream_core::transport::{Start, TransportExt as _};
use msgstream_core::{ConsumerConfig, MsgTypeNames, TtMsgStream};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header as RawHeader, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::{LONG, create, drain, open, raw, write};

#[derive(serde::Deserialize)]
struct Golden {
    messages: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    payload_hex: String,
    properties: BTreeMap<String, String>,
}

impl Vector {
    fn payload(&self) -> Vec<u8> {
        let hex = &self.payload_hex;
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }
}

fn golden() -> Vec<Vector> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../msgstream-core/tests/data/milvus-2.6.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let Golden { messages } = serde_json::from_value(golden).unwrap();
    messages
}

/// Sends messages as Milvus does, compressed by a codec.
fn send(topic: &str, messages: &[Vector], codec: &str) {
    let producer: BaseProducer = raw().set("compression.codec", codec).create().unwrap();
    for message in messages {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.properties {
            headers = headers.insert(RawHeader { key, value: Some(value) });
        }
        let payload = message.payload();
        let record: BaseRecord<'_, (), Vec<u8>> =
            BaseRecord::to(topic).payload(&payload).headers(headers);
        producer.send(record).unwrap();
    }
    producer.flush(LONG).unwrap();
}

#[tokio::test]
async fn what_milvus_wrote_is_read_and_written_back_as_it_was() {
    let messages = golden();
    let transport = open().await;
    let (theirs, ours) = (create(&*transport).await, create(&*transport).await);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    // The system's librdkafka may be without this one.
    let codecs = &codecs[..codecs.len() - usize::from(cfg!(feature = "dynamic"))];
    for codec in codecs {
        send(&theirs, &messages, codec);
    }

    let mut reader = transport.reader(&theirs, Start::Earliest).await.unwrap();
    let mut records = drain(&mut *reader).await;
    assert_eq!(records.len(), messages.len() * codecs.len());
    let names = MsgTypeNames::milvus_2x();
    for (record, message) in records.iter().zip(messages.iter().cycle()) {
        assert_eq!(record.payload, message.payload());
        let headers = message.properties.iter().map(|(k, v)| (k.as_str(), v.as_bytes()));
        let (meta, extra) = decode_headers(headers, &record.payload, &names).unwrap();
        assert_eq!((&record.meta, &record.extra), (&meta, &extra));
    }

    records.truncate(messages.len());
    write(&*transport, &ours, records).await;
    let consumer: BaseConsumer = raw().set("group.id", &ours).create().unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&ours, 0, Offset::Offset(0)).unwrap();
    consumer.assign(&start).unwrap();
    for message in &messages {
        let read = loop {
            if let Some(read) = consumer.poll(LONG) {
                break read.unwrap();
            }
        };
        assert_eq!(read.payload().unwrap(), message.payload());
        assert!(read.key().is_none());
        let headers: BTreeMap<_, _> =
            read.headers().unwrap().iter().map(|h| (h.key, h.value.unwrap())).collect();
        let wanted: BTreeMap<_, _> =
            message.properties.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        assert_eq!(headers, wanted);
    }
}

#[tokio::test]
async fn what_milvus_wrote_comes_as_packs() {
    let time = |message: &Vector| message.properties["timestamp"].parse::<u64>().unwrap();
    let mut messages = golden();
    messages.sort_by_key(time);
    // The tick, and what is up to it; one is behind it.
    let tick = messages.iter().position(|m| m.properties["msg_type"] == "TimeTick").unwrap();
    messages.truncate(tick + 1);
    let transport = open().await;
    let channel = create(&*transport).await;
    send(&channel, &messages, "none");

    let mut stream = TtMsgStream::new(transport, ConsumerConfig::default()).unwrap();
    stream.create_consumers(None, &[channel.as_str()], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    let pack = stream.consume().await.unwrap().unwrap();
    assert_eq!(pack.end_ts.0, time(&messages[tick]));
    let packed: Vec<_> = pack.msgs.iter().filter_map(|message| message.stored()).collect();
    assert_eq!(packed.len(), tick);
    for (packed, message) in packed.iter().zip(&messages) {
        assert_eq!(packed.record.payload, message.payload());
        assert_eq!(packed.record.meta.timestamp.0, time(message));
    }
}
