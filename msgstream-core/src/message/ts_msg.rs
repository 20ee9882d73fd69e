//! The trait of all messages.

use std::any::Any;
use std::fmt::Debug;

use bytes::BytesMut;

use super::DecodeError;
use crate::record::{Header, Meta, Record};
use crate::record::{MsgType, Timestamp};

/// The header of a message that came through a replication, with that one's id.
pub const REPLICATE_ID: &str = "replicate_id";

/// A typed value with begin and end timestamps. One message is one record.
///
/// A message's time in the merge is its [`end_ts`](Self::end_ts): the greatest timestamp of its
/// rows. For a type of your own, [`SerdeMsg`](super::SerdeMsg) does all of this for any `serde`
/// value; implementing the trait takes a few lines:
///
/// ```
/// use bytes::{BufMut, BytesMut};
/// use msgstream_core::{DecodeError, MsgType, Timestamp, TsMsg, Unmarshal, record::Record};
///
/// #[derive(Debug)]
/// struct Price { at: Timestamp, cents: u64 }
///
/// impl TsMsg for Price {
///     fn msg_type(&self) -> MsgType { MsgType(70_001) }
///     fn begin_ts(&self) -> Timestamp { self.at }
///     fn end_ts(&self) -> Timestamp { self.at }
///     fn set_ts(&mut self, ts: Timestamp) { self.at = ts }
///     fn encoded_len(&self) -> usize { 8 }
///     fn marshal(&self, buf: &mut BytesMut) { buf.put_u64(self.cents) }
/// }
///
/// impl Unmarshal for Price {
///     const MSG_TYPE: MsgType = MsgType(70_001);
///     fn unmarshal(record: &Record) -> Result<Self, DecodeError> {
///         let cents = record.payload.as_ref().try_into().map_err(DecodeError::corrupt)?;
///         Ok(Self { at: record.meta.timestamp, cents: u64::from_be_bytes(cents) })
///     }
/// }
/// ```
pub trait TsMsg: Any + Debug + Send + Sync {
    /// The type.
    fn msg_type(&self) -> MsgType;

    /// The least timestamp in the message.
    fn begin_ts(&self) -> Timestamp;

    /// The greatest timestamp in the message: the time that the merge goes by.
    fn end_ts(&self) -> Timestamp;

    /// Stamps the message: every timestamp in it becomes `ts`. Takes effect in what is encoded
    /// afterwards.
    fn set_ts(&mut self, ts: Timestamp);

    /// The id, 0 where the type has none.
    fn msg_id(&self) -> i64 {
        0
    }

    /// The virtual channel, empty where there is none.
    fn vchannel(&self) -> &str {
        ""
    }

    /// The collection, 0 where there is none.
    fn collection_id(&self) -> i64 {
        0
    }

    /// The replication that the message came through, `None` where it came through none. It is
    /// written as the header [`REPLICATE_ID`](crate::message::REPLICATE_ID) too, as Milvus does.
    fn replicate_id(&self) -> Option<&str> {
        None
    }

    /// The hash keys that decide which channel the message goes to: one for each row where it has
    /// rows, else one. Empty where the message has none, which a hashing repack refuses.
    fn hash_keys(&self) -> &[u32] {
        &[]
    }

    /// The length of what [`marshal`](Self::marshal) writes, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the encoded message.
    fn marshal(&self, buf: &mut BytesMut);
}

impl dyn TsMsg {
    /// The message as a concrete type, where it is one.
    #[must_use]
    pub fn downcast_ref<M: TsMsg>(&self) -> Option<&M> {
        (self as &dyn Any).downcast_ref()
    }

    /// The message as a concrete type, or itself where it is another.
    ///
    /// # Errors
    /// The message, unchanged.
    pub fn downcast<M: TsMsg>(self: Box<Self>) -> Result<Box<M>, Box<Self>> {
        if (&*self as &dyn Any).is::<M>() {
            let any: Box<dyn Any> = self;
            // The type was just checked; `Err` can't come.
            return any.downcast().map_err(|_| unreachable!("checked above"));
        }
        Err(self)
    }

    /// The metadata of the record that this message becomes.
    #[must_use]
    pub fn meta(&self) -> Meta {
        let mut meta = Meta::new(self.msg_type(), self.end_ts());
        meta.msg_id = self.msg_id();
        meta.collection_id = self.collection_id();
        meta.vchannel = Some(self.vchannel()).filter(|v| !v.is_empty()).map(Into::into);
        meta
    }

    /// The header of a message that was replicated.
    pub(crate) fn replicate_header(&self) -> Option<Header> {
        self.replicate_id().map(|id| Header::new(REPLICATE_ID, id.to_owned()))
    }

    /// The record that this message becomes.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let mut buf = BytesMut::with_capacity(self.encoded_len());
        self.marshal(&mut buf);
        let mut record = Record::new(self.meta(), buf.freeze());
        record.extra.extend(self.replicate_header());
        record
    }
}

/// A message type that can be read back from a record.
pub trait Unmarshal: TsMsg + Sized {
    /// The type that records of this message have, unless it is registered under another.
    const MSG_TYPE: MsgType;

    /// Decodes a record.
    ///
    /// # Errors
    /// [`DecodeError`] for a payload that isn't one of this type.
    fn unmarshal(record: &Record) -> Result<Self, DecodeError>;
}
