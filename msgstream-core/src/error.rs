//! Errors of the streams.

use crate::message::{DecodeError, Timestamp};
use crate::transport::{Position, TransportError};

/// The result of a stream's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, on which channel, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A record can't be decoded.
    #[error("the record at {position} of channel `{channel}` can't be decoded: {source}")]
    Decode {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// Why.
        source: DecodeError,
    },
    /// A record came after a tick that had promised that it wouldn't, and the policy is to stop.
    #[error("the record at {position} of channel `{channel}` is late: its time {ts} is not after the tick {floor} before it; set another late policy to go on, or mend the producer")]
    Late {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// Its time.
        ts: Timestamp,
        /// The channel's greatest tick before it.
        floor: Timestamp,
    },
    /// One interval alone needs more memory than the budget.
    #[error("the interval after {} needs more than the budget of {budget} bytes ({buffered} are buffered, and channel `{channel}` has no tick at its end yet): raise the budget, or tick more often", begin.map_or("the start".to_owned(), |t| t.to_string()))]
    WindowTooLarge {
        /// The end of the last pack.
        begin: Option<Timestamp>,
        /// A channel that holds the interval open.
        channel: String,
        /// What is buffered, in bytes.
        buffered: usize,
        /// The budget, in bytes.
        budget: usize,
    },
    /// A tick is so far in the future that it would stop its channel for good.
    #[error("the tick {tick} at {position} of channel `{channel}` is past {limit}, the furthest that is allowed now: ignore that tick, or allow more")]
    TickTooFar {
        /// The channel.
        channel: String,
        /// Where the tick stands.
        position: Position,
        /// Its time.
        tick: Timestamp,
        /// The greatest time allowed.
        limit: Timestamp,
    },
    /// The stream's configuration contradicts itself.
    #[error("the configuration can't work: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
}
