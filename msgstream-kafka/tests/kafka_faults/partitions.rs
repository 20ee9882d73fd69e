//! Topics with several partitions, of which each is a channel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::message::TimeTickMsg;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{Checkpoint, Consumer, MsgPack, TickSource, Timestamp, TsMsg};
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::producer::{BaseProducer, Producer as _};
use tracing::Level;

use crate::logs;
use crate::support::{
    LONG, admin, connect, create, drain, make_topic, open, raw, record, send, times, url, write,
    write_numbers,
};

async fn with_partitions(partitions: usize) -> Arc<dyn Transport> {
    connect(&format!("{}?partitions={partitions}", url())).await.unwrap()
}

fn channels(topic: &str, partitions: usize) -> Vec<String> {
    (0..partitions).map(|number| format!("{topic}:{number}")).collect()
}

async fn grow(topic: &str, partitions: usize) {
    let more = NewPartitions::new(topic, partitions);
    admin().create_partitions([&more], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
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
    for name in [format!("{several}:1"), format!("{several}:3"), format!("{}:0", unique_name())] {
        let error = transport.create(&name).await.unwrap_err();
        assert!(is_refused(&error, "with all of its partitions"), "{error}");
    }
    let error = transport.create(&several).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::AlreadyExists);
}

#[tokio::test]
async fn a_topic_is_deleted_with_all_of_its_partitions() {
    let (transport, topic) = (with_partitions(3).await, unique_name());
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    transport.create_with(&topic, owner.into()).await.unwrap();
    let channels = channels(&topic, 3);
    let error = transport.delete(&channels[1]).await.unwrap_err();
    let says = format!("delete `{topic}`");
    assert!(matches!(error.kind(), Kind::Config { reason } if reason.contains(&says)), "{error}");
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

    transport.trim(&channels[2], Position::new(7)).await.unwrap();
    for (channel, wanted) in channels.iter().zip([0, 0, 7]) {
        let first = transport.describe(channel).await.unwrap().first;
        assert_eq!(first, Some(Position::new(wanted)), "{channel}");
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
    let channels = channels(&topic, 4);
    assert_eq!(transport.list(&topic).await.unwrap(), channels);
    let error = transport.reader(&topic, Start::Earliest).await.unwrap_err();
    assert!(is_refused(&error, &channels[0]), "{error}");
    let first = transport.describe(&channels[0]).await.unwrap();
    assert_eq!(first.incarnation, before.incarnation);
    assert_eq!((first.end, first.properties), (Position::new(written), owner));
    let cursor = transport.subscription(&channels[0], &topic).await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(Position::new(3)));
    let added = transport.describe(&channels[3]).await.unwrap();
    assert_eq!((added.end, added.properties), (Position::new(0), BTreeMap::new()));
}

/// What a pack holds: its end, and of each message the channel, the position and the time.
type Packed = (u64, Vec<(String, Position, u64)>);

fn packed(pack: &MsgPack) -> Packed {
    let messages = pack.msgs.iter().map(|message| {
        let place = message.channel().zip(message.position()).unwrap();
        (place.0.to_owned(), place.1, message.end_ts().0)
    });
    (pack.end_ts.0, messages.collect())
}

#[tokio::test]
async fn a_checkpoint_goes_on_under_the_name_of_the_first_partition() {
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
    // Not every broker knows of the new partition at once.
    while let Err(error) = transport.describe(&first).await {
        assert!(is_refused(&error, "the topic has one partition"), "{error}");
    }
    let mark = checkpoint.channels.remove(topic.as_str()).unwrap();
    checkpoint.channels.insert(first.as_str().into(), mark);
    let resumed = Consumer::builder(transport).channels([&first]).resume(Some(checkpoint));
    let pack = resumed.open().await.unwrap().next_pack().await.unwrap().unwrap();
    assert_eq!(packed(&pack), (4, vec![(first, Position::new(2), 3)]));
}

const PARTITIONS: usize = 6;

/// How many messages there are, with so many keys, one for each unit of time; and the ticks that follow.
const COUNT: u64 = 3000;
const KEYS: u64 = 40;
const DELAY: u64 = 10;
const INTERVAL: u64 = 20;

async fn consumer(
    transport: &Arc<dyn Transport>,
    channels: &[String],
    from: Option<Checkpoint>,
) -> Consumer {
    let ticks = TickSource::Synthetic { delay: DELAY, interval: INTERVAL };
    let builder = Consumer::builder(Arc::clone(transport)).channels(channels.to_vec());
    builder.ticks(move |_| ticks).resume(from).open().await.unwrap()
}

/// The packs up to a time.
async fn packs(consumer: &mut Consumer, until: u64) -> Vec<MsgPack> {
    let mut packs = Vec::new();
    while packs.last().is_none_or(|pack: &MsgPack| pack.end_ts.0 < until) {
        packs.push(consumer.next_pack().await.unwrap().unwrap());
    }
    packs
}

#[tokio::test]
async fn a_topic_of_another_program_is_read_as_packs_and_resumed() {
    let transport = open().await;
    let topic = make_topic(PARTITIONS as i32, &[]).await;
    let producer: BaseProducer = raw().create().unwrap();
    for time in 1..=COUNT {
        send(&producer, &topic, &format!("key {}", time % KEYS), time);
    }
    producer.flush(LONG).unwrap();

    let channels = transport.list(&topic).await.unwrap();
    assert_eq!(channels, self::channels(&topic, PARTITIONS));
    // Each key is in one partition, and comes again after so many messages.
    let until = (COUNT - KEYS - DELAY) / INTERVAL * INTERVAL;
    let first = packs(&mut consumer(&transport, &channels, None).await, until).await;
    let all: Vec<_> = first.iter().map(packed).collect();
    let seen: Vec<_> = all.iter().flat_map(|(_, messages)| messages).collect();
    let end = all.last().unwrap().0;
    assert!(seen.iter().map(|(.., time)| *time).eq(1..=end), "all of them, once and in order");
    let used: BTreeSet<_> = seen.iter().map(|(channel, ..)| channel).collect();
    assert_eq!(used.len(), PARTITIONS, "{used:?}");
    assert!(all.len() > 20, "{} packs", all.len());

    let again = packs(&mut consumer(&open().await, &channels, None).await, until).await;
    assert!(again.iter().map(packed).eq(all.iter().cloned()), "two runs differ");

    // Dropped in the middle, with more read than the checkpoint has.
    for cut in [1, all.len() / 2, all.len() - 2] {
        let mut dropped = consumer(&transport, &channels, None).await;
        let until = first[cut + 1].end_ts.0;
        let checkpoint = packs(&mut dropped, until).await[cut].end.clone();
        drop(dropped);
        let stored = serde_json::to_string(&checkpoint).unwrap();
        let from = Some(serde_json::from_str(&stored).unwrap());
        let mut resumed = consumer(&open().await, &channels, from).await;
        let rest = packs(&mut resumed, end).await;
        assert!(rest.iter().map(packed).eq(all[cut + 1..].iter().cloned()), "resumed after {cut}");
    }
}
