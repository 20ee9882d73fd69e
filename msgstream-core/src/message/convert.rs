//! What can be sent, and what a record can be decoded as.

use std::sync::Arc;

use super::event::{EncodeError, Event, EventMsg};
use super::{
    DecodeError, Message, MsgBody, MsgPack, ProtoMsg, SerdeBody, SerdeMsg, StoredMessage,
    UndecodableRecord, Unmarshal,
};
use crate::record::{MsgType, Position, Record, Timestamp};

/// What can be sent: an [`Event`], a built-in message, several of them, or a pack.
///
/// Convert a type that implements [`TsMsg`](super::TsMsg) by itself with [`Message::from`].
///
/// ```
/// use msgstream_core::message::{IntoPack, TimeTickMsg};
/// use msgstream_core::Timestamp;
/// let pack = TimeTickMsg::new(Timestamp(5)).into_pack()?;
/// assert_eq!(pack.msgs.len(), 1);
/// # Ok::<(), msgstream_core::message::EncodeError>(())
/// ```
pub trait IntoPack {
    /// Returns the pack to send.
    ///
    /// ```
    /// use msgstream_core::message::IntoPack;
    /// use msgstream_core::MsgPack;
    /// assert!(MsgPack::default().into_pack()?.msgs.is_empty());
    /// # Ok::<(), msgstream_core::message::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if a value can't be encoded.
    fn into_pack(self) -> Result<MsgPack, EncodeError>;
}

impl IntoPack for MsgPack {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Ok(self)
    }
}

impl IntoPack for Message {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Ok(MsgPack::new(vec![self]))
    }
}

impl IntoPack for Vec<Message> {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Ok(MsgPack::new(self))
    }
}

impl<E: Event> IntoPack for E {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Message::from(EventMsg::new(self)?).into_pack()
    }
}

impl<E: Event> IntoPack for Vec<E> {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        self.into_iter()
            .map(|event| Ok(EventMsg::new(event)?.into()))
            .collect::<Result<_, _>>()
            .map(MsgPack::new)
    }
}

impl<B: MsgBody> IntoPack for ProtoMsg<B> {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Message::from(self).into_pack()
    }
}

impl<T: SerdeBody> IntoPack for SerdeMsg<T> {
    fn into_pack(self) -> Result<MsgPack, EncodeError> {
        Message::from(self).into_pack()
    }
}

/// What a record can be decoded as: an [`Event`], a built-in message, or a [view](super::view) of one,
/// which borrows from the record.
///
/// ```
/// use msgstream_core::message::{FromRecord, TimeTickMsg};
/// use msgstream_core::{Timestamp, TsMsg};
/// let tick = TimeTickMsg::new(Timestamp(5));
/// let record = (&tick as &dyn TsMsg).to_record();
/// assert_eq!(record.meta.msg_type, TimeTickMsg::TYPE);
/// assert_eq!(TimeTickMsg::from_record(&record)?, tick);
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
pub trait FromRecord<'a>: Sized {
    /// The message type of its records.
    const TYPE: MsgType;

    /// Decodes a record of this message type.
    ///
    /// # Errors
    /// Fails if the payload isn't one of this type.
    fn from_record(record: &'a Record) -> Result<Self, DecodeError>;
}

impl<E: Event> FromRecord<'_> for E {
    const TYPE: MsgType = E::TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        EventMsg::unmarshal(record).map(EventMsg::into_value)
    }
}

impl<B: MsgBody> FromRecord<'_> for ProtoMsg<B> {
    const TYPE: MsgType = B::MSG_TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        Self::unmarshal(record)
    }
}

impl<T: SerdeBody> FromRecord<'_> for SerdeMsg<T> {
    const TYPE: MsgType = T::MSG_TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        Self::unmarshal(record)
    }
}

/// A value that was received, and where it came from. [`MsgPack::decode`] returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<T> {
    /// The value.
    pub value: T,
    /// The time by which the merge sorted it.
    pub timestamp: Timestamp,
    /// The channel.
    pub channel: Arc<str>,
    /// The position in the channel.
    pub position: Position,
    /// If true, it came late: its time isn't after the channel's watermark.
    pub late: bool,
}

/// The values of one type in a pack. [`MsgPack::decode`] returns it.
#[derive(Debug)]
pub struct Decode<'a, T> {
    msgs: std::slice::Iter<'a, Message>,
    others: usize,
    decoded: std::marker::PhantomData<fn() -> T>,
}

impl<T> Decode<'_, T> {
    /// Returns how many messages of other types were skipped so far.
    ///
    /// ```
    /// use msgstream_core::{MsgPack, Timestamp, message::{InsertMsg, TimeTickMsg}};
    /// let pack = MsgPack::of(TimeTickMsg::new(Timestamp(5)))?;
    /// let mut inserts = pack.decode::<InsertMsg>();
    /// assert!(inserts.next().is_none());
    /// assert_eq!(inserts.others(), 1);
    /// # Ok::<(), msgstream_core::message::EncodeError>(())
    /// ```
    #[must_use]
    pub const fn others(&self) -> usize {
        self.others
    }
}

impl<'a, T: FromRecord<'a>> Iterator for Decode<'a, T> {
    type Item = Result<Received<T>, UndecodableRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        for message in self.msgs.by_ref() {
            match message.stored() {
                Some(stored) if stored.record.meta.msg_type == T::TYPE => {
                    return Some(received(stored));
                }
                _ => self.others += 1,
            }
        }
        None
    }
}

fn received<'a, T: FromRecord<'a>>(
    stored: &'a StoredMessage,
) -> Result<Received<T>, UndecodableRecord> {
    let StoredMessage { channel, record, late } = stored;
    match T::from_record(record) {
        Ok(value) => Ok(Received {
            value,
            timestamp: record.meta.timestamp,
            channel: channel.clone(),
            position: record.position,
            late: *late,
        }),
        Err(source) => Err(stored.decode_error(source)),
    }
}

impl MsgPack {
    /// Returns a pack to send, of an event, a built-in message, or several.
    ///
    /// ```
    /// use msgstream_core::{MsgPack, Timestamp, message::TimeTickMsg};
    /// assert_eq!(MsgPack::of(TimeTickMsg::new(Timestamp(5)))?.end_ts, Timestamp(5));
    /// # Ok::<(), msgstream_core::message::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails if a value can't be encoded.
    pub fn of(messages: impl IntoPack) -> Result<Self, EncodeError> {
        messages.into_pack()
    }

    /// Returns the values of one type in a pack that was consumed, in its order. Messages of other
    /// types are skipped and [counted](Decode::others). Use an
    /// [`UnmarshalDispatcher`](crate::UnmarshalDispatcher) to decode a pack of several types, and a
    /// [view](super::view) if a few fields are enough.
    ///
    /// ```
    /// use msgstream_core::MsgPack;
    /// use msgstream_core::message::InsertMsg;
    ///
    /// let pack = MsgPack::default();
    /// let mut inserts = pack.decode::<InsertMsg>();
    /// for insert in inserts.by_ref() {
    ///     let insert = insert?;
    ///     println!("{} at {}: {:?}", insert.channel, insert.timestamp, insert.value);
    /// }
    /// assert_eq!(inserts.others(), 0);
    /// # Ok::<(), msgstream_core::Error>(())
    /// ```
    #[must_use]
    pub fn decode<'a, T: FromRecord<'a>>(&'a self) -> Decode<'a, T> {
        Decode { msgs: self.msgs.iter(), others: 0, decoded: std::marker::PhantomData }
    }
}
