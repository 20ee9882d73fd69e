//! Topics that get more partitions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::message::{TimeSyncMsg, TimeTickMsg};
use msgstream_core::produce::{InSession, SessionConfig};
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{Consumer, Producer, Timestamp, TsMsg};
use rdkafka::admin::{AdminOptions, NewPartitions};
use tracing::Level;

use super::packs::packed;
use super::{channels, is_refused};
use crate::logs;
use crate::support::{LONG, admin, create, drain, open, record, times, write};

async fn grow(topic: &str, partitions: usize) {
    let more = NewPartitions::new(topic, partitions);
    admin().create_partitions([&more], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
}

/// Waits until the brokers have the new name of what was the only partition.
async fn renamed(transport: &dyn Transport, first: &str) {
    // Not every broker knows of the new partition at once.
    while let Err(error) = transport.describe(first).await {
        assert!(is_refused(&error, "the topic has one partition"), "{error}");
    }
}

/// The warnings that partitions were added to a topic.
fn warnings(topic: &str) -> Vec<String> {
    let lines = logs::with(&["partitions were added", topic]);
    lines.into_iter().filter(|(level, _)| *level == Level::WARN).map(|(_, line)| line).collect()
}

#[tokio::test]
async fn partitions_that_are_added_are_reported_once_and_hold_nobody_up() {
    logs::capture();
    let transport = open().await;
    let topic = unique_name();
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with(&topic, owner.clone().into()).await.unwrap();
    let before = transport.describe(&topic).await.unwrap();
    let cursor = transport.subscription(&topic, &topic).await.unwrap();
    cursor.ack(Position::new(0)).await.unwrap();
    let mut writer = transport.writer(&topic).await.unwrap();
    let mut reader = transport.reader(&topic, Start::Earliest).await.unwrap();
    let mut idle = transport.reader(&topic, Start::Latest).await.unwrap();
    let mut written = 0;
    for (count, partitions) in (1..).zip([3, 4]) {
        grow(&topic, partitions).await;
        while warnings(&topic).len() < count {
            assert!(writer.submit(vec![record(written)]).await.rest.is_none());
            let read = reader.read(Limit::default().with_wait(LONG)).await.unwrap();
            assert_eq!(times(&read.records), [written]);
            written += 1;
        }
        // Each of them asks again meanwhile.
        let pause = Limit::default().with_wait(Duration::from_secs(2));
        while !idle.read(pause).await.unwrap().records.is_empty() {}
        reader.seek(Start::Earliest).await.unwrap();
        assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..written));
        let warnings = warnings(&topic);
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert!(warnings[count - 1].contains(&format!("`{topic}:{}`", partitions - 1)));
    }
    cursor.ack(Position::new(3)).await.unwrap();

    // What was the only partition is the first one, under another name.
    assert!(warnings(&topic)[0].contains(&format!("`{topic}` is `{topic}:0` now")));
    let channels = channels(&topic, 4);
    assert_eq!(transport.list(&topic).await.unwrap(), channels);
    let error = transport.reader(&topic, Start::Earliest).await.unwrap_err();
    assert!(is_refused(&error, &channels[0]), "{error}");
    drop((writer, reader, idle, cursor));
    let first = transport.describe(&channels[0]).await.unwrap();
    assert_eq!(first.incarnation, before.incarnation);
    assert_eq!((first.end, first.properties), (Position::new(written), owner));
    let cursor = transport.subscription(&channels[0], &topic).await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(Position::new(3)));
    let added = transport.describe(&channels[3]).await.unwrap();
    assert_eq!((added.end, added.properties), (Position::new(0), BTreeMap::new()));
}

#[tokio::test]
async fn a_checkpoint_goes_on_under_the_name_of_the_first_partition() {
    logs::capture();
    let transport = open().await;
    let topic = create(&*transport).await;
    let tick = |time| {
        let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(time)));
        tick.to_record()
    };
    write(&*transport, &topic, vec![record(1), tick(2), record(3), tick(4)]).await;
    let mut consumer =
        Consumer::builder(Arc::clone(&transport)).channels([&topic]).open().await.unwrap();
    let mut checkpoint = consumer.next_pack().await.unwrap().unwrap().end;
    grow(&topic, 2).await;

    let first = format!("{topic}:0");
    renamed(&*transport, &first).await;
    drop(consumer);
    // A mark that wasn't moved counts for nothing, and isn't passed over in silence.
    let unmoved = Consumer::builder(Arc::clone(&transport)).channels([&first]);
    drop(unmoved.resume(Some(checkpoint.clone())).open().await.unwrap());
    assert_eq!(logs::with(&["their marks are left out", &topic]).len(), 1);
    let mark = checkpoint.channels.remove(topic.as_str()).unwrap();
    checkpoint.channels.insert(first.as_str().into(), mark);
    let resumed = Consumer::builder(transport).channels([&first]).resume(Some(checkpoint));
    let pack = resumed.open().await.unwrap().next_pack().await.unwrap().unwrap();
    assert_eq!(packed(&pack), (4, vec![(first, 2, 3)]));
}

#[tokio::test]
async fn a_log_is_open_under_one_name_at_a_time() {
    let transport = open().await;
    let topic = create(&*transport).await;
    let first = format!("{topic}:0");
    let refused = |error: TransportError| {
        let says = format!("open as `{topic}`");
        assert!(
            matches!(error.kind(), Kind::Config { reason } if reason.contains(&says)),
            "{error}"
        );
    };
    let reader = transport.reader(&topic, Start::Earliest).await.unwrap();
    let writer = transport.writer(&topic).await.unwrap();
    let cursor = transport.subscription(&topic, "reader").await.unwrap();
    grow(&topic, 3).await;
    renamed(&*transport, &first).await;
    // Under both names a consumer would get each message twice.
    refused(transport.reader(&first, Start::Earliest).await.unwrap_err());
    drop(reader);
    refused(transport.writer(&first).await.unwrap_err());
    drop(writer);
    refused(transport.subscription(&first, "reader").await.unwrap_err());
    transport.reader(&channels(&topic, 3)[1], Start::Earliest).await.unwrap();
    drop(cursor);
    transport.reader(&first, Start::Earliest).await.unwrap();
}

#[tokio::test]
async fn a_session_goes_on_under_the_name_of_the_first_partition() {
    let transport = open().await;
    let topic = create(&*transport).await;
    let session = async |channel: &str| {
        let builder = Producer::builder(Arc::clone(&transport)).channels([channel]);
        let session = SessionConfig::new("shop-1").with_home(channel);
        builder.session(session).open().await.unwrap()
    };
    let send = async |producer: &mut Producer<InSession>, times: RangeInclusive<u64>| {
        for time in times {
            let message = TimeSyncMsg::new(Timestamp(time)).with_hash_keys([0]);
            producer.send(message).await.unwrap();
        }
    };
    let mut producer = session(&topic).await;
    send(&mut producer, 1..=3).await;
    let epoch = producer.opened().epoch;
    producer.close().await.unwrap();
    grow(&topic, 3).await;
    let first = format!("{topic}:0");
    renamed(&*transport, &first).await;
    let mut producer = session(&first).await;
    assert!(producer.opened().epoch > epoch);
    assert_eq!(producer.opened().last[first.as_str()], 3);
    send(&mut producer, 4..=5).await;
    producer.close().await.unwrap();
}
