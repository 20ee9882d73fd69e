//! What a message contains, as a number.

use std::hash::Hasher;

use msgstream_core::message::StoredMessage;
use msgstream_core::message::proto::{InsertRequest, MsgBase};
use msgstream_core::message::view::{InsertView, MsgBaseView};
use rustc_hash::FxHasher;

/// The sum over messages: the same in any order, another one where a message is missing, there
/// twice, or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    pub(crate) messages: u64,
    pub(crate) sum: u64,
}

impl Checksum {
    pub(crate) const fn add(&mut self, hash: u64) {
        self.messages += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

/// Every field of an insert, and the channel that it belongs to.
pub(crate) fn of_insert(channel: &str, insert: &InsertRequest) -> u64 {
    // Not `..`: a field that is added must be added here.
    let InsertRequest {
        base,
        shard_name,
        db_name,
        collection_name,
        partition_name,
        db_id,
        collection_id,
        partition_id,
        segment_id,
        timestamps,
        row_ids,
        row_data,
        fields_data,
        num_rows,
        version,
        namespace,
    } = insert;
    let mut hash = FxHasher::default();
    let namespace = namespace.as_deref().unwrap_or_default();
    let texts = [channel, shard_name, db_name, collection_name, partition_name, namespace];
    texts.into_iter().for_each(|text| hash.write(text.as_bytes()));
    for number in [db_id, collection_id, partition_id, segment_id] {
        hash.write_i64(*number);
    }
    timestamps.iter().for_each(|ts| hash.write_u64(*ts));
    row_ids.iter().for_each(|id| hash.write_i64(*id));
    row_data.iter().for_each(|row| hash.write(&row.value));
    fields_data.iter().for_each(|field| hash.write(field));
    hash.write_u64(*num_rows);
    hash.write_i32(*version);
    if let Some(base) = base {
        let MsgBase {
            msg_type,
            msg_id,
            timestamp,
            source_id,
            target_id,
            properties,
            replicate_info,
        } = base;
        add_base(&mut hash, *msg_type, *timestamp, [*msg_id, *source_id, *target_id]);
        for (name, value) in properties {
            hash.write(name.as_bytes());
            hash.write(value.as_bytes());
        }
        if let Some(info) = replicate_info {
            add_replicate_info(
                &mut hash,
                info.is_replicate,
                info.msg_timestamp,
                &info.replicate_id,
            );
        }
    }
    hash.finish()
}

/// The same of a view.
pub(crate) fn of_view(channel: &str, insert: &InsertView<'_>) -> u64 {
    let InsertView {
        base,
        shard_name,
        db_name,
        collection_name,
        partition_name,
        db_id,
        collection_id,
        partition_id,
        segment_id,
        timestamps,
        row_ids,
        row_data,
        fields_data,
        num_rows,
        version,
        namespace,
    } = insert;
    let mut hash = FxHasher::default();
    let namespace = namespace.unwrap_or_default();
    let texts = [channel, shard_name, db_name, collection_name, partition_name, namespace];
    texts.into_iter().for_each(|text| hash.write(text.as_bytes()));
    for number in [db_id, collection_id, partition_id, segment_id] {
        hash.write_i64(*number);
    }
    timestamps.iter().for_each(|ts| hash.write_u64(ts));
    row_ids.iter().for_each(|id| hash.write_i64(id));
    row_data.iter().for_each(|row| hash.write(row.value));
    fields_data.iter().for_each(|field| hash.write(field));
    hash.write_u64(*num_rows);
    hash.write_i32(*version);
    if let Some(base) = base {
        let MsgBaseView {
            msg_type,
            msg_id,
            timestamp,
            source_id,
            target_id,
            properties,
            replicate_info,
        } = base;
        add_base(&mut hash, *msg_type, *timestamp, [*msg_id, *source_id, *target_id]);
        for (name, value) in properties {
            hash.write(name.as_bytes());
            hash.write(value.as_bytes());
        }
        if let Some(info) = replicate_info {
            add_replicate_info(&mut hash, info.is_replicate, info.msg_timestamp, info.replicate_id);
        }
    }
    hash.finish()
}

fn add_base(hash: &mut FxHasher, msg_type: u32, timestamp: u64, numbers: [i64; 3]) {
    hash.write_u32(msg_type);
    hash.write_u64(timestamp);
    numbers.into_iter().for_each(|number| hash.write_i64(number));
}

fn add_replicate_info(hash: &mut FxHasher, is_replicate: bool, timestamp: u64, id: &str) {
    hash.write_u8(is_replicate.into());
    hash.write_u64(timestamp);
    hash.write(id.as_bytes());
}

/// What is known of a message that isn't decoded.
pub(crate) fn of_undecoded(message: &StoredMessage) -> u64 {
    let meta = &message.record.meta;
    of_headers(meta.timestamp.0, meta.msg_id, message.record.payload.len())
}

/// The same, of a message before it is written.
pub(crate) fn of_headers(timestamp: u64, msg_id: i64, payload: usize) -> u64 {
    let mut hash = FxHasher::default();
    hash.write_u64(timestamp);
    hash.write_i64(msg_id);
    hash.write_usize(payload);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use msgstream_core::message::proto::Blob;

    use super::*;

    #[test]
    fn each_change_of_a_message_changes_its_hash() {
        let insert = InsertRequest {
            base: Some(MsgBase { msg_id: 1, ..MsgBase::default() }),
            row_data: vec![Blob { value: vec![7; 1024].into() }],
            timestamps: vec![5],
            ..InsertRequest::default()
        };
        let mut bit = vec![7; 1024];
        bit[1000] = 6;
        let changed = [
            InsertRequest { base: None, ..insert.clone() },
            InsertRequest { row_data: vec![Blob { value: bit.into() }], ..insert.clone() },
            InsertRequest { timestamps: vec![6], ..insert.clone() },
            InsertRequest { shard_name: "a".into(), ..insert.clone() },
            InsertRequest { segment_id: 1, ..insert.clone() },
        ];
        for other in changed {
            assert_ne!(of_insert("c", &other), of_insert("c", &insert));
        }
        assert_ne!(of_insert("d", &insert), of_insert("c", &insert));
    }
}
