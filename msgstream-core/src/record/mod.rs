//! What a log holds: records, with their times, types and positions.

mod end;
mod key;
mod msg_type;
mod position;
mod sent;
mod stamp;
mod timestamp;
mod unreadable;

use std::sync::Arc;

use bytes::Bytes;
use thin_vec::ThinVec;

pub use self::end::END_HEADER;
pub(crate) use self::end::is_end;
pub use self::key::KEY_HEADER;
pub(crate) use self::key::key_header;
pub use self::msg_type::{MsgType, MsgTypeNames};
pub use self::position::{Incarnation, Position, PositionError};
pub use self::sent::SENT_HEADER;
pub(crate) use self::sent::sent_ahead;
pub use self::stamp::{Origin, Stamp, StampError};
pub(crate) use self::stamp::{is_numbered, is_producer_id};
pub use self::timestamp::{Timestamp, TimestampError};
pub use self::unreadable::unreadable;
pub(crate) use self::unreadable::unreadable_reason;

/// What a shared value costs beside its contents, in bytes: its reference counts, and what allocators
/// add.
const SHARED: usize = 4 * size_of::<usize>();

/// A record: a payload, typed metadata, further headers and, once it is stored, a position.
///
/// ```
/// use msgstream_core::{MsgType, Timestamp, record::{Meta, Record}};
/// let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), b"payload".as_slice());
/// assert_eq!(record.meta.timestamp, Timestamp(7));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Where the record stands in its channel. It means nothing before the record is written.
    pub position: Position,
    /// The metadata that every record has.
    pub meta: Meta,
    /// Headers that are not part of [`Meta`], in the order in which they came.
    ///
    /// Not every transport keeps their order or names that repeat. If a broker has one value for each
    /// name, a repeated name is refused with
    /// [`InvalidHeader`](crate::transport::TransportErrorKind::InvalidHeader).
    pub extra: Headers,
    /// The message, encoded.
    pub payload: Bytes,
}

impl Record {
    /// What a record costs in memory beside its payload and extra headers, in bytes: the record
    /// itself, its place in a merge's queues, and what allocators add.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// assert_eq!(Record::default().footprint(), Record::OVERHEAD);
    /// ```
    pub const OVERHEAD: usize = size_of::<Self>() + 96;

    /// Returns a record to write.
    ///
    /// ```
    /// use msgstream_core::record::{Meta, Record};
    /// use msgstream_core::{MsgType, Timestamp};
    /// let record = Record::new(Meta::new(MsgType(70_001), Timestamp(7)), "payload");
    /// assert_eq!(record.payload, "payload");
    /// ```
    #[must_use]
    pub fn new(meta: Meta, payload: impl Into<Bytes>) -> Self {
        Self { position: Position::default(), meta, extra: Headers::new(), payload: payload.into() }
    }

    /// Returns what the record costs in memory, in bytes. Byte limits and budgets count in this unit.
    ///
    /// It is an upper bound: the names of virtual channels and sessions, which records may share,
    /// count for each record, because readers make them anew for each.
    ///
    /// ```
    /// use msgstream_core::record::{Meta, Record};
    /// let record = Record::new(Meta::default(), "payload");
    /// assert_eq!(record.footprint(), Record::OVERHEAD + 7);
    /// ```
    #[must_use]
    #[inline]
    pub fn footprint(&self) -> usize {
        let extra: usize = self.extra.iter().map(Header::footprint).sum();
        Self::OVERHEAD + self.payload.len() + extra + self.meta.footprint()
    }

    /// Returns whether the record is a time tick of the channel that it was read from, an end or a
    /// session's control record among them.
    ///
    /// One with a virtual channel isn't: it speaks for that part of the channel alone.
    ///
    /// ```
    /// use msgstream_core::record::{Meta, Record};
    /// use msgstream_core::{MsgType, Timestamp};
    /// let mut tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), "");
    /// assert!(tick.is_tick());
    /// tick.meta.vchannel = Some("dml_3_42v0".into());
    /// assert!(!tick.is_tick());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_tick(&self) -> bool {
        self.meta.msg_type == MsgType::TIME_TICK && self.meta.vchannel.is_none()
    }

    /// Returns the value of the first extra header of this name.
    ///
    /// ```
    /// use msgstream_core::record::{Header, Record};
    /// let mut record = Record::default();
    /// record.extra.push(Header::new("owner", "billing"));
    /// assert_eq!(record.header("owner").unwrap(), "billing");
    /// assert_eq!(record.header("color"), None);
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.extra.iter().find(|h| &*h.name == name).map(|h| &h.value)
    }
}

/// The metadata of a record. Brokers whose headers are strings store it as strings, see
/// [`encode_headers`](crate::adapter::encode_headers); the in-process transport keeps it as it is.
///
/// ```
/// use msgstream_core::record::Meta;
/// use msgstream_core::{MsgType, Timestamp};
/// let mut meta = Meta::new(MsgType(70_001), Timestamp(7));
/// meta.vchannel = Some("orders-v0".into());
/// assert_eq!(meta.timestamp, Timestamp(7));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The type of the message.
    pub msg_type: MsgType,
    /// The message's id. It must be unique if Milvus reads the channel, because Milvus drops messages
    /// with equal ids.
    pub msg_id: i64,
    /// The time by which the merge sorts.
    pub timestamp: Timestamp,
    /// The collection that the message belongs to, 0 if there is none.
    pub collection_id: i64,
    /// The virtual channel; `None` if it is empty.
    pub vchannel: Option<Arc<str>>,
    /// The stamp of the session that wrote it; `None` if no session did.
    pub stamp: Option<Stamp>,
}

impl Meta {
    /// Returns metadata with a type and a time, and nothing else.
    ///
    /// ```
    /// use msgstream_core::record::Meta;
    /// use msgstream_core::{MsgType, Timestamp};
    /// assert_eq!(Meta::new(MsgType::INSERT, Timestamp(7)).stamp, None);
    /// ```
    #[must_use]
    pub const fn new(msg_type: MsgType, timestamp: Timestamp) -> Self {
        Self { msg_type, msg_id: 0, timestamp, collection_id: 0, vchannel: None, stamp: None }
    }

    /// Returns what it costs beside its own size, in bytes.
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

/// Headers that are not part of [`Meta`]: a vector that takes one word if it is empty, as it mostly
/// is.
///
/// ```
/// use msgstream_core::record::{Header, Headers};
/// let headers: Headers = [Header::new("owner", "billing")].into();
/// assert_eq!(headers.len(), 1);
/// ```
pub type Headers = ThinVec<Header>;

/// A header that is not part of [`Meta`].
///
/// ```
/// use msgstream_core::record::Header;
/// let header = Header::new("owner", "billing");
/// assert_eq!((&*header.name, &header.value[..]), ("owner", b"billing".as_slice()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The name.
    pub name: Arc<str>,
    /// The value: any bytes if the transport has the capability `binary_headers`, else text.
    pub value: Bytes,
}

impl Header {
    /// Returns a header.
    ///
    /// ```
    /// use msgstream_core::record::Header;
    /// assert_eq!(Header::new("owner", "billing").text(), Ok("billing"));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    fn footprint(&self) -> usize {
        size_of::<Self>() + 2 * SHARED + self.name.len() + self.value.len()
    }
}

#[cfg(test)]
mod tests;
