//! Sends a program's own types as messages: [`Event`] and its codecs.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Debug;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::proto::{Envelope, MsgBase};
use super::{DecodeError, TsMsg, Unmarshal};
use crate::record::{Meta, MsgType, Record, Timestamp};

/// A type of your own that can be sent and decoded.
///
/// It names its message type, how it is encoded, when it happened, and what it belongs to: events
/// with the same hash key go to the same channel.
///
/// ```
/// use msgstream_core::message::{Event, Json, hash_str};
/// use msgstream_core::{MsgPack, MsgType, Timestamp};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Order { customer: String, cents: u64, at: Timestamp }
///
/// impl Event for Order {
///     const TYPE: MsgType = MsgType(70_001);
///     type Codec = Json;
///     fn timestamp(&self) -> Timestamp { self.at }
///     fn hash_key(&self) -> u32 { hash_str(&self.customer) }
/// }
///
/// let order = Order { customer: "ann".to_owned(), cents: 250, at: Timestamp(7) };
/// let pack = MsgPack::of(order)?;
/// assert_eq!(pack.end_ts, Timestamp(7));
/// # Ok::<(), msgstream_core::message::EncodeError>(())
/// ```
///
/// For a type without a time of its own, see [`SerdeMsg`](super::SerdeMsg).
pub trait Event: Sized + Debug + Send + Sync + 'static {
    /// The type of its messages: a number of your choice.
    const TYPE: MsgType;

    /// How it is encoded: [`Json`] for a `serde` type, [`Proto`] for a prost message, or a codec of
    /// your own.
    type Codec: Codec<Self>;

    /// Returns when it happened: the time by which the merge sorts.
    fn timestamp(&self) -> Timestamp;

    /// Returns the key that decides which channel it goes to.
    fn hash_key(&self) -> u32;

    /// Returns the key of its record, for other programs that choose a partition by it or compact the
    /// log, see [`Record::with_key`]; `None`, as by default, if it has none.
    fn key(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// Encodes and decodes values of a type.
///
/// ```
/// use bytes::Bytes;
/// use msgstream_core::message::{Codec, EncodeError};
/// use msgstream_core::DecodeError;
///
/// struct BigEndian;
///
/// impl Codec<u64> for BigEndian {
///     fn encode(value: &u64) -> Result<Bytes, EncodeError> {
///         Ok(Bytes::copy_from_slice(&value.to_be_bytes()))
///     }
///     fn decode(bytes: Bytes) -> Result<u64, DecodeError> {
///         bytes.as_ref().try_into().map(u64::from_be_bytes).map_err(DecodeError::corrupt)
///     }
/// }
///
/// assert_eq!(BigEndian::decode(BigEndian::encode(&7)?)?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec<T>: Send + Sync + 'static {
    /// If true, the encoded value is put into a protobuf envelope, in which readers find the message's
    /// type, id and time if headers are missing. False by default: the payload is the encoded value.
    const ENVELOPE: bool = false;

    /// Encodes a value.
    ///
    /// # Errors
    /// Fails if the value can't be encoded.
    fn encode(value: &T) -> Result<Bytes, EncodeError>;

    /// Decodes a value.
    ///
    /// # Errors
    /// Fails with [`DecodeError::Corrupt`] if the bytes are no value.
    fn decode(bytes: Bytes) -> Result<T, DecodeError>;
}

/// A value can't be encoded, so nothing was sent.
///
/// ```
/// use std::error::Error;
/// use msgstream_core::{MsgType, message::EncodeError};
/// let error = EncodeError::new(MsgType(70_001), "the price is not a number");
/// assert_eq!(error.source().unwrap().to_string(), "the price is not a number");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("a message of type {msg_type} can't be encoded, so nothing was sent: mend the value")]
#[non_exhaustive]
pub struct EncodeError {
    /// The type of the message.
    pub msg_type: MsgType,
    /// Why it can't be encoded.
    pub source: Box<dyn StdError + Send + Sync>,
}

impl EncodeError {
    /// Returns the error of a message type, with the error of its encoder.
    ///
    /// ```
    /// use msgstream_core::{MsgType, message::EncodeError};
    /// let error = EncodeError::new(MsgType(70_001), "the price is not a number");
    /// assert_eq!(error.msg_type, MsgType(70_001));
    /// ```
    pub fn new(msg_type: MsgType, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { msg_type, source: source.into() }
    }
}

/// Encodes a `serde` type as JSON, in a protobuf envelope. See [`Event`].
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl<T: Event + Serialize + DeserializeOwned> Codec<T> for Json {
    const ENVELOPE: bool = true;

    fn encode(value: &T) -> Result<Bytes, EncodeError> {
        let json = serde_json::to_vec(value);
        json.map(Bytes::from).map_err(|error| EncodeError::new(T::TYPE, error))
    }

    fn decode(bytes: Bytes) -> Result<T, DecodeError> {
        serde_json::from_slice(&bytes).map_err(DecodeError::corrupt)
    }
}

/// Encodes a prost message as protobuf, without an envelope.
///
/// ```
/// use msgstream_core::message::{Event, Proto};
/// use msgstream_core::{MsgPack, MsgType, Timestamp};
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Price {
///     #[prost(uint64, tag = "1")]
///     at: u64,
///     #[prost(uint64, tag = "2")]
///     cents: u64,
/// }
///
/// impl Event for Price {
///     const TYPE: MsgType = MsgType(70_002);
///     type Codec = Proto;
///     fn timestamp(&self) -> Timestamp { Timestamp(self.at) }
///     fn hash_key(&self) -> u32 { 0 }
/// }
///
/// assert_eq!(MsgPack::of(Price { at: 7, cents: 99 })?.msgs.len(), 1);
/// # Ok::<(), msgstream_core::message::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Proto;

impl<T: Event + prost::Message + Default> Codec<T> for Proto {
    fn encode(value: &T) -> Result<Bytes, EncodeError> {
        Ok(value.encode_to_vec().into())
    }

    fn decode(bytes: Bytes) -> Result<T, DecodeError> {
        T::decode(bytes).map_err(DecodeError::corrupt)
    }
}

/// An [`Event`] as a message, for APIs that take any message: a dispatcher, or a pack of several
/// types.
///
/// ```
/// # use msgstream_core::message::{Event, Json};
/// use msgstream_core::message::EventMsg;
/// use msgstream_core::{MsgType, Timestamp, UnmarshalDispatcher};
/// # #[derive(Debug, serde::Serialize, serde::Deserialize)]
/// # struct Order { at: Timestamp }
/// # impl Event for Order {
/// #     const TYPE: MsgType = MsgType(70_001);
/// #     type Codec = Json;
/// #     fn timestamp(&self) -> Timestamp { self.at }
/// #     fn hash_key(&self) -> u32 { 0 }
/// # }
///
/// let mut dispatcher = UnmarshalDispatcher::new();
/// dispatcher.add_msg_template::<EventMsg<Order>>();
/// assert!(dispatcher.knows(Order::TYPE));
/// ```
#[derive(Debug)]
pub struct EventMsg<E> {
    value: E,
    meta: Meta,
    /// The encoded value. It is encoded early, so that a value that can't be is refused early.
    body: Bytes,
    hash_key: [u32; 1],
}

impl<E: Event> EventMsg<E> {
    /// Returns the message of an event.
    ///
    /// # Errors
    /// Fails if the event can't be encoded.
    pub fn new(value: E) -> Result<Self, EncodeError> {
        let body = E::Codec::encode(&value)?;
        let meta = Meta::new(E::TYPE, value.timestamp());
        Ok(Self { hash_key: [value.hash_key()], meta, body, value })
    }

    /// Returns the event.
    #[must_use]
    pub const fn value(&self) -> &E {
        &self.value
    }

    /// Converts the message back into the event.
    #[must_use]
    pub fn into_value(self) -> E {
        self.value
    }

    fn envelope(&self) -> Envelope {
        Envelope { base: Some(MsgBase::of(&self.meta)), json: self.body.clone() }
    }
}

impl<E: Event> TsMsg for EventMsg<E> {
    fn msg_type(&self) -> MsgType {
        self.meta.msg_type
    }

    fn begin_ts(&self) -> Timestamp {
        self.meta.timestamp
    }

    fn end_ts(&self) -> Timestamp {
        self.meta.timestamp
    }

    fn set_ts(&mut self, ts: Timestamp) {
        self.meta.timestamp = ts;
    }

    fn msg_id(&self) -> i64 {
        self.meta.msg_id
    }

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        self.value.key()
    }

    fn hash_keys(&self) -> &[u32] {
        &self.hash_key
    }

    fn encoded_len(&self) -> usize {
        match E::Codec::ENVELOPE {
            true => self.envelope().encoded_len(),
            false => self.body.len(),
        }
    }

    fn marshal(&self, buf: &mut BytesMut) {
        match E::Codec::ENVELOPE {
            true => self.envelope().encode_raw(buf),
            false => buf.put_slice(&self.body),
        }
    }
}

impl<E: Event> Unmarshal for EventMsg<E> {
    const MSG_TYPE: MsgType = E::TYPE;

    fn unmarshal(record: &Record) -> Result<Self, DecodeError> {
        let payload = record.payload.clone();
        let body = match E::Codec::ENVELOPE {
            true => Envelope::decode(payload).map_err(DecodeError::corrupt)?.json,
            false => payload,
        };
        let value = E::Codec::decode(body.clone())?;
        Ok(Self { hash_key: [value.hash_key()], meta: record.meta.clone(), body, value })
    }
}

#[cfg(test)]
mod tests;
