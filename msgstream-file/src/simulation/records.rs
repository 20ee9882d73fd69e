//! Records whose content identifies them.

use msgstream_core::record::{Meta, Record};
use msgstream_core::{MsgType, Timestamp};

use super::rng::Rng;

/// Which record it is, among all of a world.
pub(super) type Id = u64;

pub(super) fn record(id: Id, size: usize) -> Record {
    let mut meta = Meta::new(MsgType(1), Timestamp(id));
    meta.msg_id = id as i64;
    Record::new(meta, payload(id, size))
}

fn payload(id: Id, size: usize) -> Vec<u8> {
    let mut rng = Rng::new(id);
    let mut payload = Vec::with_capacity(size + 8);
    while payload.len() < size {
        payload.extend(rng.next().to_le_bytes());
    }
    payload.truncate(size);
    payload
}

/// Returns which record it is; `None` if its content is that of none.
pub(super) fn id(record: &Record) -> Option<Id> {
    let id = record.meta.timestamp.0;
    let same =
        record.meta.msg_id == id as i64 && payload(id, record.payload.len()) == record.payload;
    same.then_some(id)
}
