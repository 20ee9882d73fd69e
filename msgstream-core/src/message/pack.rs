//! Packs: the messages of an interval.

use std::sync::Arc;

use super::{DecodeError, TsMsg, UndecodableRecord, Unmarshal};
use crate::checkpoint::Checkpoint;
use crate::message::UnmarshalDispatcher;
use crate::record::{MsgType, Timestamp};
use crate::record::{Position, Record};

/// The messages of an interval `(begin_ts, end_ts]`.
///
/// A pack to send holds typed messages. A pack that was consumed holds records, which
/// [`decode`](Self::decode) decodes, and the checkpoints before and after it.
///
/// ```
/// use msgstream_core::{MsgPack, Timestamp, message::TimeTickMsg};
/// let pack = MsgPack::from_iter([TimeTickMsg::new(Timestamp(5)), TimeTickMsg::new(Timestamp(9))]);
/// assert_eq!((pack.begin_ts, pack.end_ts), (Some(Timestamp(5)), Timestamp(9)));
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MsgPack {
    /// The end of the pack before; `None` in the first pack. In a pack to send, its least timestamp.
    pub begin_ts: Option<Timestamp>,
    /// The last timestamp that belongs to the pack.
    pub end_ts: Timestamp,
    /// The messages. A pack that was consumed has them in the order of time, then of channel name,
    /// then of position.
    pub msgs: Vec<Message>,
    /// The checkpoint before this pack: a consumer that resumes there returns this pack again.
    pub start: Checkpoint,
    /// The checkpoint after this pack: a consumer that resumes there returns the next pack.
    pub end: Checkpoint,
}

impl MsgPack {
    /// Returns a pack to send, whose interval is that of its messages.
    ///
    /// ```
    /// use msgstream_core::{MsgPack, Timestamp, message::{Message, TimeTickMsg}};
    /// let ticks = [5, 9].map(|ts| Message::from(TimeTickMsg::new(Timestamp(ts))));
    /// assert_eq!(MsgPack::new(ticks.into()).end_ts, Timestamp(9));
    /// ```
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

/// A message in a pack: a typed value, or a record that was read.
///
/// ```
/// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
/// let message = Message::from(TimeTickMsg::new(Timestamp(5)));
/// assert!(message.stored().is_none());
/// ```
#[derive(Debug)]
pub enum Message {
    /// A typed value to send.
    Typed(Box<dyn TsMsg>),
    /// A record, as it was read. Sending it again writes the same bytes.
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
    /// Returns the message type.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
    /// use msgstream_core::MsgType;
    /// assert_eq!(Message::from(TimeTickMsg::new(Timestamp(5))).msg_type(), MsgType::TIME_TICK);
    /// ```
    #[must_use]
    pub fn msg_type(&self) -> MsgType {
        match self {
            Self::Typed(m) => m.msg_type(),
            Self::Stored(m) => m.record.meta.msg_type,
        }
    }

    /// Returns the least timestamp, or a record's time.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
    /// assert_eq!(Message::from(TimeTickMsg::new(Timestamp(5))).begin_ts(), Timestamp(5));
    /// ```
    #[must_use]
    pub fn begin_ts(&self) -> Timestamp {
        match self {
            Self::Typed(m) => m.begin_ts(),
            Self::Stored(m) => m.record.meta.timestamp,
        }
    }

    /// Returns the greatest timestamp, by which the merge sorts, or a record's time.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
    /// assert_eq!(Message::from(TimeTickMsg::new(Timestamp(5))).end_ts(), Timestamp(5));
    /// ```
    #[must_use]
    pub fn end_ts(&self) -> Timestamp {
        match self {
            Self::Typed(m) => m.end_ts(),
            Self::Stored(m) => m.record.meta.timestamp,
        }
    }

    /// Returns the record that was read; `None` for a typed value.
    ///
    /// ```
    /// use msgstream_core::message::{Message, StoredMessage};
    /// use msgstream_core::record::Record;
    /// let message = Message::from(StoredMessage::new("orders".into(), Record::default()));
    /// assert!(message.stored().is_some_and(|stored| !stored.late));
    /// ```
    #[must_use]
    pub const fn stored(&self) -> Option<&StoredMessage> {
        match self {
            Self::Typed(_) => None,
            Self::Stored(m) => Some(m),
        }
    }

    /// Returns the channel that it was read from; `None` for a typed value.
    ///
    /// ```
    /// use msgstream_core::message::{Message, StoredMessage};
    /// use msgstream_core::record::Record;
    /// let message = Message::from(StoredMessage::new("orders".into(), Record::default()));
    /// assert_eq!(message.channel(), Some("orders"));
    /// ```
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.stored().map(|m| &*m.channel)
    }

    /// Returns the position in its channel; `None` for a typed value.
    ///
    /// ```
    /// use msgstream_core::message::{Message, StoredMessage};
    /// use msgstream_core::record::Record;
    /// let record = Record::default();
    /// let position = record.position;
    /// let message = Message::from(StoredMessage::new("orders".into(), record));
    /// assert_eq!(message.position(), Some(position));
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.stored().map(|m| m.record.position)
    }

    /// Returns whether it came late: its time isn't after the channel's watermark.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
    /// assert!(!Message::from(TimeTickMsg::new(Timestamp(5))).is_late());
    /// ```
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.stored().is_some_and(|m| m.late)
    }

    /// Returns the typed value. The dispatcher decodes it if it is a record.
    ///
    /// ```
    /// use msgstream_core::{Timestamp, message::{Message, TimeTickMsg}};
    /// use msgstream_core::{TsMsg, UnmarshalDispatcher};
    /// let message = Message::from(TimeTickMsg::new(Timestamp(5)));
    /// let decoded = message.decode(&UnmarshalDispatcher::new())?;
    /// assert_eq!(decoded.end_ts(), Timestamp(5));
    /// # Ok::<(), msgstream_core::message::UndecodableRecord>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`UndecodableRecord`], which names the channel and the position.
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

/// A typed message: borrowed if it was typed already, else decoded from a record. [`Message::decode`]
/// returns it.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// The message was typed already.
    Borrowed(&'a dyn TsMsg),
    /// The message was decoded from a record.
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

/// A record that was read, and the channel that it was read from.
///
/// ```
/// use msgstream_core::message::StoredMessage;
/// use msgstream_core::record::Record;
/// let stored = StoredMessage::new("orders".into(), Record::default());
/// assert_eq!(&*stored.channel, "orders");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The channel.
    pub channel: Arc<str>,
    /// The record.
    pub record: Record,
    /// If true, it came late: its time isn't after the channel's watermark.
    pub late: bool,
}

impl StoredMessage {
    /// Returns a record of a channel that didn't come late.
    ///
    /// ```
    /// use msgstream_core::message::StoredMessage;
    /// use msgstream_core::record::Record;
    /// assert!(!StoredMessage::new("orders".into(), Record::default()).late);
    /// ```
    #[must_use]
    pub const fn new(channel: Arc<str>, record: Record) -> Self {
        Self { channel, record, late: false }
    }

    /// Decodes the record by its type.
    ///
    /// ```
    /// use msgstream_core::message::{StoredMessage, TimeTickMsg};
    /// use msgstream_core::{Timestamp, TsMsg, UnmarshalDispatcher};
    /// let record = (&TimeTickMsg::new(Timestamp(5)) as &dyn TsMsg).to_record();
    /// let stored = StoredMessage::new("orders".into(), record);
    /// let message = stored.decode(&UnmarshalDispatcher::new())?;
    /// assert_eq!(message.end_ts(), Timestamp(5));
    /// # Ok::<(), msgstream_core::message::UndecodableRecord>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`UndecodableRecord`], which names the channel and the position.
    pub fn decode(
        &self,
        dispatcher: &UnmarshalDispatcher,
    ) -> Result<Box<dyn TsMsg>, UndecodableRecord> {
        dispatcher.unmarshal(&self.record).map_err(|e| self.decode_error(e))
    }

    /// Decodes the record as a message of one type, whatever type the record has.
    ///
    /// ```
    /// use msgstream_core::message::{StoredMessage, TimeTickMsg};
    /// use msgstream_core::{Timestamp, TsMsg};
    /// let tick = TimeTickMsg::new(Timestamp(5));
    /// let record = (&tick as &dyn TsMsg).to_record();
    /// let stored = StoredMessage::new("orders".into(), record);
    /// assert_eq!(stored.decode_as::<TimeTickMsg>()?, tick);
    /// # Ok::<(), msgstream_core::message::UndecodableRecord>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`UndecodableRecord`], which names the channel and the position.
    pub fn decode_as<M: Unmarshal>(&self) -> Result<M, UndecodableRecord> {
        M::unmarshal(&self.record).map_err(|e| self.decode_error(e))
    }

    pub(super) fn decode_error(&self, source: DecodeError) -> UndecodableRecord {
        let (channel, position) = (self.channel.to_string(), self.record.position);
        UndecodableRecord { channel, position, source }
    }
}
