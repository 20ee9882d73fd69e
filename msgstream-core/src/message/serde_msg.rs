//! Sends any `serde` type as a message.

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::proto::{Envelope, MsgBase};
use super::{DecodeError, TsMsg, Unmarshal};
use crate::record::Record;
use crate::record::{MsgType, Timestamp};

/// A `serde` type that [`SerdeMsg`] makes a message of. It only names its message type.
///
/// [`Event`](super::Event) is simpler for types that know their own time.
pub trait SerdeBody: Serialize + DeserializeOwned + Debug + Send + Sync + 'static {
    /// The message type: a number of your choice.
    const MSG_TYPE: MsgType;
}

/// A `serde` value as a message: JSON in a protobuf envelope, in which readers find the type, the id
/// and the time if headers are missing.
///
/// ```
/// use msgstream_core::message::{SerdeBody, SerdeMsg};
/// use msgstream_core::message::hash_str;
/// use msgstream_core::{MsgType, Timestamp, TsMsg, UnmarshalDispatcher};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Price { item: String, cents: u64 }
///
/// impl SerdeBody for Price {
///     const MSG_TYPE: MsgType = MsgType(70_001);
/// }
///
/// let mut dispatcher = UnmarshalDispatcher::new();
/// dispatcher.add_msg_template::<SerdeMsg<Price>>();
///
/// let price = Price { item: "tea".to_owned(), cents: 250 };
/// let key = hash_str(&price.item);
/// let message: Box<dyn TsMsg> =
///     Box::new(SerdeMsg::new(Timestamp(7), price)?.with_hash_keys([key]));
///
/// let read = dispatcher.unmarshal(&message.to_record())?;
/// assert_eq!(read.end_ts(), Timestamp(7));
/// let price = read.downcast_ref::<SerdeMsg<Price>>().map(SerdeMsg::value);
/// assert_eq!(price.map(|p| p.cents), Some(250));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SerdeMsg<T> {
    value: T,
    msg_type: MsgType,
    base: MsgBase,
    /// The encoded value. It is encoded early, so that a value that can't be is refused early.
    json: Bytes,
    hash_keys: Vec<u32>,
    key: Option<Bytes>,
}

impl<T: SerdeBody> SerdeMsg<T> {
    /// Returns the message of a value, with a time.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// let message = SerdeMsg::new(Timestamp(7), Price { cents: 250 })?;
    /// assert_eq!(message.value().cents, 250);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails with the error of `serde_json` if JSON can't hold the value, such as a map whose keys
    /// aren't strings.
    pub fn new(ts: Timestamp, value: T) -> Result<Self, serde_json::Error> {
        Ok(Self {
            json: serde_json::to_vec(&value)?.into(),
            value,
            msg_type: T::MSG_TYPE,
            base: MsgBase::new(T::MSG_TYPE, ts),
            hash_keys: Vec::new(),
            key: None,
        })
    }

    /// Sets the hash keys, of which [`ByHashKey`](crate::repack::ByHashKey) needs one. They aren't
    /// encoded.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// let message = SerdeMsg::new(Timestamp(7), Price { cents: 250 })?.with_hash_keys([3]);
    /// assert_eq!(message.hash_keys(), [3]);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn with_hash_keys(mut self, hash_keys: impl Into<Vec<u32>>) -> Self {
        self.hash_keys = hash_keys.into();
        self
    }

    /// Sets the key of the record, see [`Record::with_key`].
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// let message = SerdeMsg::new(Timestamp(7), Price { cents: 250 })?.with_key("tea");
    /// assert_eq!((&message as &dyn TsMsg).to_record().key().unwrap(), "tea");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the id.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TsMsg, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// let message = SerdeMsg::new(Timestamp(7), Price { cents: 250 })?.with_msg_id(8);
    /// assert_eq!(message.msg_id(), 8);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn with_msg_id(mut self, msg_id: i64) -> Self {
        self.base.msg_id = msg_id;
        self
    }

    /// Returns the value.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// assert_eq!(SerdeMsg::new(Timestamp(7), Price { cents: 250 })?.value().cents, 250);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Converts the message back into the value.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::SerdeMsg};
    /// # use msgstream_core::message::SerdeBody;
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
    /// # struct Price { cents: u64 }
    /// # impl SerdeBody for Price {
    /// #     const MSG_TYPE: msgstream_core::MsgType = msgstream_core::MsgType(70_001);
    /// # }
    /// let price = SerdeMsg::new(Timestamp(7), Price { cents: 250 })?.into_value();
    /// assert_eq!(price.cents, 250);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T: SerdeBody> TsMsg for SerdeMsg<T> {
    fn msg_type(&self) -> MsgType {
        self.msg_type
    }

    fn begin_ts(&self) -> Timestamp {
        Timestamp(self.base.timestamp)
    }

    fn end_ts(&self) -> Timestamp {
        Timestamp(self.base.timestamp)
    }

    fn set_ts(&mut self, ts: Timestamp) {
        self.base.timestamp = ts.0;
    }

    fn msg_id(&self) -> i64 {
        self.base.msg_id
    }

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        self.key.as_deref().map(Cow::Borrowed)
    }

    fn hash_keys(&self) -> &[u32] {
        &self.hash_keys
    }

    fn encoded_len(&self) -> usize {
        self.envelope().encoded_len()
    }

    fn marshal(&self, buf: &mut BytesMut) {
        self.envelope().encode_raw(buf);
    }
}

impl<T> SerdeMsg<T> {
    fn envelope(&self) -> Envelope {
        Envelope { base: Some(self.base.clone()), json: self.json.clone() }
    }
}

impl<T: SerdeBody> Unmarshal for SerdeMsg<T> {
    const MSG_TYPE: MsgType = T::MSG_TYPE;

    fn unmarshal(record: &Record) -> Result<Self, DecodeError> {
        let Envelope { base, json } =
            Envelope::decode(record.payload.clone()).map_err(DecodeError::corrupt)?;
        let value = serde_json::from_slice(&json).map_err(DecodeError::corrupt)?;
        let msg_type = record.meta.msg_type;
        let base = base.unwrap_or_else(|| MsgBase::of(&record.meta));
        let key = record.key().cloned();
        Ok(Self { value, msg_type, base, json, hash_keys: Vec::new(), key })
    }
}

#[cfg(test)]
mod tests;
