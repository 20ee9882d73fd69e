//! Sends any protobuf struct that begins with a [`MsgBase`] as a message.

use std::fmt::Debug;

use bytes::BytesMut;

use crate::message::proto::MsgBase;
use crate::message::{DecodeError, TsMsg, Unmarshal};
use crate::record::Record;
use crate::record::{MsgType, Timestamp};

/// A protobuf struct whose first field is a [`MsgBase`], of which [`ProtoMsg`] makes a message.
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
    /// The message type.
    const MSG_TYPE: MsgType;

    /// Returns the first field.
    fn base(&self) -> &Option<MsgBase>;

    /// Returns the first field, to change it.
    fn base_mut(&mut self) -> &mut Option<MsgBase>;

    /// Returns the timestamp of each row, if the message has rows.
    fn row_timestamps(&self) -> &[u64] {
        &[]
    }

    /// Returns the timestamp of each row, to change it.
    fn row_timestamps_mut(&mut self) -> &mut [u64] {
        &mut []
    }

    /// Returns the virtual channel, empty if there is none.
    fn vchannel(&self) -> &str {
        ""
    }

    /// Returns the collection, 0 if there is none.
    fn collection_id(&self) -> i64 {
        0
    }

    /// Checks that the parts of the message fit together. Decoding fails if they don't.
    ///
    /// ```
    /// use msgstream_core::message::{MsgBody, proto::InsertRequest};
    /// let request = InsertRequest { timestamps: vec![7], row_ids: vec![1, 2], ..Default::default() };
    /// assert!(request.check().is_err());
    /// ```
    ///
    /// # Errors
    /// Fails with [`DecodeError::Inconsistent`].
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A protobuf struct with a [`MsgBase`] as a message. All built-in messages are this.
///
/// The struct's `base` is kept up to date: it has the message's type, and the greatest row timestamp
/// if there are rows. A message that was decoded stays as it was written until
/// [`set_ts`](TsMsg::set_ts) is called.
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
    /// Returns the message of a struct. Adds the base if it is missing, and updates it from the rows.
    ///
    /// ```
    /// use msgstream_core::message::{InsertMsg, proto::InsertRequest};
    /// let insert = InsertMsg::new(InsertRequest { timestamps: vec![7], ..Default::default() });
    /// assert_eq!(insert.body().base.as_ref().unwrap().timestamp, 7);
    /// ```
    #[must_use]
    pub fn new(body: impl Into<B>) -> Self {
        let mut body = body.into();
        let newest = body.row_timestamps().iter().copied().max();
        let base = body.base_mut().get_or_insert_default();
        base.msg_type = B::MSG_TYPE.0;
        base.timestamp = newest.unwrap_or(base.timestamp);
        Self { body, msg_type: B::MSG_TYPE, hash_keys: Vec::new() }
    }

    /// Sets the hash keys: one for each row if the message has rows, else one. They aren't encoded.
    ///
    /// ```
    /// use msgstream_core::TsMsg;
    /// use msgstream_core::message::{InsertMsg, proto::InsertRequest};
    /// let request = InsertRequest { timestamps: vec![7, 8], ..Default::default() };
    /// assert_eq!(InsertMsg::new(request).with_hash_keys([1, 2]).hash_keys(), [1, 2]);
    /// ```
    #[must_use]
    pub fn with_hash_keys(mut self, hash_keys: impl Into<Vec<u32>>) -> Self {
        self.hash_keys = hash_keys.into();
        self
    }

    /// Sets the id.
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

    /// Sets the message type, for a program that uses another number for it. Register such a message
    /// with [`add_msg_template_as`](crate::UnmarshalDispatcher::add_msg_template_as).
    ///
    /// ```
    /// use msgstream_core::{MsgType, Timestamp, TsMsg, message::TimeTickMsg};
    /// let tick = TimeTickMsg::new(Timestamp(5)).with_msg_type(MsgType(70_001));
    /// assert_eq!(tick.msg_type(), MsgType(70_001));
    /// ```
    #[must_use]
    pub fn with_msg_type(mut self, msg_type: MsgType) -> Self {
        self.msg_type = msg_type;
        self.body.base_mut().get_or_insert_default().msg_type = msg_type.0;
        self
    }

    /// Returns the protobuf struct.
    ///
    /// ```
    /// use msgstream_core::message::{InsertMsg, proto::InsertRequest};
    /// let insert = InsertMsg::new(InsertRequest { row_ids: vec![4], ..Default::default() });
    /// assert_eq!(insert.body().row_ids, [4]);
    /// ```
    #[must_use]
    pub const fn body(&self) -> &B {
        &self.body
    }

    /// Converts the message back into the protobuf struct.
    ///
    /// ```
    /// use msgstream_core::message::{InsertMsg, proto::InsertRequest};
    /// let insert = InsertMsg::new(InsertRequest { row_ids: vec![4], ..Default::default() });
    /// assert_eq!(insert.into_body().row_ids, [4]);
    /// ```
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
        // Not `encode`, which computes the length once more to check the room that a `BytesMut` always
        // has.
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
        // Without a base the message would be at time 0, before every time tick.
        msg.body.base_mut().get_or_insert_with(|| MsgBase::of(&record.meta));
        Ok(msg)
    }
}
