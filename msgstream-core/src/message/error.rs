//! Why a record can't be decoded.

use std::error::Error as StdError;

use crate::record::{MsgType, Position};

/// A record of a channel that can't be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the record at {position} of channel `{channel}` can't be decoded")]
#[non_exhaustive]
pub struct UndecodableRecord {
    /// The channel.
    pub channel: String,
    /// Where the record stands.
    pub position: Position,
    /// Why.
    pub source: DecodeError,
}

/// Why a record can't be decoded. [`UndecodableRecord`] adds the channel and the position.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No template is registered for the type.
    #[error(
        "no template is registered for message type {msg_type}; add one with `add_msg_template`"
    )]
    UnknownType {
        /// The type.
        msg_type: MsgType,
    },
    /// The record is in a form that can't be read, so not even its type is known.
    #[error("the record can't be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The payload is cut off or isn't a message of its type.
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
    },
    /// A header's name isn't text.
    #[error("header `{name}` has a name that isn't UTF-8")]
    HeaderName {
        /// The name, with U+FFFD in place of what isn't UTF-8.
        name: String,
    },
    /// The parts of a message contradict each other.
    #[error("the message contradicts itself: {reason}")]
    Inconsistent {
        /// What doesn't fit.
        reason: String,
    },
}

impl DecodeError {
    /// A corrupt payload, with what the decoder found.
    pub fn corrupt(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt { source: source.into() }
    }
}
