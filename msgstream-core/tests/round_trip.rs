//! Every message, whatever is in it, is read as it was written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "decoders/views.rs"]
mod views;

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use msgstream_core::message::proto::ids::IdField;
use msgstream_core::message::proto::*;
use msgstream_core::message::{DeleteMsg, InsertMsg, MsgBody, ProtoMsg, SerdeBody, SerdeMsg};
use msgstream_core::{MsgType, Timestamp, TsMsg, UnmarshalDispatcher};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// All messages that this crate has, and one of JSON.
fn dispatcher() -> UnmarshalDispatcher {
    let mut dispatcher = UnmarshalDispatcher::new();
    dispatcher
        .add_msg_template::<ProtoMsg<CreateCollectionRequest>>()
        .add_msg_template::<ProtoMsg<DropCollectionRequest>>()
        .add_msg_template::<ProtoMsg<CreatePartitionRequest>>()
        .add_msg_template::<SerdeMsg<Json>>();
    dispatcher
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Json(BTreeMap<String, Vec<i64>>);

impl SerdeBody for Json {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

/// Writes and reads a message, and writes again what was read.
fn round_trip<M: TsMsg + Debug + PartialEq>(message: M) -> Result<(), TestCaseError> {
    let written = (&message as &dyn TsMsg).to_record();
    prop_assert_eq!(written.payload.len(), message.encoded_len());
    prop_assert_eq!(written.meta.timestamp, message.end_ts());

    views::compare_all(&written.payload);
    let read = dispatcher().unmarshal(&written).unwrap();
    prop_assert_eq!(read.to_record(), written);
    prop_assert_eq!(read.downcast_ref::<M>(), Some(&message));
    Ok(())
}

/// The same for a message of a struct, before and after stamping.
fn round_trip_body<B: MsgBody + PartialEq>(body: B) -> Result<(), TestCaseError> {
    let mut message = ProtoMsg::<B>::new(body);
    let base_ts = message.body().base().as_ref().map(|base| Timestamp(base.timestamp));
    prop_assert_eq!(base_ts, Some(message.end_ts()));
    message.set_ts(message.end_ts().next());
    prop_assert_eq!(message.begin_ts(), message.end_ts());
    round_trip(message)
}

prop_compose! {
    fn bases()(
        numbers in any::<(i64, u64, i64, i64)>(),
        properties in btree_map(".{0,4}", ".{0,4}", 0..3),
        replicate_info in proptest::option::of((any::<bool>(), any::<u64>(), ".{0,4}")),
    ) -> Option<MsgBase> {
        let (msg_id, timestamp, source_id, target_id) = numbers;
        let replicate_info = replicate_info.map(|(is_replicate, msg_timestamp, replicate_id)| {
            ReplicateInfo { is_replicate, msg_timestamp, replicate_id }
        });
        Some(MsgBase {
            msg_type: 0, msg_id, timestamp, source_id, target_id, properties, replicate_info,
        })
    }
}

fn blobs() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn names() -> impl Strategy<Value = (String, String, String, String)> {
    (".{0,6}", ".{0,6}", ".{0,6}", ".{0,6}")
}

prop_compose! {
    fn inserts()(rows in 0..5usize)(
        base in bases(),
        (shard_name, db_name, collection_name, partition_name) in names(),
        ids in any::<(i64, i64, i64, i64)>(),
        timestamps in vec(any::<u64>(), rows),
        row_ids in vec(any::<i64>(), rows),
        row_data in vec(blobs().prop_map(|value| Blob { value }), rows),
        fields_data in vec(blobs(), 0..3),
        column_based in any::<bool>(),
        namespace in proptest::option::of(".{0,4}"),
        rows in Just(rows),
    ) -> InsertRequest {
        let (db_id, collection_id, partition_id, segment_id) = ids;
        let (row_data, fields_data) =
            if column_based { (Vec::new(), fields_data) } else { (row_data, Vec::new()) };
        InsertRequest {
            base, shard_name, db_name, collection_name, partition_name, db_id, collection_id,
            partition_id, segment_id, timestamps, row_ids, row_data, fields_data, namespace,
            num_rows: rows as u64, version: i32::from(column_based),
        }
    }
}

prop_compose! {
    fn deletes()(rows in 0..5usize)(
        base in bases(),
        (shard_name, db_name, collection_name, partition_name) in names(),
        ids in any::<(i64, i64, i64, i64)>(),
        timestamps in vec(any::<u64>(), rows),
        int_keys in vec(any::<i64>(), rows),
        str_keys in vec(".{0,4}", rows),
        kind in 0..3,
        rows in Just(rows),
    ) -> DeleteRequest {
        let (db_id, collection_id, partition_id, segment_id) = ids;
        let mut int64_primary_keys = Vec::new();
        let id_field = match kind {
            0 => Some(IdField::IntId(LongArray { data: int_keys })),
            1 => Some(IdField::StrId(StringArray { data: str_keys })),
            _ => {
                int64_primary_keys = int_keys;
                None
            }
        };
        DeleteRequest {
            base, shard_name, db_name, collection_name, partition_name, db_id, collection_id,
            partition_id, segment_id, timestamps, int64_primary_keys, num_rows: rows as i64,
            primary_keys: id_field.map(|id| Ids { id_field: Some(id) }),
        }
    }
}

proptest! {
    #[test]
    fn inserts_round_trip(body in inserts()) {
        round_trip(InsertMsg::new(body.clone()))?;
        round_trip_body(body)?;
    }

    #[test]
    fn deletes_round_trip(body in deletes()) {
        round_trip(DeleteMsg::new(body.clone()))?;
        round_trip_body(body)?;
    }

    #[test]
    fn ticks_round_trip(base in bases(), peers in vec((any::<i64>(), any::<u64>()), 0..4)) {
        round_trip_body(TimeTick { base: base.clone() })?;
        let peers = peers.into_iter().map(|(peer_id, timestamp)| PeerProgress { peer_id, timestamp });
        round_trip_body(TimeSync { base, peers: peers.collect() })?;
    }

    #[test]
    fn queries_round_trip(
        base in bases(),
        ids in any::<(i64, i64, i64, i32)>(),
        partition_ids in vec(any::<i64>(), 0..4),
        (result_channel, reason) in (".{0,6}", ".{0,6}"),
        hits in vec(blobs(), 1..4),
        flags in vec(any::<bool>(), 0..3),
    ) {
        let (request_id, db_id, collection_id, error_code) = ids;
        round_trip_body(SearchRequest {
            base: base.clone(), request_id, result_channel: result_channel.clone(), db_id,
            collection_id, partition_ids, query: hits[0].clone(),
        })?;
        round_trip_body(SearchResults {
            base: base.clone(), request_id, result_channel, collection_id, error_code, reason, hits,
        })?;
        let segments = flags.into_iter().map(|recently_modified| SegmentStats {
            segment_id: request_id, memory_bytes: db_id, num_rows: collection_id, recently_modified,
        });
        round_trip_body(SegStatistics { base, peer_id: db_id, segments: segments.collect() })?;
    }

    #[test]
    fn schema_changes_round_trip(
        base in bases(),
        (db_name, collection_name, partition_name, channel) in names(),
        (db_id, collection_id, partition_id) in any::<(i64, i64, i64)>(),
        schema in blobs(),
        collection_schema in proptest::option::of(blobs()),
    ) {
        round_trip_body(CreateCollectionRequest {
            base: base.clone(), db_name: db_name.clone(), collection_name: collection_name.clone(),
            partition_name: partition_name.clone(), db_id, collection_id, partition_id, schema,
            virtual_channel_names: vec![channel.clone(); 2], physical_channel_names: vec![channel],
            partition_ids: vec![partition_id, db_id],
            partition_names: vec![partition_name.clone()], collection_schema,
        })?;
        round_trip_body(DropCollectionRequest {
            base: base.clone(), db_name: db_name.clone(), collection_name: collection_name.clone(),
            db_id, collection_id,
        })?;
        round_trip_body(CreatePartitionRequest {
            base, db_name, collection_name, partition_name, db_id, collection_id, partition_id,
        })?;
    }

    #[test]
    fn json_round_trips(
        ts in any::<u64>(),
        msg_id in any::<i64>(),
        value in btree_map(".{0,4}", vec(any::<i64>(), 0..3), 0..4),
    ) {
        round_trip(SerdeMsg::new(Timestamp(ts), Json(value)).unwrap().with_msg_id(msg_id))?;
    }
}
