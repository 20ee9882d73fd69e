//! Errors of decoding a record.

use std::error::Error as StdError;
use std::str::Utf8Error;

use crate::record::{MsgType, Position};

/// A record of a channel can't be decoded.
///
/// ```
/// use std::error::Error;
/// use msgstream_core::message::StoredMessage;
/// use msgstream_core::record::Record;
/// use msgstream_core::UnmarshalDispatcher;
/// let stored = StoredMessage::new("orders".into(), Record::default());
/// let error = stored.decode(&UnmarshalDispatcher::new()).unwrap_err();
/// assert_eq!(error.channel, "orders");
/// assert!(error.source().is_some());
/// ```
#[derive(Debug, thiserror::Error)]
#[error(
    "the record at {position} of channel `{channel}` can't be decoded; mend its producer, or skip such records with a `PoisonPolicy`"
)]
#[non_exhaustive]
pub struct UndecodableRecord {
    /// The channel.
    pub channel: String,
    /// Where the record stands.
    pub position: Position,
    /// Why it can't be decoded.
    pub source: DecodeError,
}

/// Why a record can't be decoded. [`UndecodableRecord`] adds the channel and the position.
///
/// ```
/// use msgstream_core::record::{Meta, Record};
/// use msgstream_core::{DecodeError, MsgType, Timestamp, UnmarshalDispatcher};
/// let record = Record::new(Meta::new(MsgType(70_001), Timestamp(7)), "");
/// let error = UnmarshalDispatcher::new().unmarshal(&record).unwrap_err();
/// assert!(matches!(error, DecodeError::UnknownType { msg_type: MsgType(70_001) }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No template is registered for the message type.
    #[error(
        "no template is registered for message type {msg_type}: add one with `add_msg_template`"
    )]
    UnknownType {
        /// The type.
        msg_type: MsgType,
    },
    /// The record can't be read, so not even its type is known.
    #[error("the record can't be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The payload is truncated, or isn't a message of its type.
    #[error("the payload is truncated or corrupt")]
    Corrupt {
        /// What the decoder found.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A header's value can't be read.
    #[error("header `{name}` has a value that can't be read: {reason}")]
    Header {
        /// The header.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What the parser found, if there is one.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A header's name isn't text.
    #[error("header `{name}` has a name that isn't UTF-8")]
    HeaderName {
        /// The name, with U+FFFD in place of what isn't UTF-8.
        name: String,
        /// Where it isn't.
        source: Utf8Error,
    },
    /// The parts of a message contradict each other.
    #[error("the message contradicts itself: {reason}")]
    Inconsistent {
        /// What contradicts.
        reason: String,
    },
}

impl DecodeError {
    /// Returns the error of a corrupt payload, with what the decoder found.
    ///
    /// ```
    /// use msgstream_core::DecodeError;
    /// let error = "seven".parse::<u64>().map_err(DecodeError::corrupt).unwrap_err();
    /// assert!(matches!(error, DecodeError::Corrupt { .. }));
    /// ```
    pub fn corrupt(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt { source: source.into() }
    }
}
