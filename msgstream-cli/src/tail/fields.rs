//! The fields of built-in messages, as JSON; bytes are in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msgstream::MsgType;
use msgstream::message::proto::{
    CreateCollectionRequest, CreatePartitionRequest, DataNodeTt, DeleteRequest,
    DropCollectionRequest, DropPartitionRequest, Ids, InsertRequest, MsgBase, Replicate,
    SearchRequest, SearchResults, SegStatistics, TimeSync, TimeTick, ids,
};
use msgstream::message::{MsgBody, ProtoMsg, Unmarshal as _};
use msgstream::record::Record;
use serde_json::{Value, json};

/// Returns the fields of a record's message, if it is a built-in one that can be decoded.
pub(super) fn fields(record: &Record) -> Option<Value> {
    match record.meta.msg_type {
        MsgType::INSERT => of::<InsertRequest>(record),
        MsgType::DELETE => of::<DeleteRequest>(record),
        MsgType::SEARCH => of::<SearchRequest>(record),
        MsgType::SEARCH_RESULT => of::<SearchResults>(record),
        MsgType::SEG_STATISTICS => of::<SegStatistics>(record),
        MsgType::TIME_TICK => of::<TimeTick>(record),
        MsgType::TIME_SYNC => of::<TimeSync>(record),
        MsgType::CREATE_COLLECTION => of::<CreateCollectionRequest>(record),
        MsgType::DROP_COLLECTION => of::<DropCollectionRequest>(record),
        MsgType::CREATE_PARTITION => of::<CreatePartitionRequest>(record),
        MsgType::DROP_PARTITION => of::<DropPartitionRequest>(record),
        MsgType::DATA_NODE_TT => of::<DataNodeTt>(record),
        MsgType::REPLICATE => of::<Replicate>(record),
        _ => None,
    }
}

fn of<B: MsgBody + ToJson>(record: &Record) -> Option<Value> {
    let message = ProtoMsg::<B>::unmarshal(record).ok()?;
    let mut fields = message.body().to_json();
    if let (Value::Object(fields), Some(base)) = (&mut fields, message.body().base()) {
        fields.insert("base".to_owned(), base.to_json());
    }
    Some(fields)
}

/// The fields of a protobuf struct, but for its base.
trait ToJson {
    fn to_json(&self) -> Value;
}

/// Lists the fields that JSON holds as they are.
macro_rules! to_json {
    ($($message:ty { $($field:ident),* })*) => {
        $(impl ToJson for $message {
            fn to_json(&self) -> Value {
                json!({ $(stringify!($field): self.$field),* })
            }
        })*
    };
}

to_json! {
    DropCollectionRequest { db_name, collection_name, db_id, collection_id }
    CreatePartitionRequest {
        db_name, collection_name, partition_name, db_id, collection_id, partition_id
    }
    DropPartitionRequest {
        db_name, collection_name, partition_name, db_id, collection_id, partition_id
    }
    TimeTick {}
    Replicate { is_end, is_cluster, database, collection }
}

impl ToJson for MsgBase {
    fn to_json(&self) -> Value {
        let replicate = self.replicate_info.as_ref().map(|info| {
            json!({
                "is_replicate": info.is_replicate,
                "msg_timestamp": info.msg_timestamp,
                "replicate_id": info.replicate_id,
            })
        });
        json!({
            "msg_type": self.msg_type,
            "msg_id": self.msg_id,
            "timestamp": self.timestamp,
            "source_id": self.source_id,
            "target_id": self.target_id,
            "properties": self.properties,
            "replicate_info": replicate,
        })
    }
}

impl ToJson for InsertRequest {
    fn to_json(&self) -> Value {
        json!({
            "shard_name": self.shard_name,
            "db_name": self.db_name,
            "collection_name": self.collection_name,
            "partition_name": self.partition_name,
            "db_id": self.db_id,
            "collection_id": self.collection_id,
            "partition_id": self.partition_id,
            "segment_id": self.segment_id,
            "timestamps": self.timestamps,
            "row_ids": self.row_ids,
            "row_data": base64s(self.row_data.iter().map(|blob| &*blob.value)),
            "fields_data": base64s(self.fields_data.iter().map(|field| &**field)),
            "num_rows": self.num_rows,
            "version": self.version().as_str_name(),
            "namespace": self.namespace,
        })
    }
}

impl ToJson for DeleteRequest {
    fn to_json(&self) -> Value {
        json!({
            "shard_name": self.shard_name,
            "db_name": self.db_name,
            "collection_name": self.collection_name,
            "partition_name": self.partition_name,
            "db_id": self.db_id,
            "collection_id": self.collection_id,
            "partition_id": self.partition_id,
            "segment_id": self.segment_id,
            "int64_primary_keys": self.int64_primary_keys,
            "timestamps": self.timestamps,
            "num_rows": self.num_rows,
            "primary_keys": self.primary_keys.as_ref().map(keys),
        })
    }
}

impl ToJson for SearchRequest {
    fn to_json(&self) -> Value {
        json!({
            "request_id": self.request_id,
            "result_channel": self.result_channel,
            "db_id": self.db_id,
            "collection_id": self.collection_id,
            "partition_ids": self.partition_ids,
            "query": base64(&self.query),
        })
    }
}

impl ToJson for SearchResults {
    fn to_json(&self) -> Value {
        json!({
            "request_id": self.request_id,
            "result_channel": self.result_channel,
            "collection_id": self.collection_id,
            "error_code": self.error_code,
            "reason": self.reason,
            "hits": base64s(self.hits.iter().map(|hit| &**hit)),
        })
    }
}

impl ToJson for SegStatistics {
    fn to_json(&self) -> Value {
        let segments = self.segments.iter().map(|segment| {
            json!({
                "segment_id": segment.segment_id,
                "memory_bytes": segment.memory_bytes,
                "num_rows": segment.num_rows,
                "recently_modified": segment.recently_modified,
            })
        });
        json!({ "peer_id": self.peer_id, "segments": segments.collect::<Vec<_>>() })
    }
}

impl ToJson for TimeSync {
    fn to_json(&self) -> Value {
        let peers = self.peers.iter();
        let peers = peers.map(|p| json!({ "peer_id": p.peer_id, "timestamp": p.timestamp }));
        json!({ "peers": peers.collect::<Vec<_>>() })
    }
}

impl ToJson for CreateCollectionRequest {
    fn to_json(&self) -> Value {
        json!({
            "db_name": self.db_name,
            "collection_name": self.collection_name,
            "partition_name": self.partition_name,
            "db_id": self.db_id,
            "collection_id": self.collection_id,
            "partition_id": self.partition_id,
            "schema": base64(&self.schema),
            "virtual_channel_names": self.virtual_channel_names,
            "physical_channel_names": self.physical_channel_names,
            "partition_ids": self.partition_ids,
            "partition_names": self.partition_names,
            "collection_schema": self.collection_schema.as_ref().map(|schema| base64(schema)),
        })
    }
}

impl ToJson for DataNodeTt {
    fn to_json(&self) -> Value {
        let segments = self.segments_stats.iter();
        let segments =
            segments.map(|s| json!({ "segment_id": s.segment_id, "num_rows": s.num_rows }));
        json!({
            "channel_name": self.channel_name,
            "timestamp": self.timestamp,
            "segments_stats": segments.collect::<Vec<_>>(),
        })
    }
}

fn keys(keys: &Ids) -> Value {
    match &keys.id_field {
        None => Value::Null,
        Some(ids::IdField::IntId(keys)) => json!(keys.data),
        Some(ids::IdField::StrId(keys)) => json!(keys.data),
    }
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn base64s<'a>(bytes: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    bytes.map(base64).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream::message::InsertMsg;
    use msgstream::message::proto::Blob;
    use msgstream::record::Meta;
    use msgstream::{Timestamp, TsMsg};

    use super::*;

    #[test]
    fn a_message_has_its_base_and_bytes_are_base64() {
        let insert: &dyn TsMsg = &InsertMsg::new(InsertRequest {
            collection_name: "books".to_owned(),
            timestamps: vec![5],
            row_data: vec![Blob { value: "hi".into() }],
            ..Default::default()
        });
        let fields = fields(&insert.to_record()).unwrap();
        assert_eq!(fields["collection_name"], "books");
        assert_eq!((&fields["row_data"], &fields["timestamps"]), (&json!(["aGk="]), &json!([5])));
        assert_eq!(
            (&fields["base"]["msg_type"], &fields["version"]),
            (&json!(400), &json!("ROW_BASED"))
        );
    }

    #[test]
    fn what_is_no_message_of_its_type_has_no_fields() {
        let of = |msg_type, payload: &'static str| {
            fields(&Record::new(Meta::new(msg_type, Timestamp(1)), payload))
        };
        assert_eq!(of(MsgType::INSERT, "\u{1}"), None);
        assert_eq!(of(MsgType(70_001), ""), None);
    }
}
