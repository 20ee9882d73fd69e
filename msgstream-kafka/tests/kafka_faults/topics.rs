//! What becomes of topics, and topics of other programs.

use std::collections::BTreeMap;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::MsgType;
use msgstream_core::record::{Header, Position};
use msgstream_core::transport::{
    Fate, Limit, ReaderOptions, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
    Unstored,
};
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::{
    LONG, admin, connect, create, delete_until, drain, failure, make_topic, open, raw, record,
    record_of, times, url, write, write_numbers,
};

#[tokio::test]
async fn a_topic_deleted_under_its_reader_is_told_and_one_in_its_place() {
    let transport = open().await;
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..10).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..10));
    transport.delete(&channel).await.unwrap();
    let error = failure(&mut *reader).await;
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");

    // Be it shorter than the reader's place, or longer.
    let expected = reader.incarnation();
    transport.create(&channel).await.unwrap();
    let found = transport.describe(&channel).await.unwrap().incarnation;
    for numbers in [0..3, 3..20] {
        write_numbers(&*transport, &channel, numbers).await;
        let error = failure(&mut *reader).await;
        assert_eq!(*error.kind(), Kind::WrongIncarnation { expected, found });
        let error = reader.seek(Start::Earliest).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::WrongIncarnation { expected, found });
    }
    let mut fresh = transport
        .reader_with(&channel, ReaderOptions::new(Start::Earliest).with_incarnation(found))
        .await
        .unwrap();
    assert_eq!(times(&drain(&mut *fresh).await), Vec::from_iter(0..20));
}

#[tokio::test]
async fn a_reader_that_retention_passes_is_told() {
    let transport = open().await;
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..5).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..5));
    // More than the reader has in advance.
    write(&*transport, &channel, (5..2000).map(|n| record_of(n, 4096)).collect()).await;
    delete_until(&channel, 1990).await;

    let error = failure(&mut *reader).await;
    let Kind::PositionTrimmed { position, first } = *error.kind() else { panic!("{error}") };
    assert_eq!(first, Position::new(1990));
    assert!(position < first);
    // It stays in place until it is told where to go.
    let again = reader.read(Limit::default()).await.unwrap_err();
    assert!(matches!(again.kind(), Kind::PositionTrimmed { .. }), "{again}");
    reader.seek(Start::At(first)).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(1990..2000));
    let error = transport.reader(&channel, Start::At(position)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::PositionTrimmed { .. }), "{error}");
}

#[tokio::test]
async fn a_position_that_grew_too_old_names_the_first_one_left() {
    let transport = open().await;
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..10).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await.len(), 10);
    alter(&channel, "retention.ms", "1").await;
    while transport.describe(&channel).await.unwrap().first.is_some() {}
    alter(&channel, "retention.ms", "-1").await;
    write_numbers(&*transport, &channel, 10..12).await;

    let (position, first) = (Position::new(3), Position::new(10));
    for start in [Start::At(position), Start::After(Position::new(2))] {
        let error = reader.seek(start).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::PositionTrimmed { position, first });
    }
    reader.seek(Start::At(first)).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [10, 11]);
}

#[tokio::test]
async fn a_compacted_topic_is_not_trimmed() {
    let transport = open().await;
    let topic = make_topic(1, &[("cleanup.policy", "compact")]).await;
    let error = transport.trim(&topic, Position::new(0)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
}

#[tokio::test]
async fn a_topic_made_again_is_another_one_to_writers_and_cursors() {
    let transport = open().await;
    // Shorter than the writer's place, and longer.
    for written in [0, 30] {
        let channel = create(&*transport).await;
        let mut writer = transport.writer(&channel).await.unwrap();
        assert!(writer.submit((0..10).map(record).collect()).await.rest.is_none());
        let expected = transport.describe(&channel).await.unwrap().incarnation;
        let subscription = transport.subscription(&channel, "reader").await.unwrap();
        subscription.ack(Position::new(7)).await.unwrap();
        transport.delete(&channel).await.unwrap();
        transport.create(&channel).await.unwrap();
        let found = transport.describe(&channel).await.unwrap().incarnation;
        write_numbers(&*transport, &channel, 100..100 + written).await;

        // The brokers forget the cursors of a topic with it.
        assert_eq!(subscription.acked().await.unwrap(), None);
        // For a quarter of a second a writer goes by what it saw last, and nothing tells when that is over.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let receipts = [10, 11].map(|number| writer.submit(vec![record(number)]));
        for (number, receipt) in receipts.into_iter().enumerate() {
            let outcome = receipt.await;
            assert_eq!(outcome.stored, []);
            let Unstored { fate, error, .. } = outcome.rest.unwrap();
            assert_eq!(fate, Fate::Unknown);
            match number {
                0 => assert_eq!(*error.kind(), Kind::WrongIncarnation { expected, found }),
                _ => {
                    assert!(matches!(error.kind(), Kind::WrongIncarnation { .. } | Kind::Poisoned))
                }
            }
        }
        assert!(matches!(writer.ready().await.unwrap_err().kind(), Kind::Poisoned));
        // Where that was is no place in this one.
        let error = subscription.ack(Position::new(9)).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::WrongIncarnation { expected, found });
        assert_eq!(subscription.acked().await.unwrap(), None);
        write_numbers(&*transport, &channel, 20..22).await;
        let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
        assert!(times(&drain(&mut *reader).await).ends_with(&[20, 21]));
    }
}

async fn alter(topic: &str, setting: &str, value: &str) {
    let alter = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, value);
    let altered = admin().alter_configs([&alter], &AdminOptions::new()).await.unwrap();
    altered.into_iter().for_each(|one| drop(one.unwrap()));
}

#[tokio::test]
async fn the_limit_of_a_topic_is_kept_by_records_and_by_batches() {
    let transport = open().await;
    let channel = make_topic(1, &[("max.message.bytes", "10000")]).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut large = record_of(0, 20_000);
    let error = writer.check(std::slice::from_ref(&large)).unwrap_err();
    let Kind::TooLarge { bytes, limit } = *error.kind() else { panic!("{error}") };
    assert!(limit < 10_000, "{limit}");
    // The greatest that passes, and many that together are more than a batch may be.
    large.payload.truncate(20_000 + limit - bytes);
    let small = |number| record_of(number, 1000);
    let outcome = writer.submit([large].into_iter().chain((1..500).map(small)).collect()).await;
    assert!(outcome.rest.is_none(), "{:?}", outcome.rest);
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..500));
}

#[tokio::test]
async fn a_limit_that_was_lowered_meanwhile_fails_the_writer() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    alter(&channel, "max.message.bytes", "1000").await;
    let large = record_of(0, 5000);
    // It is some time until the broker heeds it.
    let Unstored { fate, error, .. } = loop {
        let outcome = writer.submit(vec![large.clone()]).await;
        if let Some(rest) = outcome.rest {
            break rest;
        }
    };
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(matches!(writer.ready().await.unwrap_err().kind(), Kind::Poisoned));
    // Nor does it tell it at once.
    let error = loop {
        let again = transport.writer(&channel).await.unwrap();
        if let Err(error) = again.check(std::slice::from_ref(&large)) {
            break error;
        }
    };
    assert!(matches!(error.kind(), Kind::TooLarge { limit, .. } if *limit < 1000), "{error}");
}

#[tokio::test]
async fn records_of_other_programs_are_read() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let producer: BaseProducer = raw().create().unwrap();
    let bare: BaseRecord<'_, str, str> = BaseRecord::to(&channel).key("key").payload("bare");
    producer.send(bare).unwrap();
    // Such as a deletion in a compacted topic.
    let nothing: BaseRecord<'_, str, str> = BaseRecord::to(&channel).key("key");
    producer.send(nothing).unwrap();
    producer.flush(LONG).unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let records = drain(&mut *reader).await;
    let payloads: Vec<_> = records.iter().map(|r| (&r.payload[..], r.meta.msg_type)).collect();
    let (bare, nothing) = (b"bare".as_slice(), b"".as_slice());
    assert_eq!(payloads, [(bare, MsgType::UNREADABLE), (nothing, MsgType::UNREADABLE)]);
}

#[tokio::test]
async fn a_header_that_the_client_would_cut_is_refused() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut cut = record(0);
    cut.extra.push(Header::new("a\0b", "c"));
    let error = writer.check(std::slice::from_ref(&cut)).unwrap_err();
    assert!(matches!(error.kind(), Kind::InvalidHeader { .. }), "{error}");
    let Unstored { fate, error, .. } = writer.submit(vec![cut]).await.rest.unwrap();
    assert_eq!(fate, Fate::NotStored);
    assert!(matches!(error.kind(), Kind::InvalidHeader { .. }), "{error}");
}

#[tokio::test]
async fn a_prefix_hides_other_topics_and_shares_their_properties() {
    let prefix = unique_name();
    let all = open().await;
    let shop = connect(&format!("{}/{prefix}.", url())).await.unwrap();
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    shop.create_with("orders.eu", owner.clone().into()).await.unwrap();
    assert_eq!(shop.list("").await.unwrap(), ["orders.eu"]);
    let topic = format!("{prefix}.orders.eu");
    assert_eq!(all.list(&prefix).await.unwrap(), std::slice::from_ref(&topic));
    assert_eq!(all.describe(&topic).await.unwrap().properties, owner);
    assert!(!all.list("__").await.unwrap().contains(&"__msgstream".to_owned()));
}
