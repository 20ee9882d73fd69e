//! Topics with several partitions, of which each is a channel.

mod growth;
mod packs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgstream_conformance::unique_name;
use msgstream_core::Producer;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, ReaderOptions, Start, Transport, TransportError, TransportErrorKind as Kind,
    TransportExt as _, Unstored,
};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::{
    LONG, connect, drain, failure, make_topic, open, raw, record, times, url, write_numbers,
};

async fn with_partitions(partitions: usize) -> Arc<dyn Transport> {
    connect(&format!("{}?partitions={partitions}", url())).await.unwrap()
}

fn channels(topic: &str, partitions: usize) -> Vec<String> {
    (0..partitions).map(|number| format!("{topic}:{number}")).collect()
}

/// What everything says that takes the name of a channel that is there.
async fn each_call(transport: &dyn Transport, channel: &str) -> Vec<TransportError> {
    vec![
        transport.writer(channel).await.unwrap_err(),
        transport.reader(channel, Start::Earliest).await.unwrap_err(),
        transport.describe(channel).await.unwrap_err(),
        transport.subscription(channel, "reader").await.unwrap_err(),
        transport.unsubscribe(channel, "reader").await.unwrap_err(),
        transport.subscriptions(channel).await.unwrap_err(),
        transport.trim(channel, Position::new(0)).await.unwrap_err(),
        transport.risks(channel).await.unwrap_err(),
    ]
}

fn is_refused(error: &TransportError, with: &str) -> bool {
    matches!(error.kind(), Kind::InvalidName { reason } if reason.contains(with))
}

#[tokio::test]
async fn each_partition_is_a_channel_with_a_log_and_properties() {
    let (transport, topic) = (with_partitions(3).await, unique_name());
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with(&topic, owner.clone().into()).await.unwrap();
    let channels = channels(&topic, 3);
    assert_eq!(transport.list(&topic).await.unwrap(), channels);
    assert_eq!(transport.list(&channels[1]).await.unwrap(), channels[1..2]);

    let mut lives = BTreeSet::new();
    for (number, channel) in (1..).zip(&channels) {
        write_numbers(&*transport, channel, 0..number * 10).await;
        let info = transport.describe(channel).await.unwrap();
        assert_eq!((info.end, &info.properties), (Position::new(number * 10), &owner));
        lives.insert(info.incarnation);
    }
    assert_eq!(lives.len(), 1, "the incarnation is the topic's: {lives:?}");
    let mut readers = Vec::new();
    for channel in &channels {
        readers.push(transport.reader(channel, Start::At(Position::new(5))).await.unwrap());
    }
    for (number, reader) in (1..).zip(&mut readers) {
        assert_eq!(times(&drain(&mut **reader).await), Vec::from_iter(5..number * 10));
    }
    let end = Position::new(11);
    let error = transport.reader(&channels[0], Start::At(end)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::PositionBeyondEnd { .. }), "{error}");
}

#[tokio::test]
async fn a_partition_has_one_name() {
    let transport = open().await;
    let (single, several) = (make_topic(1, &[]).await, make_topic(3, &[]).await);
    for error in each_call(&*transport, &several).await {
        assert!(is_refused(&error, &format!("use `{several}:0`, `{several}:1`, ")), "{error}");
    }
    let first = format!("{single}:0");
    let mut errors = each_call(&*transport, &first).await;
    errors.push(transport.delete(&first).await.unwrap_err());
    for error in errors {
        assert!(is_refused(&error, &format!("use `{single}`")), "{error}");
    }
    for missing in [format!("{single}:1"), format!("{several}:3"), format!("{several}:01")] {
        let mut errors = each_call(&*transport, &missing).await;
        errors.push(transport.delete(&missing).await.unwrap_err());
        for error in errors {
            assert_eq!(*error.kind(), Kind::NotFound, "{error}");
        }
    }
    for name in [format!("{several}:3"), format!("{}:0", unique_name())] {
        let error = transport.create(&name).await.unwrap_err();
        assert!(is_refused(&error, "with all of its partitions"), "{error}");
    }
    let error = transport.create(&first).await.unwrap_err();
    assert!(is_refused(&error, &format!("use `{single}`")), "{error}");
    for there in [several.clone(), format!("{several}:1")] {
        let error = transport.create(&there).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::AlreadyExists);
    }
}

#[tokio::test]
async fn partitions_that_exist_arent_missing() {
    let (transport, topic) = (open().await, make_topic(3, &[]).await);
    let producer = Producer::builder(transport).channels(channels(&topic, 3)).create_missing();
    producer.open().await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_topic_is_deleted_with_all_of_its_partitions() {
    let (transport, topic) = (with_partitions(3).await, unique_name());
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with(&topic, owner.into()).await.unwrap();
    let channels = channels(&topic, 3);
    let error = transport.delete(&channels[1]).await.unwrap_err();
    assert!(is_refused(&error, &format!("delete `{topic}`")), "{error}");
    assert_eq!(transport.list(&topic).await.unwrap(), channels);

    transport.delete(&topic).await.unwrap();
    assert_eq!(transport.list(&topic).await.unwrap(), Vec::<String>::new());
    for channel in &channels {
        let error = transport.describe(channel).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound);
    }
    transport.create(&topic).await.unwrap();
    for channel in &channels {
        assert!(transport.describe(channel).await.unwrap().properties.is_empty());
    }
}

#[tokio::test]
async fn cursors_and_trims_are_of_one_partition() {
    let (transport, topic) = (open().await, make_topic(3, &[]).await);
    let (channels, name) = (channels(&topic, 3), unique_name());
    for channel in &channels {
        write_numbers(&*transport, channel, 0..10).await;
    }
    let mut cursors = Vec::new();
    for channel in &channels {
        cursors.push(transport.subscription(channel, &name).await.unwrap());
    }
    for (number, cursor) in (4..).zip(&cursors[1..]) {
        cursor.ack(Position::new(number)).await.unwrap();
    }
    for (cursor, wanted) in cursors.iter().zip([None, Some(4), Some(5)]) {
        assert_eq!(cursor.acked().await.unwrap(), wanted.map(Position::new));
    }
    transport.unsubscribe(&channels[1], &name).await.unwrap();
    for (channel, wanted) in channels.iter().zip([0, 0, 1]) {
        let there = transport.subscriptions(channel).await.unwrap();
        assert_eq!(there.iter().filter(|there| **there == name).count(), wanted, "{channel}");
    }

    let mut readers = Vec::new();
    for channel in &channels {
        readers.push(transport.reader(channel, Start::Earliest).await.unwrap());
    }
    transport.trim(&channels[2], Position::new(7)).await.unwrap();
    for (channel, wanted) in channels.iter().zip([0, 0, 7]) {
        let first = transport.describe(channel).await.unwrap().first;
        assert_eq!(first, Some(Position::new(wanted)), "{channel}");
    }
    for reader in &mut readers[..2] {
        assert_eq!(times(&drain(&mut **reader).await), Vec::from_iter(0..10));
    }
}

#[tokio::test]
async fn a_transaction_is_of_the_partitions_that_it_wrote_to() {
    let (transport, topic) = (open().await, make_topic(3, &[]).await);
    let producer: BaseProducer = raw().set("transactional.id", &topic).create().unwrap();
    let send = |partition| {
        let record = BaseRecord::<(), str>::to(&topic).partition(partition).payload("payload");
        producer.send(record).unwrap();
    };
    producer.init_transactions(LONG).unwrap();
    for partition in [1, 2] {
        producer.begin_transaction().unwrap();
        send(partition);
        producer.flush(LONG).unwrap();
        match partition {
            1 => producer.abort_transaction(LONG).unwrap(),
            _ => producer.commit_transaction(LONG).unwrap(),
        }
    }
    for (channel, (records, end)) in channels(&topic, 3).iter().zip([(0, 0), (0, 2), (1, 2)]) {
        assert_eq!(transport.describe(channel).await.unwrap().end, Position::new(end), "{channel}");
        let mut reader = transport.reader(channel, Start::Earliest).await.unwrap();
        assert_eq!(drain(&mut *reader).await.len(), records, "{channel}");
    }
}

#[tokio::test]
async fn a_topic_that_is_made_again_with_other_partitions_is_another_one() {
    for (before, after) in [(1, 3), (3, 1)] {
        let (old, new) = (with_partitions(before).await, with_partitions(after).await);
        let topic = unique_name();
        old.create(&topic).await.unwrap();
        let channel = match before {
            1 => topic.clone(),
            _ => format!("{topic}:2"),
        };
        write_numbers(&*old, &channel, 0..10).await;
        let mut writer = old.writer(&channel).await.unwrap();
        let mut reader = old.reader(&channel, Start::Earliest).await.unwrap();
        let cursor = old.subscription(&channel, "reader").await.unwrap();
        assert_eq!(drain(&mut *reader).await.len(), 10);
        old.delete(&topic).await.unwrap();
        new.create(&topic).await.unwrap();

        let expected = reader.incarnation();
        let first = if after == 1 { topic.clone() } else { format!("{topic}:0") };
        let found = new.describe(&first).await.unwrap().incarnation;
        let wrong = Kind::WrongIncarnation { expected, found };
        assert_eq!(*failure(&mut *reader).await.kind(), wrong);
        let options = ReaderOptions::new(Start::Earliest).with_incarnation(expected);
        assert_eq!(*old.reader_with(&channel, options).await.unwrap_err().kind(), wrong);
        // A quarter of a second it goes by what somebody saw: the old topic, or none between the two.
        let error = loop {
            match cursor.ack(Position::new(5)).await {
                Err(error) if *error.kind() != Kind::NotFound => break error,
                _ => {}
            }
        };
        assert_eq!(*error.kind(), wrong);
        let Unstored { fate, error, .. } = writer.submit(vec![record(10)]).await.rest.unwrap();
        assert_eq!((fate, error.kind()), (Fate::Unknown, &wrong));
        assert!(drain(&mut *new.reader(&first, Start::Earliest).await.unwrap()).await.len() <= 1);
    }
}
