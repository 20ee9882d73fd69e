//! What is split, what is refused, and what is made of records that others wrote.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msgstream_core::record::{Header, Meta, MsgType, Position, Record};
use msgstream_core::transport::{
    Fate, Limit, Outcome, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{DecodeError, Timestamp, UnmarshalDispatcher};
use msgstream_layers::{Chunks, Encrypted, Key, KeyRing};
use msgstream_mem::{MemConfig, MemTransport};

use super::loom::{CHANNEL, Loom};

const PART: MsgType = MsgType(0x6d73_7074);

async fn mem(max_payload: usize) -> Arc<dyn Transport> {
    let mem = MemTransport::new(MemConfig::default().with_max_payload(max_payload));
    mem.create(CHANNEL).await.unwrap();
    Arc::new(mem)
}

fn message(len: usize) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), vec![b'x'; len])
}

async fn write(broker: &dyn Transport, records: Vec<Record>) -> Vec<Position> {
    let Outcome { stored, rest, .. } = broker.writer(CHANNEL).await.unwrap().submit(records).await;
    assert!(rest.is_none(), "{rest:?}");
    stored
}

async fn read(broker: &dyn Transport, start: Start) -> Vec<Record> {
    let mut reader = broker.reader(CHANNEL, start).await.unwrap();
    let limit = Limit::default().with_wait(Duration::ZERO);
    let mut records = Vec::new();
    loop {
        let batch = reader.read(limit).await.unwrap();
        records.extend(batch.records);
        if batch.caught_up {
            return records;
        }
    }
}

fn part(text: &str, payload: &'static str) -> Record {
    let mut part = Record::new(Meta::new(PART, Timestamp(7)), payload);
    part.extra.push(Header::new("ms-part", text.to_owned()));
    part
}

fn reason(record: &Record) -> String {
    match UnmarshalDispatcher::new().unmarshal(record) {
        Err(DecodeError::Unreadable { reason }) => reason,
        other => panic!("{:?} instead of a reason", other.map(drop)),
    }
}

#[tokio::test]
async fn only_what_the_transport_refuses_is_split() {
    let broker = mem(1_000).await;
    let chunks = Chunks::over(broker.clone()).with_message_bytes(3_000);
    let mut marked = message(2_500);
    marked.extra.push(Header::new("owner", "billing"));
    let stored = write(&chunks, vec![message(1_000), marked.clone(), message(1_001)]).await;
    let raw = read(&*broker, Start::Earliest).await;
    let lens: Vec<_> = raw.iter().map(|record| record.payload.len()).collect();
    assert_eq!(lens, [1_000, 1_000, 1_000, 500, 1_000, 1]);
    let types = raw.iter().map(|record| record.meta.msg_type);
    assert!(types.eq([MsgType::INSERT, PART, PART, PART, PART, PART]));
    // Headers are where the message is.
    let owners = raw.iter().map(|record| record.header("owner").is_some());
    assert!(owners.eq([false, false, false, true, false, false]));
    assert_eq!(stored, [0, 3, 5].map(|index: usize| raw[index].position));
    let joined = read(&chunks, Start::Earliest).await;
    assert_eq!((joined.len(), joined[1].position), (3, stored[1]));
    marked.position = stored[1];
    assert_eq!(joined[1], marked);
    let counts = chunks.counts();
    assert_eq!((counts.split, counts.joined, counts.fetched), (2, 2, 0));
    // And a reader that starts between the parts of both.
    assert_eq!(read(&chunks, Start::At(raw[2].position)).await, joined[1..]);
    assert_eq!(chunks.counts().fetched, 1);
    assert_eq!(chunks.describe(CHANNEL).await.unwrap().records, None);
}

#[tokio::test]
async fn what_cant_be_written_is_refused_in_its_own_size_and_nothing_of_it_is_stored() {
    let broker = mem(1_000).await;
    let chunks = Chunks::over(broker.clone()).with_message_bytes(3_000);
    assert_eq!(chunks.capabilities().max_payload, Some(3_000));
    let mut marked = message(1);
    marked.extra.push(Header::new("ms-part", "1"));
    let mut tick = message(1_001);
    tick.meta.msg_type = MsgType::TIME_TICK;
    for (record, is_expected) in [
        (
            message(3_001),
            (|kind| *kind == Kind::TooLarge { bytes: 3_001, limit: 3_000 }) as fn(&Kind) -> bool,
        ),
        (marked, |kind| matches!(kind, Kind::InvalidHeader { .. })),
        (tick, |kind| *kind == Kind::TooLarge { bytes: 1_001, limit: 1_000 }),
    ] {
        let mut writer = chunks.writer(CHANNEL).await.unwrap();
        let batch = vec![message(1), record];
        assert!(is_expected(writer.check(&batch).unwrap_err().kind()));
        writer.ready().await.unwrap();
        let rest = writer.submit(batch).await.rest.unwrap();
        assert!(rest.fate == Fate::NotStored && is_expected(rest.error.kind()), "{rest:?}");
        assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
        let rest = writer.submit(vec![message(1)]).await.rest.unwrap();
        assert_eq!(*rest.error.kind(), Kind::Poisoned);
    }
    assert!(read(&*broker, Start::Earliest).await.is_empty());
}

// With its time and its session's number, and what follows is read.
#[tokio::test]
async fn what_is_no_part_of_ours_costs_one_record() {
    let broker = mem(1_000).await;
    let chunks = Chunks::over(broker.clone()).with_message_bytes(2_000);
    let mut foreign = message(3);
    foreign.extra.push(Header::new("ms-part", "2 of 3"));
    let records = vec![
        foreign,
        part("1;ff;0;0;2", "cut short"),
        part("1;ff;0;1;2;6;999;400", "its first part is after it"),
        part("1;ff;0;1;2;4;0;400", "its first part isn't there"),
        part("1;fe;0;0;2;4", "ab"),
        part("1;fe;0;1;2;4;0;400", "c"),
        part("1;fd;0;1;2;2001;0;400", "too large"),
        part("1;fc;0;0;2;9", "never finished"),
        message(5),
    ];
    write(&*broker, records).await;
    let read = read(&chunks, Start::Earliest).await;
    let reasons: Vec<_> = read[..6].iter().map(reason).collect();
    for (reason, expected) in reasons.iter().zip([
        "isn't that of a part of a message: `2 of 3`",
        "isn't that of a part of a message",
        "said to stand after it",
        "of its 2 parts some aren't there",
        "aren't as long together as they say",
        "2001 bytes are over the limit of 2000 bytes",
    ]) {
        assert!(reason.contains(expected), "{reason}");
    }
    assert!(read[..6].iter().all(|record| record.meta.timestamp == Timestamp(7)));
    assert_eq!((read.len(), read[6].payload.len()), (7, 5));
}

#[tokio::test]
async fn parts_of_one_that_failed_are_counted_and_hold_nothing_for_ever() {
    let loom = Loom::new().await;
    let chunks = Chunks::over(loom.clone()).with_part_bytes(10);
    for _ in 0..2 {
        let mut writer = chunks.writer(CHANNEL).await.unwrap();
        let receipt = writer.submit(vec![message(25)]);
        while !loom.step(0, false) && !loom.step(1, false) {
            tokio::task::yield_now().await;
        }
        loom.kill(0, || false);
        loom.kill(1, || false);
        assert_eq!(receipt.await.rest.unwrap().fate, Fate::NotStored);
    }
    let later = write(&Chunks::over(loom.mem.clone()), vec![message(1)]).await[0];
    // They may still be written, as far as anybody knows.
    let end = chunks.describe(CHANNEL).await.unwrap().end;
    let first = loom.raw().await[0].position;
    let cursor = chunks.subscription(CHANNEL, "cursor").await.unwrap();
    chunks.trim(CHANNEL, end).await.unwrap();
    cursor.ack(later).await.unwrap();
    assert_eq!(loom.raw().await[0].position, first);
    assert_eq!(cursor.acked().await.unwrap(), Some(first));
    // After an hour nobody writes them any more.
    let later_on = Chunks::over(loom.clone()).with_abandoned_after(Duration::ZERO);
    until_later().await;
    let cursor = later_on.subscription(CHANNEL, "cursor").await.unwrap();
    cursor.ack(later).await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(later));
    later_on.trim(CHANNEL, end).await.unwrap();
    assert!(loom.raw().await.is_empty());
}

/// Waits until what is stored was stored before now: times have milliseconds.
async fn until_later() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let stored = now();
    while now() <= stored {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_began_long_ago_and_ends_after_the_place_is_kept() {
    let loom = Loom::new().await;
    let chunks =
        Chunks::over(loom.clone()).with_part_bytes(10).with_abandoned_after(Duration::ZERO);
    let loop_of_steps = async {
        for _ in 0..20 {
            loom.step(0, false);
            tokio::task::yield_now().await;
        }
    };
    let (stored, ()) = tokio::join!(write(&chunks, vec![message(25), message(1)]), loop_of_steps);
    until_later().await;
    chunks.trim(CHANNEL, stored[0]).await.unwrap();
    assert_eq!(read(&chunks, Start::At(stored[0])).await.len(), 2);
    chunks.trim(CHANNEL, stored[1]).await.unwrap();
    assert_eq!(loom.raw().await.len(), 1);
}

#[tokio::test]
async fn messages_are_sealed_whole() {
    let broker = mem(1_000).await;
    let ring = KeyRing::new(Key::new("1", &[7; Key::BYTES]).unwrap());
    let sealing = Encrypted::over(Arc::new(Chunks::over(broker.clone())), ring);
    write(&sealing, vec![message(5_000)]).await;
    let raw = read(&*broker, Start::Earliest).await;
    assert_eq!(raw.iter().map(|record| record.payload.len()).sum::<usize>(), 5_040);
    let sealed = raw.iter().filter(|record| record.header("ms-sealed").is_some());
    assert_eq!((raw.len(), sealed.count()), (6, 1));
    assert_eq!(read(&sealing, Start::Earliest).await[0].payload.len(), 5_000);
}

#[tokio::test]
async fn what_is_wrong_with_a_url_is_named() {
    let mut registry = msgstream_core::registry::Registry::new();
    msgstream_mem::register(&mut registry);
    msgstream_layers::register(&mut registry);
    let error = registry.connect("chunks+mem://?mesage_bytes=3").await.unwrap_err().to_string();
    assert!(error.contains("`mesage_bytes` (did you mean `message_bytes`?)"), "{error}");
    assert!(registry.connect("chunks+mem://?part_bytes=many").await.is_err());
}

// As when a program ends its runtime while it still has the writer.
#[test]
fn what_waits_is_unknown_once_its_runtime_has_ended() {
    let new = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (first, second) = (new(), new());
    let (mut writer, receipt) = first.block_on(async {
        let chunks = Chunks::over(Loom::new().await).with_part_bytes(10);
        let mut writer = chunks.writer(CHANNEL).await.unwrap();
        let receipt = writer.submit(vec![message(25)]);
        tokio::task::yield_now().await;
        (writer, receipt)
    });
    drop(first);
    second.block_on(async {
        let behind = writer.submit(vec![message(1)]);
        assert_eq!(receipt.await.rest.unwrap().fate, Fate::Unknown);
        assert_eq!(behind.await.rest.unwrap().fate, Fate::NotStored);
        assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
    });
}
