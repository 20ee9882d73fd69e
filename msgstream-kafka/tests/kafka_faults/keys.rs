//! Keys of records, where other programs look for them and where compaction does.

use std::sync::Arc;

use msgstream_core::MsgType;
use msgstream_core::record::{Header, KEY_HEADER, Origin, Position, Record, Stamp};
use msgstream_core::transport::{
    RiskKind, Start, Transport as _, TransportErrorKind as Kind, TransportExt as _,
};
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};

use crate::support::{LONG, create, drain, make_topic, open, raw, record, times, write};

#[tokio::test]
async fn others_find_keys_in_their_place() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let keys: [Option<&[u8]>; 4] = [Some(b"ann"), None, Some(b""), Some(b"\xff\x00")];
    let records = (0..).zip(keys).map(|(number, key)| match key {
        Some(key) => record(number).with_key(key),
        None => record(number),
    });
    let mut records: Vec<_> = records.collect();
    write(&*transport, &channel, records.clone()).await;
    // Another header of the name is one like any other.
    let twice = &mut records[0].extra;
    twice.push(Header::new(KEY_HEADER, "not the key"));
    let (twice, record) = (twice.clone(), records.swap_remove(0));
    write(&*transport, &channel, vec![record]).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await[keys.len()].extra, twice);

    let consumer: BaseConsumer = raw().set("group.id", &channel).create().unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&channel, 0, Offset::Beginning).unwrap();
    consumer.assign(&start).unwrap();
    for key in keys {
        let read = loop {
            if let Some(read) = consumer.poll(LONG) {
                break read.unwrap();
            }
        };
        assert_eq!(read.key(), key);
        assert_eq!(read.headers().unwrap().count(), 5, "the metadata alone");
    }
}

#[tokio::test]
async fn a_compacted_topic_takes_records_with_keys_and_nothing_of_a_session() {
    let transport = open().await;
    let topic = make_topic(1, &[("cleanup.policy", "compact,delete")]).await;
    write(&*transport, &topic, vec![record(1).with_key("ann")]).await;

    let mut tick = record(2);
    tick.meta.msg_type = MsgType::TIME_TICK;
    let mut stamped: Record = record(3).with_key("ann");
    let origin = Origin { producer: "p".into(), epoch: Position::new(1) };
    stamped.meta.stamp = Some(Stamp { origin: Arc::new(origin), seq: 1 });
    let writer = transport.writer(&topic).await.unwrap();
    for (record, why) in [(record(4), "without a key"), (tick, "time tick"), (stamped, "a session")]
    {
        let error = writer.check(&[record]).unwrap_err();
        assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let risks = transport.risks(&topic).await.unwrap();
    let kinds: Vec<_> = risks.iter().map(|risk| risk.kind).collect();
    assert_eq!(kinds, [RiskKind::Retention], "{risks:?}");
    let mut reader = transport.reader(&topic, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [1]);
}
