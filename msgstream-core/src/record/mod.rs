//! What a log holds: records, with their times, types and places. It knows no other room.

mod end;
mod msg_type;
mod position;
mod stamp;
mod timestamp;
mod unreadable;

use std::sync::Arc;

use bytes::Bytes;
use thin_vec::ThinVec;

pub use self::end::END_HEADER;
pub(crate) use self::end::is_end;
pub use self::msg_type::{MsgType, MsgTypeNames};
pub use self::position::{Incarnation, Position, PositionError};
pub(crate) use self::stamp::is_producer_id;
pub use self::stamp::{Origin, Stamp, StampError};
pub use self::timestamp::{Timestamp, TimestampError};
pub use self::unreadable::unreadable;
pub(crate) use self::unreadable::unreadable_reason;

/// What something that is shared costs beside its contents, in bytes: its counts, and what allocators
/// add.
const SHARED: usize = 4 * size_of::<usize>();

/// A record: payload, typed metadata, further headers and, once it is stored, its position.
///
/// ```
/// use msgstream_core::{MsgType, Timestamp, record::{Meta, Record}};
/// let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), b"payload".as_slice());
/// assert_eq!(record.meta.timestamp, Timestamp(7));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Where the record stands in its channel. Meaningless before it is written.
    pub position: Position,
    /// The metadata that every record has.
    pub meta: Meta,
    /// Headers that are not part of [`Meta`], in the order in which they came.
    ///
    /// Neither their order nor names that repeat need survive on every transport. Where a broker
    /// has one value for a name, a repeated one is refused with
    /// [`InvalidHeader`](super::TransportErrorKind::InvalidHeader).
    pub extra: Headers,
    /// The message, encoded.
    pub payload: Bytes,
}

impl Record {
    /// What a record costs in memory beside its payload and extra headers, in bytes: the record
    /// itself, its place in a merge's queues, and what allocators add.
    pub const OVERHEAD: usize = size_of::<Self>() + 96;

    /// A record that is still to be written.
    #[must_use]
    pub fn new(meta: Meta, payload: impl Into<Bytes>) -> Self {
        Self { position: Position::default(), meta, extra: Headers::new(), payload: payload.into() }
    }

    /// What the record costs in memory, in bytes. Byte limits and budgets count in this unit.
    ///
    /// It is an upper bound: what records may share, such as the names of virtual channels and
    /// sessions, counts for each of them, for readers make it anew for each.
    #[must_use]
    #[inline]
    pub fn footprint(&self) -> usize {
        let extra: usize = self.extra.iter().map(Header::footprint).sum();
        Self::OVERHEAD + self.payload.len() + extra + self.meta.footprint()
    }

    /// The first extra header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.extra.iter().find(|h| &*h.name == name).map(|h| &h.value)
    }
}

/// The metadata of a record. Transports that have only strings for headers make strings of it,
/// see [`wire`](crate::wire); the in-process transport passes it on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The type of the message.
    pub msg_type: MsgType,
    /// The message's id, unique where a reader of Milvus is to take it: Milvus drops equal ids.
    pub msg_id: i64,
    /// The time that the merge goes by.
    pub timestamp: Timestamp,
    /// The collection that the message belongs to, 0 where there is none.
    pub collection_id: i64,
    /// The virtual channel; `None` where it is empty.
    pub vchannel: Option<Arc<str>>,
    /// The session that wrote it; `None` where no session did.
    pub stamp: Option<Stamp>,
}

impl Meta {
    /// Metadata with a type and a time, and nothing else.
    #[must_use]
    pub const fn new(msg_type: MsgType, timestamp: Timestamp) -> Self {
        Self { msg_type, msg_id: 0, timestamp, collection_id: 0, vchannel: None, stamp: None }
    }

    /// What it costs beside itself, in bytes.
    #[inline]
    fn footprint(&self) -> usize {
        let vchannel = self.vchannel.as_ref().map_or(0, |name| SHARED + name.len());
        let stamp = self
            .stamp
            .as_ref()
            .map_or(0, |stamp| size_of::<Origin>() + 2 * SHARED + stamp.origin.producer.len());
        vchannel + stamp
    }
}

/// Headers that are not part of [`Meta`]: a vector that takes one word where it is empty, as it
/// mostly is.
pub type Headers = ThinVec<Header>;

/// A header that is not part of [`Meta`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Its name.
    pub name: Arc<str>,
    /// Its value: any bytes where the transport has the capability `binary_headers`, else text.
    pub value: Bytes,
}

impl Header {
    /// A header.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    fn footprint(&self) -> usize {
        size_of::<Self>() + 2 * SHARED + self.name.len() + self.value.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A record is copied and moved for each message: two cache lines, not three.
    #[test]
    fn a_record_is_two_cache_lines() {
        assert_eq!(size_of::<Record>(), 128);
    }

    #[test]
    fn all_that_a_record_holds_counts() {
        let plain = Record::default().footprint();
        let grows = |change: fn(&mut Record, &str)| {
            ["x", &"x".repeat(1_000)].map(|name| {
                let mut record = Record::default();
                change(&mut record, name);
                record.footprint() - plain
            })
        };
        for [short, long] in [
            grows(|record, name| record.meta.vchannel = Some(name.into())),
            grows(|record, name| {
                let origin = Origin { producer: name.into(), epoch: Position::default() };
                record.meta.stamp = Some(Stamp { origin: origin.into(), seq: 1 });
            }),
            grows(|record, name| record.extra.push(Header::new(name, ""))),
            grows(|record, name| record.extra.push(Header::new("", name.to_owned()))),
            grows(|record, name| record.payload = name.to_owned().into()),
        ] {
            assert!(short > 0 && long == short + 999, "{short} {long}");
        }
    }
}
