//! What can be sent as a pack, and what a pack can be read as.

use std::sync::Arc;

use super::event::{EncodeError, Event, EventMsg};
use super::{
    DecodeError, Message, MsgBody, MsgPack, ProtoMsg, SerdeBody, SerdeMsg, StoredMessage,
    UndecodableRecord, Unmarshal,
};
use crate::record::{MsgType, Position, Record, Timestamp};

/// What can be sent: an [`Event`], a built-in message, several of them, or a pack.
///
/// A message type that implements [`TsMsg`] by itself is sent as a [`Message`]:
/// `Message::from(message)`.
pub trait IntoPack {
    /// Returns the pack to send.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that has no encoding.
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

/// What a record can be read as: an [`Event`] or a built-in message.
pub trait FromRecord: Sized {
    /// The type of its records.
    const TYPE: MsgType;

    /// Decodes a record of its type.
    ///
    /// # Errors
    /// [`DecodeError`] for a payload that isn't one of this type.
    fn from_record(record: &Record) -> Result<Self, DecodeError>;
}

impl<E: Event> FromRecord for E {
    const TYPE: MsgType = E::TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        EventMsg::unmarshal(record).map(EventMsg::into_value)
    }
}

impl<B: MsgBody> FromRecord for ProtoMsg<B> {
    const TYPE: MsgType = B::MSG_TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        Self::unmarshal(record)
    }
}

impl<T: SerdeBody> FromRecord for SerdeMsg<T> {
    const TYPE: MsgType = T::MSG_TYPE;

    fn from_record(record: &Record) -> Result<Self, DecodeError> {
        Self::unmarshal(record)
    }
}

/// A value that was read, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<T> {
    /// The value.
    pub value: T,
    /// The time that the merge went by.
    pub timestamp: Timestamp,
    /// The channel.
    pub channel: Arc<str>,
    /// Where it stands in its channel.
    pub position: Position,
    /// If true, it came after a tick that had promised that it wouldn't.
    pub late: bool,
}

/// The values of one type in a pack, see [`MsgPack::decode`].
#[derive(Debug)]
pub struct Decode<'a, T> {
    msgs: std::slice::Iter<'a, Message>,
    others: usize,
    decoded: std::marker::PhantomData<fn() -> T>,
}

impl<T> Decode<'_, T> {
    /// Returns how many messages of other types were passed over so far.
    #[must_use]
    pub const fn others(&self) -> usize {
        self.others
    }
}

impl<T: FromRecord> Iterator for Decode<'_, T> {
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

fn received<T: FromRecord>(stored: &StoredMessage) -> Result<Received<T>, UndecodableRecord> {
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
    /// Returns a pack to send of an event, a built-in message, or several.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that has no encoding.
    pub fn of(messages: impl IntoPack) -> Result<Self, EncodeError> {
        messages.into_pack()
    }

    /// Returns the values of one type in a pack that was read, in its order. Messages of other types
    /// are passed over and [counted](Decode::others); a dispatcher reads packs of several types.
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
    pub fn decode<T: FromRecord>(&self) -> Decode<'_, T> {
        Decode { msgs: self.msgs.iter(), others: 0, decoded: std::marker::PhantomData }
    }
}
