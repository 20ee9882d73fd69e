//! A topic as Milvus writes it, with several collections in it, read by virtual channel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::adapter::decode_headers;
use msgstream_core::message::TimeTickMsg;
use msgstream_core::record::{END_HEADER, Header, Record};
use msgstream_core::transport::{Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{
    Consumer, LatePolicy, MsgTypeNames, Producer, Timestamp, TsMsg, UnmarshalDispatcher,
};
use msgstream_mem::MemTransport;
use msgstream_virtual::{Placement, Virtual};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    messages: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    payload_hex: String,
    properties: BTreeMap<String, String>,
}

/// The records that Milvus 2.6 wrote for collection 42, by name.
fn golden() -> BTreeMap<String, Record> {
    let files = [
        include_str!("../../msgstream-core/tests/data/milvus-2.6.json"),
        include_str!("../../msgstream-core/tests/data/milvus-2.6-more.json"),
    ];
    let names = MsgTypeNames::milvus_2x();
    let vectors = files.map(|file| serde_json::from_str::<Golden>(file).unwrap().messages);
    let record = |vector: Vector| {
        let hex = &vector.payload_hex;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let payload: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let headers = vector.properties.iter().map(|(name, value)| (&**name, value.as_bytes()));
        let (meta, extra) = decode_headers(headers, &payload.clone().into(), &names).unwrap();
        let mut record = Record::new(meta, payload);
        record.extra = extra;
        (vector.name, record)
    };
    vectors.into_iter().flatten().map(record).collect()
}

/// The same of another collection.
fn of_collection(record: &Record, collection: i64) -> Record {
    let mut record = record.clone();
    record.meta.collection_id = collection;
    record.meta.vchannel = record.meta.vchannel.map(|_| format!("dml_0_{collection}v0").into());
    record
}

fn tick(ts: u64) -> Record {
    let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(ts)));
    tick.to_record()
}

async fn topic() -> (Arc<dyn Transport>, Arc<dyn Transport>) {
    let broker: Arc<dyn Transport> = Arc::new(MemTransport::new(Default::default()));
    broker.create("dml_0").await.unwrap();
    let channels = Arc::new(Virtual::over(broker.clone(), Placement::milvus()));
    (broker, channels)
}

#[tokio::test]
async fn packs_have_the_rows_and_the_ddl_of_one_collection() {
    let (broker, channels) = topic().await;
    let golden = golden();
    let mut end = tick(1 << 60);
    end.extra.push(Header::new(END_HEADER, "1"));
    let intervals = [
        vec!["insert_column", "delete_int"],
        vec!["create_collection", "drop_collection", "create_partition", "drop_partition"],
        vec!["data_node_tt", "replicate"],
        vec!["insert_row"],
    ];
    let mut log = Vec::new();
    for (names, tick) in
        intervals.iter().zip([tick(104), tick(109), golden["timetick"].clone(), end])
    {
        for name in names {
            // In turns with another collection, and one whose number begins with the same digits.
            log.extend([42, 7, 421].map(|collection| match golden[*name].meta.collection_id {
                42 => of_collection(&golden[*name], collection),
                _ => golden[*name].clone(),
            }));
        }
        log.push(tick);
    }
    let mut writer = broker.writer("dml_0").await.unwrap();
    assert_eq!(writer.submit(log.clone()).await.stored.len(), log.len());

    let dispatcher = UnmarshalDispatcher::milvus_2x();
    for collection in [42, 7, 421] {
        let channel = format!("dml_0_{collection}v0");
        let builder = Consumer::builder(channels.clone()).channels([channel]);
        let mut packs = builder.late_policy(LatePolicy::Deliver).open().await.unwrap();
        let mut found = Vec::new();
        while let Some(pack) = packs.next_pack().await.unwrap() {
            let stored = pack.msgs.iter().filter_map(|msg| msg.stored());
            for record in stored.map(|msg| &msg.record) {
                assert_eq!(record.meta.collection_id, collection);
                dispatcher.unmarshal(record).unwrap();
                found.push((pack.end_ts.0, record.payload.clone()));
            }
        }
        let ends = [104, 109, 4096, 1 << 60];
        let mut wanted = Vec::new();
        for (names, end) in intervals.iter().zip(ends) {
            let own = names.iter().map(|name| &golden[*name]);
            let mut own: Vec<_> = own.filter(|r| r.meta.collection_id == 42).collect();
            own.sort_by_key(|record| record.meta.timestamp);
            wanted.extend(own.into_iter().map(|record| (end, record.payload.clone())));
        }
        assert_eq!(found, wanted, "collection {collection}");
    }
}

#[tokio::test]
async fn a_tick_of_one_virtual_channel_is_refused_and_one_authority_ticks_all() {
    let (broker, channels) = topic().await;
    let mut producer =
        Producer::builder(channels.clone()).channels(["dml_0_42v0"]).open().await.unwrap();
    let error = producer.tick(Timestamp(5)).await.unwrap_err().to_string();
    assert!(error.contains("who reads `dml_0` whole"), "{error}");
    let writer = channels.writer("dml_0_42v0").await.unwrap();
    let refused = writer.check(&[tick(5)]).unwrap_err();
    assert!(matches!(refused.kind(), TransportErrorKind::InvalidHeader { .. }), "{refused}");

    let mut authority =
        Producer::builder(channels.clone()).channels(["dml_0"]).open().await.unwrap();
    authority.tick(Timestamp(5)).await.unwrap();
    for (transport, channel) in [(channels, "dml_0_42v0"), (broker, "dml_0")] {
        let mut packs = Consumer::builder(transport).channels([channel]).open().await.unwrap();
        assert_eq!(packs.next_pack().await.unwrap().unwrap().end_ts, Timestamp(5));
    }
}
