//! [`TsMsg`], the trait of all messages.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;

use bytes::BytesMut;

use super::DecodeError;
use crate::record::{Header, Meta, Record, key_header};
use crate::record::{MsgType, Timestamp};

/// The header of a message that was replicated from another cluster. Its value is the id of the
/// replication.
pub const REPLICATE_ID: &str = "replicate_id";

/// A typed value with begin and end timestamps. One message is one record.
///
/// The merge sorts messages by their [`end_ts`](Self::end_ts), the greatest timestamp of their rows.
/// For a type of your own, [`Event`](super::Event) is the simplest way. Implementing this trait is for
/// types with an encoding or rows of their own:
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
    /// Returns the message type.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// use msgstream_core::MsgType;
    /// assert_eq!(TimeTickMsg::new(Timestamp(5)).msg_type(), MsgType::TIME_TICK);
    /// ```
    fn msg_type(&self) -> MsgType;

    /// Returns the least timestamp in the message.
    fn begin_ts(&self) -> Timestamp;

    /// Returns the greatest timestamp in the message: the time by which the merge sorts.
    fn end_ts(&self) -> Timestamp;

    /// Sets every timestamp in the message. Only what is encoded afterwards changes.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let mut tick = TimeTickMsg::new(Timestamp(5));
    /// tick.set_ts(Timestamp(9));
    /// assert_eq!(tick.end_ts(), Timestamp(9));
    /// ```
    fn set_ts(&mut self, ts: Timestamp);

    /// Returns the id, 0 if the type has none.
    fn msg_id(&self) -> i64 {
        0
    }

    /// Returns the virtual channel, empty if there is none.
    fn vchannel(&self) -> &str {
        ""
    }

    /// Returns the collection, 0 if there is none.
    fn collection_id(&self) -> i64 {
        0
    }

    /// Returns the id of the replication that the message came through; `None` if it wasn't
    /// replicated. The record has it in the header [`REPLICATE_ID`](crate::message::REPLICATE_ID) too,
    /// as in Milvus.
    fn replicate_id(&self) -> Option<&str> {
        None
    }

    /// Returns the key of the message's record, for other programs that choose a partition by it or
    /// compact the log, see [`Record::with_key`]; `None` if it has none.
    ///
    /// It isn't part of what [`marshal`](Self::marshal) writes.
    fn key(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    /// Returns the hash keys that decide which channel the message goes to: one for each row if it has
    /// rows, else one. Repacks by hash key refuse a message without any.
    fn hash_keys(&self) -> &[u32] {
        &[]
    }

    /// Returns the length of what [`marshal`](Self::marshal) writes, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the encoded message.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let tick = TimeTickMsg::new(Timestamp(5));
    /// let mut buf = BytesMut::new();
    /// tick.marshal(&mut buf);
    /// assert_eq!(buf.len(), tick.encoded_len());
    /// ```
    fn marshal(&self, buf: &mut BytesMut);
}

impl dyn TsMsg {
    /// Returns the message as a concrete type; `None` if it has another.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let message: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)));
    /// assert!(message.downcast_ref::<TimeTickMsg>().is_some());
    /// ```
    #[must_use]
    pub fn downcast_ref<M: TsMsg>(&self) -> Option<&M> {
        (self as &dyn Any).downcast_ref()
    }

    /// Converts the message to a concrete type.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let message: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)));
    /// let tick = message.downcast::<TimeTickMsg>().unwrap();
    /// assert_eq!(tick.body().base.as_ref().unwrap().timestamp, 5);
    /// ```
    ///
    /// # Errors
    /// Returns the message, unchanged, if it has another type.
    pub fn downcast<M: TsMsg>(self: Box<Self>) -> Result<Box<M>, Box<Self>> {
        if (&*self as &dyn Any).is::<M>() {
            let any: Box<dyn Any> = self;
            // The type was just checked; `Err` can't come.
            return any.downcast().map_err(|_| unreachable!("checked above"));
        }
        Err(self)
    }

    /// Returns the metadata of the message's record.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let tick: &dyn TsMsg = &TimeTickMsg::new(Timestamp(5));
    /// assert_eq!(tick.meta().timestamp, Timestamp(5));
    /// ```
    #[must_use]
    pub fn meta(&self) -> Meta {
        let mut meta = Meta::new(self.msg_type(), self.end_ts());
        meta.msg_id = self.msg_id();
        meta.collection_id = self.collection_id();
        meta.vchannel = Some(self.vchannel()).filter(|v| !v.is_empty()).map(Into::into);
        meta
    }

    /// Returns the headers beside the metadata: of a message that was replicated, and of one with a key.
    pub(crate) fn extra(&self) -> impl Iterator<Item = Header> {
        let replicate_id = self.replicate_id().map(|id| Header::new(REPLICATE_ID, id.to_owned()));
        let key = self.key().map(|key| key_header(key.into_owned()));
        replicate_id.into_iter().chain(key)
    }

    /// Encodes the message as a record.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// let tick: &dyn TsMsg = &TimeTickMsg::new(Timestamp(5));
    /// let record = tick.to_record();
    /// assert_eq!(record.payload.len(), tick.encoded_len());
    /// ```
    #[must_use]
    pub fn to_record(&self) -> Record {
        let mut buf = BytesMut::with_capacity(self.encoded_len());
        self.marshal(&mut buf);
        let mut record = Record::new(self.meta(), buf.freeze());
        record.extra.extend(self.extra());
        record
    }
}

/// A message type that can be decoded from a record. See [`TsMsg`] for an implementation.
pub trait Unmarshal: TsMsg + Sized {
    /// The type of the records of this message, unless it is registered under another one.
    const MSG_TYPE: MsgType;

    /// Decodes a record.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, Unmarshal, message::TimeTickMsg};
    /// let tick = TimeTickMsg::new(Timestamp(5));
    /// let record = (&tick as &dyn TsMsg).to_record();
    /// assert_eq!(TimeTickMsg::unmarshal(&record)?, tick);
    /// # Ok::<(), msgstream_core::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if the payload isn't one of this type.
    fn unmarshal(record: &Record) -> Result<Self, DecodeError>;
}
