//! Errors of splitting messages over channels.

use std::error::Error as StdError;

use crate::message::DecodeError;
use crate::record::MsgType;

/// Why a pack can't be split over channels. Nothing of the pack was sent.
///
/// `index` is the message's index in the pack.
///
/// ```
/// use msgstream_core::repack::{RepackError, bucket};
/// assert!(matches!(bucket(7, 0), Err(RepackError::NoSuchChannel { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackError {
    /// A message has no hash key.
    #[error(
        "message {index} of the pack (type {msg_type}) has no hash key (records that were read have none): add one, or set a repack that needs none"
    )]
    NoHashKey {
        /// The message.
        index: usize,
        /// Its type.
        msg_type: MsgType,
    },
    /// A time tick belongs to every channel, so a hash key can't place it.
    #[error(
        "message {index} of the pack is a time tick, which no hash key can place: send it to every channel with `tick` or `broadcast`"
    )]
    Tick {
        /// The message.
        index: usize,
    },
    /// A message has another type than the repack takes, or is a record that isn't decoded.
    #[error(
        "message {index} of the pack is {found}, but this repack takes only {expected}: send other messages with another repack"
    )]
    MixedTypes {
        /// The message.
        index: usize,
        /// What the repack takes.
        expected: &'static str,
        /// What the message is.
        found: String,
    },
    /// A message doesn't have one hash key for each row.
    #[error(
        "message {index} of the pack has {keys} hash keys for {rows} rows: set one for each row"
    )]
    KeyCount {
        /// The message.
        index: usize,
        /// The number of its hash keys.
        keys: usize,
        /// The number of its rows.
        rows: usize,
    },
    /// The parts of a message contradict each other.
    #[error("message {index} of the pack can't be split by row")]
    Inconsistent {
        /// The message.
        index: usize,
        /// What contradicts.
        source: DecodeError,
    },
    /// The rows of a message belong to several channels, but can't be split.
    #[error(
        "message {index} of the pack has rows for {channels} channels, but can't be split, because {reason}: make one message for each channel"
    )]
    Inseparable {
        /// The message.
        index: usize,
        /// The number of channels that its rows belong to.
        channels: usize,
        /// Why it can't be split.
        reason: &'static str,
    },
    /// The repack named a channel that doesn't exist.
    #[error(
        "the repack named channel {channel}, but there are {channels} channels, counted from 0: mend the repack"
    )]
    NoSuchChannel {
        /// The index that it named.
        channel: usize,
        /// The number of channels.
        channels: usize,
    },
    /// The repack returned no pack.
    #[error("the repack named no channel for any of {messages} messages: mend the repack")]
    NoChannel {
        /// The number of messages that it was called with.
        messages: usize,
    },
    /// The error of a program's own repack.
    #[error("the repack refused the pack")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl RepackError {
    /// Returns the error of a program's own repack.
    ///
    /// ```
    /// use std::error::Error;
    /// use msgstream_core::repack::RepackError;
    /// let error = RepackError::other("message 3 has no region");
    /// assert_eq!(error.source().unwrap().to_string(), "message 3 has no region");
    /// ```
    pub fn other(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(reason.into())
    }
}
