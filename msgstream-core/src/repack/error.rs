//! Why messages can't be split over channels.

use std::error::Error as StdError;

use crate::message::DecodeError;
use crate::record::MsgType;

/// Why a pack can't be split over channels. Nothing of the pack was sent.
///
/// `index` is the message's place in the pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackError {
    /// A message has no hash key.
    #[error(
        "message {index} of the pack (type {msg_type}) has no hash key: give it one, or set a repack that needs none; records that were read have none"
    )]
    NoHashKey {
        /// The message.
        index: usize,
        /// Its type.
        msg_type: MsgType,
    },
    /// A time tick is for every channel, so a hash key can't place it.
    #[error(
        "message {index} of the pack is a time tick, which no hash key can place: send it to every channel with `tick` or `broadcast`"
    )]
    Tick {
        /// The message.
        index: usize,
    },
    /// A message of another type, or a record that isn't decoded, where all must be of one type.
    #[error(
        "message {index} of the pack is {found}, but this repack takes only {expected}: produce other messages with another repack"
    )]
    MixedTypes {
        /// The message.
        index: usize,
        /// What the repack takes.
        expected: &'static str,
        /// What came instead.
        found: String,
    },
    /// A message doesn't have one hash key for each row.
    #[error("message {index} of the pack has {keys} hash keys for {rows} rows; each row needs one")]
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
        /// What doesn't fit.
        source: DecodeError,
    },
    /// A message's rows belong to several channels, but can't be told apart.
    #[error(
        "message {index} of the pack has rows for {channels} channels, but can't be split: {reason}; make one message for each channel"
    )]
    Inseparable {
        /// The message.
        index: usize,
        /// The number of channels that its rows belong to.
        channels: usize,
        /// Why it can't be split.
        reason: &'static str,
    },
    /// The repack named a channel that isn't there.
    #[error(
        "the repack named channel {channel}, but there are {channels} channels, counted from 0"
    )]
    NoSuchChannel {
        /// The index that it named.
        channel: usize,
        /// The number of channels.
        channels: usize,
    },
    /// The repack named no channel at all.
    #[error("the repack gave no channel to any of {messages} messages")]
    NoChannel {
        /// The number of messages that it was given.
        messages: usize,
    },
    /// A reason of a user's own repack.
    #[error("the repack refused the pack: {0}")]
    Other(Box<dyn StdError + Send + Sync>),
}

impl RepackError {
    /// A reason of your own.
    ///
    /// ```
    /// use msgstream_core::repack::RepackError;
    /// let error = RepackError::other("message 3 has no region");
    /// assert_eq!(error.to_string(), "the repack refused the pack: message 3 has no region");
    /// ```
    pub fn other(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(reason.into())
    }
}
