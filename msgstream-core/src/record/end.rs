//! The end of a channel.

use super::{MsgType, Record};

/// The extra header of a channel's last record, a time tick: nothing at all follows it.
pub const END_HEADER: &str = "ms-end";

/// Returns whether the record is its channel's end.
pub(crate) fn is_end(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK && record.header(END_HEADER).is_some()
}
