//! What Milvus 2.6 wrote is read, and written back, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "decoders/views.rs"]
mod views;

use std::collections::BTreeMap;

use bytes::Bytes;
use msgstream_core::adapter::positions::{EntryId, offset_from_bytes, offset_to_bytes};
use msgstream_core::adapter::{decode_headers, encode_headers};
use msgstream_core::message::proto::ids::IdField;
use msgstream_core::message::{
    DataNodeTtMsg, DeleteMsg, DropPartitionMsg, InsertMsg, ReplicateMsg, Unmarshal,
};
use msgstream_core::message::{REPLICATE_ID, hash_i64, hash_str};
use msgstream_core::record::{Header, Meta, Position, Record};
use msgstream_core::{MsgType, MsgTypeNames, Timestamp, TsMsg, UnmarshalDispatcher};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    messages: Vec<Vector>,
    hashes: Hashes,
    message_ids: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    msg_type: u32,
    payload_hex: String,
    properties: BTreeMap<String, String>,
    begin_ts_after_unmarshal: u64,
    end_ts_after_unmarshal: u64,
}

#[derive(Deserialize)]
struct Hashes {
    hash32_int64_murmur3_masked31: BTreeMap<i64, u32>,
    hash_string2uint32_crc32ieee_first100: BTreeMap<String, u32>,
}

fn golden() -> Golden {
    let mut golden: Golden = serde_json::from_str(include_str!("data/milvus-2.6.json")).unwrap();
    let more: More = serde_json::from_str(include_str!("data/milvus-2.6-more.json")).unwrap();
    golden.messages.extend(more.messages);
    golden
}

/// What the generator in `data/milvus-2.6-more.go` prints.
#[derive(Deserialize)]
struct More {
    messages: Vec<Vector>,
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

impl Vector {
    fn payload(&self) -> Bytes {
        bytes(&self.payload_hex).into()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn record(&self) -> Record {
        let names = MsgTypeNames::milvus_2x();
        let (meta, extra) = decode_headers(self.headers(), &self.payload(), &names).unwrap();
        let id = self.properties.get(REPLICATE_ID);
        assert!(extra.iter().eq(&id.map(|id| Header::new(REPLICATE_ID, id.clone()))));
        let mut record = Record::new(meta, self.payload());
        record.extra = extra;
        record
    }
}

fn record(name: &str) -> Record {
    golden().messages.iter().find(|v| v.name == name).unwrap().record()
}

#[test]
fn messages_are_read_and_written_back_byte_for_byte() {
    let dispatcher = UnmarshalDispatcher::milvus_2x();
    let messages = golden().messages;
    assert_eq!(messages.len(), 12);
    for vector in messages {
        let record = vector.record();
        assert_eq!(record.meta.msg_type, MsgType(vector.msg_type), "{}", vector.name);

        assert!(views::compare_all(&record.payload) > 0, "{}", vector.name);
        let message = dispatcher.unmarshal(&record).unwrap();
        assert_eq!(message.msg_type(), MsgType(vector.msg_type), "{}", vector.name);
        assert_eq!(
            message.begin_ts(),
            Timestamp(vector.begin_ts_after_unmarshal),
            "{}",
            vector.name
        );
        assert_eq!(message.end_ts(), Timestamp(vector.end_ts_after_unmarshal), "{}", vector.name);

        let written = message.to_record();
        assert_eq!(written.payload, record.payload, "{}", vector.name);
        assert_eq!(written.extra, record.extra, "{}", vector.name);
        assert_eq!(message.encoded_len(), record.payload.len(), "{}", vector.name);
        // The merge goes by the greatest row timestamp of what we write; Milvus' delete says less.
        let mut meta = record.meta;
        meta.timestamp = message.end_ts();
        assert_eq!(written.meta, meta, "{}", vector.name);
    }
}

#[test]
fn headers_are_written_back_as_they_were() {
    let names = MsgTypeNames::milvus_2x();
    for vector in golden().messages {
        let record = vector.record();
        let written: BTreeMap<_, _> = encode_headers(&record, &names)
            .map(|(name, value)| (name.to_owned(), String::from_utf8(value.into()).unwrap()))
            .collect();
        assert_eq!(written, vector.properties, "{}", vector.name);
    }
}

#[test]
fn without_headers_type_id_and_time_come_from_the_payload() {
    for vector in golden().messages {
        let names = MsgTypeNames::milvus_2x();
        let (meta, _) =
            decode_headers([] as [(&str, &[u8]); 0], &vector.payload(), &names).unwrap();
        let full = vector.record().meta;
        let mut expected = Meta::new(full.msg_type, full.timestamp);
        expected.msg_id = full.msg_id;
        assert_eq!(meta, expected, "{}", vector.name);
    }
}

#[test]
fn every_field_of_the_rows_is_there() {
    let rows = InsertMsg::unmarshal(&record("insert_row")).unwrap().into_body();
    assert_eq!((rows.rows(), rows.row_ids, rows.segment_id), (1, vec![8], 44));
    assert_eq!(*rows.row_data[0].value, [0, 0, 0, 0]);

    let columns = InsertMsg::unmarshal(&record("insert_column")).unwrap().into_body();
    assert_eq!(
        (columns.num_rows, columns.timestamps, columns.row_ids.len()),
        (2, vec![100, 90], 2)
    );
    assert_eq!((columns.fields_data.len(), columns.fields_data[0].len()), (1, 25));

    let delete = DeleteMsg::unmarshal(&record("delete_int")).unwrap().into_body();
    match delete.primary_keys.unwrap().id_field.unwrap() {
        IdField::IntId(keys) => assert_eq!(keys.data, [1, -2]),
        IdField::StrId(keys) => panic!("{keys:?}"),
    }
}

#[test]
fn every_field_of_what_nodes_and_clusters_say_is_there() {
    let drop = DropPartitionMsg::unmarshal(&record("drop_partition")).unwrap().into_body();
    assert_eq!((&*drop.partition_name, drop.db_id, drop.partition_id), ("p", 1, 45));
    assert_eq!(drop.collection_id, 42);

    let tt = DataNodeTtMsg::unmarshal(&record("data_node_tt")).unwrap().into_body();
    assert_eq!((&*tt.channel_name, tt.timestamp), ("dml_0_42v0", 110));
    let stats: Vec<_> = tt.segments_stats.iter().map(|s| (s.segment_id, s.num_rows)).collect();
    assert_eq!(stats, [(44, 3), (45, -1), (0, 0)]);

    let mark = ReplicateMsg::unmarshal(&record("replicate")).unwrap();
    assert_eq!(mark.replicate_id(), Some("other-cluster"));
    let mark = mark.into_body();
    assert_eq!((mark.is_end, mark.is_cluster), (true, true));
    assert_eq!((&*mark.database, &*mark.collection), ("db", "coll"));
}

#[test]
fn stamping_brings_what_milvus_wrote_in_step() {
    let mut delete = DeleteMsg::unmarshal(&record("delete_int")).unwrap();
    assert_eq!(delete.body().base.as_ref().unwrap().timestamp, 102);
    delete.set_ts(Timestamp(200));
    assert_eq!(delete.body().base.as_ref().unwrap().timestamp, 200);
    assert_eq!((delete.begin_ts(), delete.end_ts()), (Timestamp(200), Timestamp(200)));
}

#[test]
fn hashes_are_the_same() {
    let hashes = golden().hashes;
    for (key, hash) in hashes.hash32_int64_murmur3_masked31 {
        assert_eq!(hash_i64(key), hash, "{key}");
    }
    for (key, hash) in hashes.hash_string2uint32_crc32ieee_first100 {
        assert_eq!(hash_str(&key), hash, "{key}");
        if key.len() >= 100 {
            assert_eq!(hash_str(&(key + "more")), hash);
        }
    }
}

#[test]
fn positions_are_read_and_written_back_byte_for_byte() {
    let mut ids = golden().message_ids;
    let mut take = |name| bytes(&ids.remove(name).unwrap());

    let offset = take("kafka_258");
    assert_eq!(offset_from_bytes(&offset).unwrap(), Position::new(258));
    assert_eq!(offset_to_bytes(Position::new(258)), *offset);

    let entry = take("pulsar_12_34_b-1_p0");
    let id = EntryId { ledger: 12, entry: 34, partition: 0, batch_index: -1 };
    assert_eq!(EntryId::from_bytes(&entry).unwrap(), id);
    assert_eq!(id.to_bytes(), entry);
    assert_eq!(EntryId::from_position(id.position(), 0).unwrap(), id);

    let earliest = take("pulsar_earliest");
    assert_eq!(EntryId::from_bytes(&earliest).unwrap(), EntryId::EARLIEST);
    assert_eq!(EntryId::EARLIEST.to_bytes(), earliest);

    assert!(ids.is_empty(), "{ids:?} are not checked");
}
