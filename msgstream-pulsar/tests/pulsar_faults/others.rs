//! What other programs write and do.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use msgstream_conformance::unique_name;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::decode_headers;
use msgstream_core::record::Header;
use msgstream_core::transport::{Start, TransportErrorKind as Kind, TransportExt as _};
use pulsar::consumer::InitialPosition;
use pulsar::{ConsumerOptions, SubType};

use crate::support::{
    admin, create, open, other, persistent, read_from, record, shared, times, topic, write,
};

/// A broker that came back under load was seen to do that by itself.
#[tokio::test]
async fn a_topic_without_its_properties_is_asked_for_them_again() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let end = transport.describe(&channel).await.unwrap().end;

    let properties = admin(&url, "GET", &topic(&channel, "properties"), "").await;
    let key = "properties?key=msgstream.incarnation";
    admin(&url, "DELETE", &topic(&channel, key), "").await;
    for error in [cursor.ack(end).await.unwrap_err(), reader.seek(Start::Latest).await.unwrap_err()]
    {
        assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("start anew"), "{error}");
    }
    admin(&url, "PUT", &topic(&channel, "properties"), &properties).await;
    cursor.ack(end).await.unwrap();
    reader.seek(Start::Latest).await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(end));
}

/// What other programs write: messages that are no batch, and properties that are no metadata.
#[tokio::test]
async fn what_others_write_is_read() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let other = other(&url).await;
    let producer = other.producer().with_topic(persistent(&channel));
    let mut producer = producer.build().await.unwrap();
    for number in 0..5_u8 {
        let properties = [("colour".to_owned(), number.to_string())].into();
        let payload = vec![number];
        let message = pulsar::producer::Message { payload, properties, ..Default::default() };
        producer.send_non_blocking(message).await.unwrap().await.unwrap();
    }
    let records = read_from(&*transport, &channel, Start::Earliest).await;
    let read: Vec<_> = records.iter().map(|r| (r.payload[0], r.extra[0].clone())).collect();
    let written = (0..5).map(|n| (n, Header::new("colour", n.to_string())));
    assert_eq!(read, Vec::from_iter(written));
    for (at, record) in records.iter().enumerate() {
        for (start, from) in
            [(Start::At(record.position), at), (Start::After(record.position), at + 1)]
        {
            assert!(read_from(&*transport, &channel, start).await == records[from..], "{start:?}");
        }
    }
}

#[tokio::test]
async fn a_message_over_the_topics_own_limit_is_refused() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    admin(&url, "POST", &topic(&channel, "maxMessageSize"), "10000").await;
    let mut large = record(1);
    large.payload = vec![b'x'; 10_000].into();
    // The policy takes a moment, for which there is no event.
    let limit = loop {
        let writer = transport.writer(&channel).await.unwrap();
        match writer.check(std::slice::from_ref(&large)).map_err(|error| error.kind().clone()) {
            Err(Kind::TooLarge { bytes, limit }) => {
                assert!(bytes > 10_000);
                break limit;
            }
            other => other.unwrap(),
        }
    };
    assert!(limit < 10_000);
    // The greatest record that passes is taken.
    let mut writer = transport.writer(&channel).await.unwrap();
    large.payload = large.payload.slice(..limit - 200);
    writer.check(std::slice::from_ref(&large)).unwrap();
    assert!(writer.submit(vec![large]).await.rest.is_none());
}

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

#[tokio::test]
async fn what_milvus_wrote_is_read_and_written_back_as_it_was() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../msgstream-core/tests/data/milvus-2.6.json");
    let Golden { messages } = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let url = shared();
    let transport = open(&url).await;
    let (theirs, ours) = (create(&*transport).await, create(&*transport).await);
    let other = other(&url).await;
    let producer = other.producer().with_topic(persistent(&theirs));
    let mut producer = producer.build().await.unwrap();
    for message in &messages {
        let (payload, properties) =
            (message.payload(), message.properties.clone().into_iter().collect());
        let message = pulsar::producer::Message { payload, properties, ..Default::default() };
        producer.send_non_blocking(message).await.unwrap().await.unwrap();
    }
    let records = read_from(&*transport, &theirs, Start::Earliest).await;
    assert_eq!(records.len(), messages.len());
    let names = MsgTypeNames::milvus_2x();
    for (record, message) in records.iter().zip(&messages) {
        assert_eq!(record.payload, message.payload());
        let headers = message.properties.iter().map(|(k, v)| (k.as_str(), v.as_bytes()));
        let (meta, mut extra) = decode_headers(headers, &record.payload, &names).unwrap();
        assert_eq!(record.meta, meta);
        // Pulsar's properties have no order.
        let mut found = record.extra.clone();
        for headers in [&mut extra, &mut found] {
            headers.sort_by(|a, b| a.name.cmp(&b.name));
        }
        assert_eq!(found, extra);
    }

    write(&*transport, &ours, records).await;
    let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
    let reader = other.reader().with_topic(persistent(&ours)).with_options(options);
    let mut reader = reader.into_reader::<Vec<u8>>().await.unwrap();
    for message in &messages {
        let read = reader.try_next().await.unwrap().unwrap();
        assert_eq!(read.payload.data, message.payload());
        let properties = read.payload.metadata.properties.iter();
        let properties = properties.map(|p| (p.key.clone(), p.value.clone()));
        assert_eq!(BTreeMap::from_iter(properties), message.properties);
    }
}

#[tokio::test]
async fn keys_are_where_others_look_for_them() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let other = other(&url).await;
    // A message alone, and a batch.
    let producer = other.producer().with_topic(persistent(&channel));
    let mut producer = producer.build().await.unwrap();
    for (partition_key, base64) in [(Some("ann"), None), (None, None), (Some("/wA="), Some(true))] {
        let message = pulsar::producer::Message {
            partition_key: partition_key.map(str::to_owned),
            partition_key_b64_encoded: base64,
            ..Default::default()
        };
        producer.send_non_blocking(message).await.unwrap().await.unwrap();
    }
    let keys: [Option<&[u8]>; 3] = [Some(b"ann"), None, Some(b"\xff\x00")];
    let ours = (0..).zip(keys).map(|(number, key)| match key {
        Some(key) => record(number).with_key(key),
        None => record(number),
    });
    write(&*transport, &channel, ours.collect()).await;
    let records = read_from(&*transport, &channel, Start::Earliest).await;
    let read: Vec<_> = records.iter().map(|record| record.key().map(|key| &key[..])).collect();
    assert_eq!(read, [keys, keys].concat());

    let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
    let reader = other.reader().with_topic(persistent(&channel)).with_options(options);
    let mut reader = reader.into_reader::<Vec<u8>>().await.unwrap();
    let mut read = Vec::new();
    while read.len() < 2 * keys.len() {
        let metadata = reader.try_next().await.unwrap().unwrap().payload.metadata;
        assert!(metadata.properties.iter().all(|property| property.key != "ms-key"));
        read.push((metadata.partition_key, metadata.partition_key_b64_encoded.unwrap_or_default()));
    }
    let theirs = [(Some("ann"), false), (None, false), (Some("/wA="), true)];
    let theirs = theirs.map(|(key, is_base64)| (key.map(str::to_owned), is_base64));
    assert_eq!(read, [theirs.clone(), theirs].concat());
}

#[tokio::test]
async fn a_subscription_that_somebody_consumes_from_is_theirs() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let other = other(&url).await;
    let consumer = other.consumer().with_topic(persistent(&channel));
    let consumer = consumer.with_subscription("theirs").with_subscription_type(SubType::Exclusive);
    let mut consumer = consumer.build::<Vec<u8>>().await.unwrap();
    let error = transport.subscription(&channel, "theirs").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::InUse { .. }), "{error}");
    assert!(error.to_string().contains("theirs"), "{error}");
    // It is still there, and gets what is written.
    let positions = write(&*transport, &channel, vec![record(7)]).await;
    assert_eq!(consumer.try_next().await.unwrap().unwrap().payload.data, b"7");
    consumer.close().await.unwrap();
    drop(consumer);
    // The broker takes a moment to see it off, for which there is no event.
    let cursor = loop {
        match transport.subscription(&channel, "theirs").await {
            Ok(cursor) => break cursor,
            Err(error) => assert!(matches!(error.kind(), Kind::InUse { .. }), "{error}"),
        }
    };
    cursor.ack(positions[0]).await.unwrap();
    assert_eq!(
        cursor.acked().await.unwrap().map(|p| p.words()[..2].to_vec()),
        Some(positions[0].words()[..2].to_vec())
    );
}

#[tokio::test]
async fn a_topic_with_partitions_is_no_channel_and_each_of_them_is() {
    let url = shared();
    let transport = open(&url).await;
    let channel = unique_name();
    admin(&url, "PUT", &topic(&channel, "partitions"), "2").await;
    for error in [
        transport.writer(&channel).await.map(drop).unwrap_err(),
        transport.reader(&channel, Start::Earliest).await.map(drop).unwrap_err(),
        transport.subscription(&channel, "cursor").await.map(drop).unwrap_err(),
        transport.describe(&channel).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{channel}-partition-0")), "{error}");
    }
    let error = transport.create(&channel).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::AlreadyExists);
    let one = format!("{channel}-partition-1");
    write(&*transport, &one, vec![record(0)]).await;
    assert_eq!(times(&read_from(&*transport, &one, Start::Earliest).await), [0]);
}
