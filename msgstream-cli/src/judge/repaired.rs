//! What is noted in a channel that `repair-ticks` has copied.

use msgstream::record::{Header, Meta, Record};
use msgstream::{MsgType, Timestamp};

/// The header of a time tick after a channel's end: the channel that has the records of this one, whole.
/// Consumers stop at the end, and never see it.
const HEADER: &str = "ms-repaired";

/// Returns the note of a repair.
pub(crate) fn note(watermark: Timestamp, into: &str) -> Record {
    let mut record = Record::new(Meta::new(MsgType::TIME_TICK, watermark), "");
    record.extra.push(Header::new(HEADER, into.to_owned()));
    record
}

/// Returns the channel that a note names; `None` if the record is none.
pub(crate) fn noted(record: &Record) -> Option<&str> {
    let value = record.header(HEADER).filter(|_| record.meta.msg_type == MsgType::TIME_TICK)?;
    str::from_utf8(value).ok()
}
