//! Records that can't be read.

use bytes::Bytes;

use super::{Header, Meta, MsgType, Position, Record, Timestamp};

/// The header that says why a record is unreadable.
const REASON: &str = "ms-unreadable";

/// Returns the record that stands for one that can't be read. A transport delivers it at its
/// position, with what it has of it, so that reading goes on behind it.
///
/// Its type is [`MsgType::UNREADABLE`], and a header holds the reason. The merge puts it just after
/// its channel's watermark. Decoding it fails with
/// [`DecodeError::Unreadable`](crate::DecodeError::Unreadable), so the policy for undecodable records
/// applies to it.
///
/// ```
/// use msgstream_core::record::{Position, unreadable};
/// use msgstream_core::UnmarshalDispatcher;
/// let record = unreadable(Position::new(3), "it is encrypted", [], "bytes".into());
/// let error = UnmarshalDispatcher::new().unmarshal(&record).unwrap_err();
/// assert_eq!(error.to_string(), "the record can't be read: it is encrypted");
/// ```
#[must_use]
pub fn unreadable(
    position: Position,
    reason: impl Into<String>,
    headers: impl IntoIterator<Item = Header>,
    payload: Bytes,
) -> Record {
    let mut record = Record::new(Meta::new(MsgType::UNREADABLE, Timestamp::MIN), payload);
    record.position = position;
    record.extra.extend(headers);
    record.extra.push(Header::new(REASON, reason.into()));
    record
}

/// Returns why a record is unreadable.
pub(crate) fn unreadable_reason(record: &Record) -> String {
    // Readers put it behind the headers that the record came with.
    let reason = record.extra.iter().rfind(|header| &*header.name == REASON);
    reason.map_or_else(
        || "it has no type".to_owned(),
        |header| String::from_utf8_lossy(&header.value).into_owned(),
    )
}
