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
        check_insert(self.num_rows, self.timestamps.len(), self.row_ids.len(), row_data)
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
        check_delete(self.num_rows, self.timestamps.len(), self.keys())
    }
}

/// Checks that the parts of an insert have as many rows as it says.
pub(in crate::message) fn check_insert(
    num_rows: u64,
    timestamps: usize,
    row_ids: usize,
    row_data: usize,
) -> Result<(), DecodeError> {
    agree(&[
        ("num_rows", num_rows),
        ("timestamps", timestamps as u64),
        ("row_ids", row_ids as u64),
        ("row_data", row_data as u64),
    ])
}

/// Checks that the parts of a delete have as many rows as it says.
pub(in crate::message) fn check_delete(
    num_rows: i64,
    timestamps: usize,
    keys: usize,
) -> Result<(), DecodeError> {
    let num_rows = u64::try_from(num_rows).map_err(|_| DecodeError::Inconsistent {
        reason: format!("`num_rows` is negative: {num_rows}"),
    })?;
    agree(&[
        ("num_rows", num_rows),
        ("timestamps", timestamps as u64),
        ("primary_keys", keys as u64),
    ])
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
mod tests;
