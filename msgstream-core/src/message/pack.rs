//! Messages of an interval.

use std::sync::Arc;

use super::{DecodeError, TsMsg, UndecodableRecord, Unmarshal};
use crate::checkpoint::Checkpoint;
use crate::message::UnmarshalDispatcher;
use crate::record::{MsgType, Timestamp};
use crate::record::{Position, Record};

/// The messages of an interval `(begin_ts, end_ts]`.
///
/// A pack to produce is made of typed messages. A pack that was consumed holds records, which are
/// decoded when asked for, and the places before and after it in every channel.
///
/// ```
/// use msgstream_core::{MsgPack, Timestamp, message::TimeTickMsg};
/// let pack = MsgPack::from_iter([TimeTickMsg::new(Timestamp(5)), TimeTickMsg::new(Timestamp(9))]);
/// assert_eq!((pack.begin_ts, pack.end_ts), (Some(Timestamp(5)), Timestamp(9)));
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MsgPack {
    /// The end of the pack before; `None` in a stream's first pack. In a pack to produce, the
    /// least timestamp in it.
    pub begin_ts: Option<Timestamp>,
    /// The last timestamp that belongs to the pack.
    pub end_ts: Timestamp,
    /// The messages; in a pack of a [`TtMsgStream`](crate::TtMsgStream) in the order of time, then of
    /// channel name, then of position.
    pub msgs: Vec<Message>,
    /// Where every channel stood before this pack: resuming there gives this pack again.
    pub start: Checkpoint,
    /// Where every channel stands after this pack: resuming there gives the next pack.
    pub end: Checkpoint,
}

impl MsgPack {
    /// A pack to produce, its interval being that of its messages.
    #[must_use]
    pub fn new(msgs: Vec<Message>) -> Self {
        let begin_ts = msgs.iter().map(Message::begin_ts).min();
        let end_ts = msgs.iter().map(Message::end_ts).max().unwrap_or_default();
        Self { begin_ts, end_ts, msgs, ..Self::default() }
    }
}

impl<M: Into<Message>> FromIterator<M> for MsgPack {
    fn from_iter<I: IntoIterator<Item = M>>(msgs: I) -> Self {
        Self::new(msgs.into_iter().map(Into::into).collect())
    }
}

/// A message in a pack: a typed value, or the record that was read.
#[derive(Debug)]
pub enum Message {
    /// A typed value, to produce.
    Typed(Box<dyn TsMsg>),
    /// A record, as it was read. Producing it again writes the same bytes.
    Stored(StoredMessage),
}

impl<M: TsMsg> From<M> for Message {
    fn from(message: M) -> Self {
        Self::Typed(Box::new(message))
    }
}

impl From<Box<dyn TsMsg>> for Message {
    fn from(message: Box<dyn TsMsg>) -> Self {
        Self::Typed(message)
    }
}

impl From<StoredMessage> for Message {
    fn from(message: StoredMessage) -> Self {
        Self::Stored(message)
    }
}

impl Message {
    /// The type.
    #[must_use]
    pub fn msg_type(&self) -> MsgType {
        match self {
            Self::Typed(m) => m.msg_type(),
            Self::Stored(m) => m.record.meta.msg_type,
        }
    }

    /// The least timestamp; of a record that is not decoded, its time.
    #[must_use]
    pub fn begin_ts(&self) -> Timestamp {
        match self {
            Self::Typed(m) => m.begin_ts(),
            Self::Stored(m) => m.record.meta.timestamp,
        }
    }

    /// The greatest timestamp, which the merge goes by.
    #[must_use]
    pub fn end_ts(&self) -> Timestamp {
        match self {
            Self::Typed(m) => m.end_ts(),
            Self::Stored(m) => m.record.meta.timestamp,
        }
    }

    /// What was read, `None` for a typed value.
    #[must_use]
    pub const fn stored(&self) -> Option<&StoredMessage> {
        match self {
            Self::Typed(_) => None,
            Self::Stored(m) => Some(m),
        }
    }

    /// The channel that it was read from.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.stored().map(|m| &*m.channel)
    }

    /// Where it stands in its channel.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.stored().map(|m| m.record.position)
    }

    /// It came after a tick that had promised that it wouldn't.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.stored().is_some_and(|m| m.late)
    }

    /// The typed value, decoded by the dispatcher where it is a record.
    ///
    /// # Errors
    /// [`UndecodableRecord`], naming the channel and the position.
    pub fn decode(
        &self,
        dispatcher: &UnmarshalDispatcher,
    ) -> Result<Decoded<'_>, UndecodableRecord> {
        match self {
            Self::Typed(m) => Ok(Decoded::Borrowed(&**m)),
            Self::Stored(m) => m.decode(dispatcher).map(Decoded::Owned),
        }
    }
}

/// A typed message: borrowed where it was typed already, else just decoded.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// It was typed already.
    Borrowed(&'a dyn TsMsg),
    /// It was decoded from a record.
    Owned(Box<dyn TsMsg>),
}

impl std::ops::Deref for Decoded<'_> {
    type Target = dyn TsMsg;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(m) => *m,
            Self::Owned(m) => &**m,
        }
    }
}

/// A record, the channel it was read from, and whether it came late.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The channel.
    pub channel: Arc<str>,
    /// The record.
    pub record: Record,
    /// It came after a tick that had promised that it wouldn't.
    pub late: bool,
}

impl StoredMessage {
    /// A record from a channel, in time.
    #[must_use]
    pub const fn new(channel: Arc<str>, record: Record) -> Self {
        Self { channel, record, late: false }
    }

    /// Decodes the record by its type.
    ///
    /// # Errors
    /// [`UndecodableRecord`], naming the channel and the position.
    pub fn decode(
        &self,
        dispatcher: &UnmarshalDispatcher,
    ) -> Result<Box<dyn TsMsg>, UndecodableRecord> {
        dispatcher.unmarshal(&self.record).map_err(|e| self.decode_error(e))
    }

    /// Decodes the record as a message of one type, whatever type the record says it has.
    ///
    /// # Errors
    /// [`UndecodableRecord`], naming the channel and the position.
    pub fn decode_as<M: Unmarshal>(&self) -> Result<M, UndecodableRecord> {
        M::unmarshal(&self.record).map_err(|e| self.decode_error(e))
    }

    pub(super) fn decode_error(&self, source: DecodeError) -> UndecodableRecord {
        let (channel, position) = (self.channel.to_string(), self.record.position);
        UndecodableRecord { channel, position, source }
    }
}
