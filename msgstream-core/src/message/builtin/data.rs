//! Rows to insert and keys to delete.

use super::{MsgBody, ProtoMsg};
use crate::message::DecodeError;
use crate::message::proto::{DeleteRequest, InsertDataVersion, InsertRequest};
use crate::record::MsgType;

/// Rows to insert. The virtual channel is the request's `shard_name`.
///
/// ```
/// use msgstream_core::message::{InsertMsg, proto::{Blob, InsertRequest}};
/// use msgstream_core::{TsMsg, message::hash_i64};
///
/// let request = InsertRequest {
///     shard_name: "orders".into(),
///     timestamps: vec![7],
///     row_ids: vec![1],
///     row_data: vec![Blob { value: "a row".into() }],
///     ..Default::default()
/// };
/// let insert = InsertMsg::new(request).with_hash_keys([hash_i64(1)]);
/// assert_eq!(insert.vchannel(), "orders");
/// ```
pub type InsertMsg = ProtoMsg<InsertRequest>;

/// Keys to delete. The virtual channel is the request's `shard_name`.
///
/// ```
/// use msgstream_core::message::{DeleteMsg, proto::DeleteRequest};
/// use msgstream_core::{Timestamp, TsMsg, message::hash_i64};
///
/// let request = DeleteRequest {
///     timestamps: vec![7, 8],
///     int64_primary_keys: vec![1, 2],
///     num_rows: 2,
///     ..Default::default()
/// };
/// let delete = DeleteMsg::new(request).with_hash_keys([hash_i64(1), hash_i64(2)]);
/// assert_eq!(delete.end_ts(), Timestamp(8));
/// ```
pub type DeleteMsg = ProtoMsg<DeleteRequest>;

impl MsgBody for InsertRequest {
    const MSG_TYPE: MsgType = MsgType::INSERT;

    has_base!();

    fn row_timestamps(&self) -> &[u64] {
        &self.timestamps
    }

    fn row_timestamps_mut(&mut self) -> &mut [u64] {
        &mut self.timestamps
    }

    fn vchannel(&self) -> &str {
        &self.shard_name
    }

    fn collection_id(&self) -> i64 {
        self.collection_id
    }

    fn check(&self) -> Result<(), DecodeError> {
        let row_data = match self.version() {
            InsertDataVersion::RowBased => self.row_data.len(),
            InsertDataVersion::ColumnBased => 0,
        };
        agree(&[
            ("num_rows", self.num_rows),
            ("timestamps", self.timestamps.len() as u64),
            ("row_ids", self.row_ids.len() as u64),
            ("row_data", row_data as u64),
        ])
    }
}

impl MsgBody for DeleteRequest {
    const MSG_TYPE: MsgType = MsgType::DELETE;

    has_base!();

    fn row_timestamps(&self) -> &[u64] {
        &self.timestamps
    }

    fn row_timestamps_mut(&mut self) -> &mut [u64] {
        &mut self.timestamps
    }

    fn vchannel(&self) -> &str {
        &self.shard_name
    }

    fn collection_id(&self) -> i64 {
        self.collection_id
    }

    fn check(&self) -> Result<(), DecodeError> {
        let num_rows = u64::try_from(self.num_rows).map_err(|_| DecodeError::Inconsistent {
            reason: format!("`num_rows` is negative: {}", self.num_rows),
        })?;
        agree(&[
            ("num_rows", num_rows),
            ("timestamps", self.timestamps.len() as u64),
            ("primary_keys", self.keys() as u64),
        ])
    }
}

/// Checks that all counts that are set are the same; 0 means that one isn't set.
fn agree(counts: &[(&str, u64)]) -> Result<(), DecodeError> {
    let mut given = counts.iter().filter(|(_, count)| *count != 0);
    let Some((first, expected)) = given.next() else { return Ok(()) };
    match given.find(|(_, count)| count != expected) {
        None => Ok(()),
        Some((other, count)) => Err(DecodeError::Inconsistent {
            reason: format!("`{first}` has {expected} rows, but `{other}` has {count}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::message::proto::MsgBase;
    use crate::message::proto::{Blob, Ids, LongArray, ids::IdField};
    use crate::message::{TsMsg, Unmarshal};
    use crate::record::Timestamp;

    fn decoded<M: Unmarshal>(message: &M) -> Result<M, DecodeError> {
        let message: &dyn TsMsg = message;
        M::unmarshal(&message.to_record())
    }

    #[test]
    fn the_times_are_those_of_the_rows_else_that_of_the_base() {
        let mut insert = InsertMsg::new(InsertRequest {
            base: Some(MsgBase { timestamp: 99, msg_id: 5, ..Default::default() }),
            timestamps: vec![5, 3, 8],
            ..Default::default()
        });
        assert_eq!((insert.begin_ts(), insert.end_ts()), (Timestamp(3), Timestamp(8)));
        let base = insert.body().base.clone().unwrap();
        assert_eq!((base.msg_type, base.timestamp, base.msg_id), (400, 8, 5));

        insert.set_ts(Timestamp(20));
        assert_eq!(insert.body().timestamps, [20; 3]);
        assert_eq!(decoded(&insert).unwrap(), insert);

        let mut no_rows = DeleteMsg::new(DeleteRequest::default());
        no_rows.set_ts(Timestamp(4));
        assert_eq!((no_rows.begin_ts(), no_rows.end_ts()), (Timestamp(4), Timestamp(4)));
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        let row_based = InsertRequest {
            timestamps: vec![1, 2],
            row_data: vec![Blob::default(); 3],
            ..Default::default()
        };
        let refused = decoded(&InsertMsg::new(row_based.clone())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the message contradicts itself: `timestamps` has 2 rows, but `row_data` has 3"
        );
        let mut column_based = row_based;
        column_based.set_version(InsertDataVersion::ColumnBased);
        decoded(&InsertMsg::new(column_based.clone())).unwrap();
        assert_eq!(column_based.rows(), 2);
        column_based.num_rows = 1;
        decoded(&InsertMsg::new(column_based)).unwrap_err();

        let keys = LongArray { data: vec![7] };
        let delete = DeleteRequest {
            timestamps: vec![1],
            primary_keys: Some(Ids { id_field: Some(IdField::IntId(keys)) }),
            ..Default::default()
        };
        decoded(&DeleteMsg::new(delete.clone())).unwrap();
        let two = DeleteRequest { num_rows: 2, ..delete.clone() };
        decoded(&DeleteMsg::new(two)).unwrap_err();
        let negative = DeleteRequest { num_rows: -1, ..delete };
        decoded(&DeleteMsg::new(negative)).unwrap_err();
    }

    #[test]
    fn a_payload_without_a_base_takes_it_from_the_headers() {
        use crate::record::{Meta, Record};
        let mut meta = Meta::new(MsgType::INSERT, Timestamp(6));
        meta.msg_id = 9;
        let insert = InsertMsg::unmarshal(&Record::new(meta, "")).unwrap();
        assert_eq!((insert.end_ts(), insert.msg_id()), (Timestamp(6), 9));
    }
}
