//! Errors of producers, consumers and streams.

mod produce;

pub use self::produce::{ChannelOutcome, ProduceError, Rest};
use crate::checkpoint::{Generation, StoreError};
use crate::message::{EncodeError, UndecodableRecord};
use crate::record::Position;
use crate::record::Timestamp;
use crate::registry::ConnectError;
use crate::repack::RepackError;
use crate::transport::TransportError;

/// The result of a stream's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, on which channel, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A URL can't be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A record can't be decoded.
    #[error(transparent)]
    Decode(#[from] UndecodableRecord),
    /// A value can't be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A record came after a tick that had promised that it wouldn't, and the policy is to stop.
    #[error(
        "the record at {position} of channel `{channel}` is late: its time {ts} is not after the tick {watermark} before it; set another late policy to go on, or mend the producer"
    )]
    Late {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// Its time.
        ts: Timestamp,
        /// The channel's greatest tick before it.
        watermark: Timestamp,
    },
    /// One interval needs more memory than the budget has left, with everything given up that can
    /// be read again later.
    #[error("the interval after {} needs more than what is left of the budget of {budget} bytes ({buffered} are buffered, and channel `{channel}` has no tick at its end yet): raise the budget, or tick more often", begin.map_or("the start".to_owned(), |t| t.to_string()))]
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
    #[error(
        "the tick {tick} at {position} of channel `{channel}` is past {limit}, the furthest that is allowed now: ignore that tick, or allow more"
    )]
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
    /// More producers with sessions wrote to a channel than are remembered.
    #[error(
        "channel `{channel}` has a record of one producer more than the {limit} that are remembered, at {position}: close sessions that are done, or raise the limit with `set_producer_limits`"
    )]
    TooManyProducers {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// How many producers are remembered.
        limit: usize,
    },
    /// A message with a time far ahead holds back where a checkpoint resumes.
    #[error(
        "channel `{channel}` would have {records} records from {resume} on to read again in the next checkpoint, because of a message there with a time far ahead: raise the limit with `set_max_span`, or start after that message"
    )]
    SpanTooLong {
        /// The channel.
        channel: String,
        /// Where the next checkpoint would resume.
        resume: Position,
        /// How many records there are from there to where the checkpoint cuts the channel.
        records: u64,
    },
    /// A pack can't be split over the channels. Nothing of it was sent.
    #[error(transparent)]
    Repack(#[from] RepackError),
    /// Not all of a pack is stored.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// A tick at the end of time would leave no time for any record after it.
    #[error(
        "a tick at Timestamp::MAX is refused, for nothing could follow it: end a channel with `end`, at a lesser time"
    )]
    LastTick,
    /// The channel was ended, by the stream or before it was opened.
    #[error("channel `{channel}` was ended, so nothing can follow there: write to another channel")]
    Ended {
        /// The channel.
        channel: String,
    },
    /// A newer session of the same producer began. What this one writes from then on is void.
    #[error(
        "the session of producer `{producer}` with epoch {epoch} was fenced by one with epoch {by}: leave its work to that one, or open another session, which fences that one"
    )]
    Fenced {
        /// The producer.
        producer: String,
        /// The epoch of the session that was fenced.
        epoch: Position,
        /// The newer epoch.
        by: Position,
    },
    /// A session can't tell what its producer wrote last.
    #[error(
        "channel `{channel}` has messages of producer `{producer}`, and nothing is left there that tells their last number: go on as another producer, and keep records for longer"
    )]
    NumbersLost {
        /// The channel.
        channel: String,
        /// The producer.
        producer: String,
    },
    /// A producer has a number that no program comes to by itself.
    #[error(
        "on channel `{channel}` somebody says that producer `{producer}` has written {last} messages: go on as another producer, and see who else writes in its name"
    )]
    NumbersSpent {
        /// The channel.
        channel: String,
        /// The producer.
        producer: String,
        /// The number.
        last: u64,
    },
    /// The stream produces without a session.
    #[error("`{operation}` needs a session: call `create_session`")]
    NoSession {
        /// The method.
        operation: &'static str,
    },
    /// The stream was not started.
    #[error("`{operation}` needs a started stream: call `start` first")]
    NotStarted {
        /// The method.
        operation: &'static str,
    },
    /// The stream was closed.
    #[error("`{operation}` came after the stream was closed: make a new one")]
    Closed {
        /// The method.
        operation: &'static str,
    },
    /// The stream has no channels for the operation.
    #[error("`{operation}` has no channels: call `{create}` first")]
    NoChannels {
        /// The method.
        operation: &'static str,
        /// The method that gives it channels.
        create: &'static str,
    },
    /// The stream doesn't consume the channel.
    #[error(
        "channel `{channel}` is not one that the stream consumes: name it in `create_consumers`"
    )]
    NotConsumed {
        /// The channel.
        channel: String,
    },
    /// The stream consumes the channel without a subscription.
    #[error(
        "channel `{channel}` is consumed without a subscription, so there is no cursor to move: name one in `create_consumers`"
    )]
    NoSubscription {
        /// The channel.
        channel: String,
    },
    /// What the store of checkpoints has isn't a state of this program's.
    #[error(
        "the state in the store of checkpoints can't be {operation} as `{type_name}`: {source}; it is another program's, or of another version"
    )]
    State {
        /// What was tried.
        operation: &'static str,
        /// The type of the state.
        type_name: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The store of checkpoints failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another consumer has opened the store of checkpoints, or somebody emptied it.
    #[error(
        "another consumer took over: the store has {}, and this consumer's is {held}; nothing was saved or acknowledged, so stop this one",
        found.map_or("nothing".to_owned(), |found| found.to_string())
    )]
    TakenOver {
        /// The newest of this consumer's own.
        held: Generation,
        /// What is in the store.
        found: Option<Generation>,
    },
    /// The stream's configuration contradicts itself.
    #[error("the configuration can't work: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
}
