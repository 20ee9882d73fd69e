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

/// The result of an operation of a producer, a consumer or a stream.
///
/// ```
/// use msgstream_core::{Error, Result};
/// fn check(channels: &[&str]) -> Result<()> {
///     match channels {
///         [] => Err(Error::Config { reason: "there are no channels".to_owned() }),
///         _ => Ok(()),
///     }
/// }
/// assert!(check(&[]).is_err());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of a producer, a consumer or a stream failed.
///
/// The text says what happened, on which channel, and what to do about it. It doesn't repeat the
/// cause, which [`source`](std::error::Error::source) returns.
///
/// ```
/// use msgstream_core::Error;
/// let error = Error::Ended { channel: "orders".to_owned() };
/// assert_eq!(
///     error.to_string(),
///     "channel `orders` has ended, so nothing can follow: write to another channel"
/// );
/// ```
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
    /// A record is late: it isn't after its channel's watermark. The policy is to stop then.
    #[error(
        "the record at {position} of channel `{channel}` is late: its time {ts} is not after the time tick {watermark} before it: set another late policy to go on, or mend the producer"
    )]
    Late {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// Its time.
        ts: Timestamp,
        /// The channel's watermark: its greatest time tick before the record.
        watermark: Timestamp,
    },
    /// An interval needs more memory than the budget has left, though everything that can be read
    /// again later was evicted.
    #[error("the interval after {} needs more memory than the budget of {budget} bytes has left ({buffered} bytes are buffered, and channel `{channel}` has no time tick at the interval's end yet): raise the budget, or send time ticks more often", begin.map_or("the start".to_owned(), |t| t.to_string()))]
    WindowTooLarge {
        /// The frontier: the end of the last pack.
        begin: Option<Timestamp>,
        /// A channel that holds the interval open.
        channel: String,
        /// What is buffered, in bytes.
        buffered: usize,
        /// The budget, in bytes.
        budget: usize,
    },
    /// A time tick is so far in the future that its channel would deliver nothing until then.
    #[error(
        "the time tick {tick} at {position} of channel `{channel}` is past {limit}, the greatest time that is allowed now: ignore that tick, or allow more"
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
    /// More producers with sessions wrote to a channel than a consumer remembers.
    #[error(
        "channel `{channel}` has records of more than {limit} producers, the first one too many at {position}: close sessions that are done, or raise the limit with `set_producer_limits`"
    )]
    TooManyProducers {
        /// The channel.
        channel: String,
        /// Where the record stands.
        position: Position,
        /// How many producers a consumer remembers.
        limit: usize,
    },
    /// A message with a time far ahead holds back the position at which a checkpoint resumes.
    #[error(
        "a consumer that resumes from the next checkpoint would read {records} records of channel `{channel}` again, from {resume} on, because the message there has a time far ahead: raise the limit with `set_max_span`, or start after that message"
    )]
    SpanTooLong {
        /// The channel.
        channel: String,
        /// Where the next checkpoint would resume.
        resume: Position,
        /// The number of records from there to the checkpoint's cut.
        records: u64,
    },
    /// A pack can't be split over the channels. Nothing of it was sent.
    #[error(transparent)]
    Repack(#[from] RepackError),
    /// Not all of a pack is stored.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// A time tick at [`Timestamp::MAX`] would leave no time for any record after it.
    #[error(
        "a time tick at Timestamp::MAX is refused, because nothing could follow it: end a channel with `end`, at a lesser time"
    )]
    LastTick,
    /// A message is at or before a time tick that was submitted to its channel, or a time that
    /// [`Producer::promise`](crate::Producer::promise) named: it could be stored after the tick, and
    /// be late.
    #[error(
        "a message of time {ts} for channel `{channel}` is not after the time tick {tick}, which promised that none follows: tick later, or let the producer write late messages (`allow_late`)"
    )]
    BehindTick {
        /// The channel.
        channel: String,
        /// The message's time.
        ts: Timestamp,
        /// The greatest tick that was submitted or promised, or that was on the channel when the
        /// session was opened.
        tick: Timestamp,
    },
    /// The channel has ended.
    #[error("channel `{channel}` has ended, so nothing can follow: write to another channel")]
    Ended {
        /// The channel.
        channel: String,
    },
    /// A newer session of the same producer began, and consumers ignore what this one writes from then
    /// on.
    #[error(
        "the session of producer `{producer}` with epoch {epoch} was fenced by a newer one with epoch {by}: stop this one, or open another session, which fences the newer one"
    )]
    Fenced {
        /// The producer.
        producer: String,
        /// The epoch of the session that was fenced.
        epoch: Position,
        /// The newer epoch.
        by: Position,
    },
    /// A session can't find the last sequence number of its producer.
    #[error(
        "channel `{channel}` has messages of producer `{producer}`, but no record is left that has its last sequence number: go on as another producer, and keep records for longer"
    )]
    NumbersLost {
        /// The channel.
        channel: String,
        /// The producer.
        producer: String,
    },
    /// A producer has a sequence number that no program reaches by counting.
    #[error(
        "channel `{channel}` has a record of producer `{producer}` with the sequence number {last}, which leaves none to go on with: go on as another producer, and find out who else writes in its name"
    )]
    NumbersSpent {
        /// The channel.
        channel: String,
        /// The producer.
        producer: String,
        /// The sequence number.
        last: u64,
    },
    /// The stream produces without a session.
    #[error("`{operation}` needs a session: call `create_session` first")]
    NoSession {
        /// The method.
        operation: &'static str,
    },
    /// The stream was not started.
    #[error("`{operation}` needs a stream that was started: call `start` first")]
    NotStarted {
        /// The method.
        operation: &'static str,
    },
    /// The stream was closed.
    #[error("`{operation}` was called after the stream was closed: make a new stream")]
    Closed {
        /// The method.
        operation: &'static str,
    },
    /// The stream has no channels for the operation.
    #[error("`{operation}` needs channels: call `{create}` first")]
    NoChannels {
        /// The method.
        operation: &'static str,
        /// The method that adds channels.
        create: &'static str,
    },
    /// The channel isn't among those that are consumed.
    #[error(
        "channel `{channel}` is not among those that are consumed: add it, or name another one"
    )]
    NotConsumed {
        /// The channel.
        channel: String,
    },
    /// The channel is consumed without a subscription.
    #[error(
        "channel `{channel}` is consumed without a subscription, so there is no cursor to move: open the consumer with a subscription"
    )]
    NoSubscription {
        /// The channel.
        channel: String,
    },
    /// The state in the store of checkpoints can't be read or written as the program's type.
    #[error(
        "the state in the store of checkpoints can't be {operation} as `{type_name}`: use the type that was saved, or another store"
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
    /// Another consumer opened the store of checkpoints, or it was emptied.
    #[error(
        "another consumer took over the store of checkpoints, which has {} but not {held}, and nothing was saved or acknowledged: stop this consumer",
        found.map_or("nothing".to_owned(), |found| found.to_string())
    )]
    TakenOver {
        /// The newest generation that this consumer saved or loaded.
        held: Generation,
        /// The generation in the store; `None` if it is empty.
        found: Option<Generation>,
    },
    /// The configuration contradicts itself.
    #[error("the configuration can't be used: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
}
