//! Offsets without a record: markers of transactions, and what compaction took.

use std::collections::BTreeSet;

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::support::{LONG, create, drain, make_topic, open, raw, send, times};

/// Whether there is a record or not.
async fn each_offset_is_a_place(
    transport: &dyn Transport,
    channel: &str,
    records: &[Record],
    end: Position,
) {
    for offset in 0..end.offset() {
        let place = Position::new(offset);
        for (start, from) in [(Start::At(place), offset), (Start::After(place), offset + 1)] {
            let mut reader = transport.reader(channel, start).await.unwrap();
            let rest: Vec<_> =
                records.iter().filter(|r| r.position.offset() >= from).cloned().collect();
            let mut read = Vec::new();
            while read.len() < rest.len() {
                read.extend(reader.read(Limit::default()).await.unwrap().records);
            }
            assert_eq!(read, rest, "{start:?}");
        }
    }
}

#[tokio::test]
async fn transactions_are_read_when_they_are_committed_and_their_markers_are_passed() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let producer: BaseProducer = raw().set("transactional.id", &channel).create().unwrap();
    let send = |number| send(&producer, &channel, &channel, number);
    producer.init_transactions(LONG).unwrap();
    for round in 0..3 {
        producer.begin_transaction().unwrap();
        (round * 10..round * 10 + 5).for_each(send);
        producer.flush(LONG).unwrap();
        producer.abort_transaction(LONG).unwrap();
        producer.begin_transaction().unwrap();
        (round * 10 + 5..round * 10 + 10).for_each(send);
        producer.commit_transaction(LONG).unwrap();
    }
    let wanted: Vec<u64> = (0..30).filter(|number| number % 10 >= 5).collect();
    let records = drain(&mut *reader).await;
    assert_eq!(times(&records), wanted);

    // The last offset is a marker's.
    let end = transport.describe(&channel).await.unwrap().end;
    assert!(records.last().unwrap().position.offset() + 1 < end.offset());
    let mut fresh = transport.reader(&channel, Start::Earliest).await.unwrap();
    for reader in [&mut reader, &mut fresh] {
        loop {
            let batch = reader.read(Limit::default()).await.unwrap();
            if batch.caught_up && batch.records.is_empty() && batch.next == end {
                break;
            }
        }
    }
    each_offset_is_a_place(&*transport, &channel, &records, end).await;
}

#[tokio::test]
async fn what_compaction_took_is_passed() {
    let transport = open().await;
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.ms", "1"),
        ("max.compaction.lag.ms", "1"),
    ];
    let channel = make_topic(1, &settings).await;
    let producer: BaseProducer = raw().create().unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    // Each in a segment of its own. The last one isn't compacted, as long as nothing follows.
    let (keys, count) = (["a", "b", "c"], 12);
    for number in 0..count {
        send(&producer, &channel, keys[number % keys.len()], number as u64);
        producer.flush(LONG).unwrap();
    }
    let end = Position::new(count as u64);
    let records = loop {
        reader.seek(Start::Earliest).await.unwrap();
        let records = drain(&mut *reader).await;
        let (last, before) = records.split_last().unwrap();
        assert_eq!(last.position, Position::new(count as u64 - 1));
        let left: BTreeSet<_> = times(before).iter().map(|time| time % keys.len() as u64).collect();
        if left.len() == before.len() {
            break records;
        }
    };
    assert!(records[0].position > Position::new(0), "{records:?}");
    each_offset_is_a_place(&*transport, &channel, &records, end).await;
    assert_eq!(transport.describe(&channel).await.unwrap().end, end);
}
