//! The end of a channel.

use super::Record;

/// The extra header of a channel's last record, a time tick, which nothing follows.
///
/// ```
/// use msgstream_core::record::{END_HEADER, Header, Meta, Record};
/// use msgstream_core::{MsgType, Timestamp};
/// let mut last = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(9)), "");
/// last.extra.push(Header::new(END_HEADER, ""));
/// assert!(last.header(END_HEADER).is_some());
/// ```
pub const END_HEADER: &str = "ms-end";

/// Returns whether the record is its channel's end.
pub(crate) fn is_end(record: &Record) -> bool {
    record.is_tick() && record.header(END_HEADER).is_some()
}
