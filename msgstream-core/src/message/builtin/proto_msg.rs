//! Any protobuf struct that begins with a [`MsgBase`] as a message.

use std::fmt::Debug;

use bytes::BytesMut;

use crate::message::proto::MsgBase;
use crate::message::{DecodeError, TsMsg, Unmarshal};
use crate::record::Record;
use crate::record::{MsgType, Timestamp};

/// A protobuf struct whose first field is a [`MsgBase`]: what [`ProtoMsg`] makes a message of.
///
/// ```
/// use msgstream_core::message::proto::MsgBase;
/// use msgstream_core::message::{MsgBody, ProtoMsg};
/// use msgstream_core::{MsgType, Timestamp, TsMsg, UnmarshalDispatcher};
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Price {
///     #[prost(message, optional, tag = "1")]
///     base: Option<MsgBase>,
///     #[prost(uint64, tag = "2")]
///     cents: u64,
/// }
///
/// impl MsgBody for Price {
///     const MSG_TYPE: MsgType = MsgType(70_001);
///     fn base(&self) -> &Option<MsgBase> { &self.base }
///     fn base_mut(&mut self) -> &mut Option<MsgBase> { &mut self.base }
/// }
///
/// let mut dispatcher = UnmarshalDispatcher::new();
/// dispatcher.add_msg_template::<ProtoMsg<Price>>();
///
/// let mut price = ProtoMsg::new(Price { base: None, cents: 99 });
/// price.set_ts(Timestamp(7));
/// let message: &dyn TsMsg = &price;
/// let read = dispatcher.unmarshal(&message.to_record())?;
/// assert_eq!(read.downcast_ref::<ProtoMsg<Price>>(), Some(&price));
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
pub trait MsgBody: prost::Message + Debug + Default + 'static {
    /// The type of the message.
    const MSG_TYPE: MsgType;

    /// The first field.
    fn base(&self) -> &Option<MsgBase>;

    /// The first field, to change.
    fn base_mut(&mut self) -> &mut Option<MsgBase>;

    /// The timestamp of each row, in a message that has rows.
    fn row_timestamps(&self) -> &[u64] {
        &[]
    }

    /// The timestamp of each row, to change.
    fn row_timestamps_mut(&mut self) -> &mut [u64] {
        &mut []
    }

    /// The virtual channel, empty where there is none.
    fn vchannel(&self) -> &str {
        ""
    }

    /// The collection, 0 where there is none.
    fn collection_id(&self) -> i64 {
        0
    }

    /// Checks that the parts fit together; a message that doesn't pass can't be decoded.
    ///
    /// # Errors
    /// [`DecodeError::Inconsistent`].
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A protobuf struct with a [`MsgBase`] as a message. All built-in messages are this.
///
/// The struct's `base` is kept in step: it has the message's type, and the greatest row timestamp
/// where there are rows. Only what was decoded stays as it was written, until it is stamped.
///
/// ```
/// use msgstream_core::message::{InsertMsg, proto::InsertRequest};
/// use msgstream_core::{Timestamp, TsMsg};
///
/// let request = InsertRequest { timestamps: vec![3, 9, 5], ..Default::default() };
/// let insert = InsertMsg::new(request).with_hash_keys([10, 20, 30]);
/// assert_eq!((insert.begin_ts(), insert.end_ts()), (Timestamp(3), Timestamp(9)));
/// assert_eq!(insert.body().base.as_ref().map(|b| b.timestamp), Some(9));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ProtoMsg<B> {
    body: B,
    msg_type: MsgType,
    hash_keys: Vec<u32>,
}

impl<B: MsgBody> ProtoMsg<B> {
    /// A message. The base is added where it is missing, and brought in step with the rows.
    #[must_use]
    pub fn new(body: impl Into<B>) -> Self {
        let mut body = body.into();
        let newest = body.row_timestamps().iter().copied().max();
        let base = body.base_mut().get_or_insert_default();
        base.msg_type = B::MSG_TYPE.0;
        base.timestamp = newest.unwrap_or(base.timestamp);
        Self { body, msg_type: B::MSG_TYPE, hash_keys: Vec::new() }
    }

    /// The same with hash keys: one for each row where the message has rows, else one. They are
    /// not part of what is encoded.
    #[must_use]
    pub fn with_hash_keys(mut self, hash_keys: impl Into<Vec<u32>>) -> Self {
        self.hash_keys = hash_keys.into();
        self
    }

    /// The same with another id.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::TimeTickMsg};
    /// assert_eq!(TimeTickMsg::new(Timestamp(5)).with_msg_id(8).msg_id(), 8);
    /// ```
    #[must_use]
    pub fn with_msg_id(mut self, msg_id: i64) -> Self {
        self.body.base_mut().get_or_insert_default().msg_id = msg_id;
        self
    }

    /// The same with another type, for a program that has moved the type's number. Register such
    /// a message with
    /// [`add_msg_template_as`](crate::UnmarshalDispatcher::add_msg_template_as).
    #[must_use]
    pub fn with_msg_type(mut self, msg_type: MsgType) -> Self {
        self.msg_type = msg_type;
        self.body.base_mut().get_or_insert_default().msg_type = msg_type.0;
        self
    }

    /// The protobuf struct.
    #[must_use]
    pub const fn body(&self) -> &B {
        &self.body
    }

    /// The protobuf struct, to change and make a message of again.
    #[must_use]
    pub fn into_body(self) -> B {
        self.body
    }

    fn base_ts(&self) -> u64 {
        self.body.base().as_ref().map_or(0, |base| base.timestamp)
    }
}

impl<B: MsgBody> From<B> for ProtoMsg<B> {
    fn from(body: B) -> Self {
        Self::new(body)
    }
}

impl<B: MsgBody> TsMsg for ProtoMsg<B> {
    fn msg_type(&self) -> MsgType {
        self.msg_type
    }

    fn begin_ts(&self) -> Timestamp {
        let rows = self.body.row_timestamps().iter().copied();
        Timestamp(rows.min().unwrap_or_else(|| self.base_ts()))
    }

    fn end_ts(&self) -> Timestamp {
        let rows = self.body.row_timestamps().iter().copied();
        Timestamp(rows.max().unwrap_or_else(|| self.base_ts()))
    }

    fn set_ts(&mut self, ts: Timestamp) {
        self.body.base_mut().get_or_insert_default().timestamp = ts.0;
        self.body.row_timestamps_mut().fill(ts.0);
    }

    fn msg_id(&self) -> i64 {
        self.body.base().as_ref().map_or(0, |base| base.msg_id)
    }

    fn vchannel(&self) -> &str {
        self.body.vchannel()
    }

    fn collection_id(&self) -> i64 {
        self.body.collection_id()
    }

    fn replicate_id(&self) -> Option<&str> {
        let info = self.body.base().as_ref()?.replicate_info.as_ref()?;
        Some(&info.replicate_id)
    }

    fn hash_keys(&self) -> &[u32] {
        &self.hash_keys
    }

    fn encoded_len(&self) -> usize {
        self.body.encoded_len()
    }

    fn marshal(&self, buf: &mut BytesMut) {
        // Not `encode`, which computes the length once more to check what a `BytesMut` never lacks.
        self.body.encode_raw(buf);
    }
}

impl<B: MsgBody> Unmarshal for ProtoMsg<B> {
    const MSG_TYPE: MsgType = B::MSG_TYPE;

    fn unmarshal(record: &Record) -> Result<Self, DecodeError> {
        let msg_type = record.meta.msg_type;
        let mut msg = Self { body: B::default(), msg_type, hash_keys: Vec::new() };
        // Merged in place: `decode` moves the struct, which is large, once more.
        msg.body.merge(record.payload.clone()).map_err(DecodeError::corrupt)?;
        msg.body.check()?;
        // A message without a time of its own would be at 0, before every tick.
        msg.body.base_mut().get_or_insert_with(|| MsgBase::of(&record.meta));
        Ok(msg)
    }
}
