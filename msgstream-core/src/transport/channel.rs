//! Writing to, reading from and acknowledging on one channel.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{Receipt, Result, Start};
use crate::record::{Incarnation, Position, Record};

/// Appends records to one channel.
///
/// Waiting is in [`ready`](Self::ready), which may be cancelled; [`submit`](Self::submit) doesn't
/// wait, so a batch is never lost to a cancelled future.
#[async_trait]
pub trait ChannelWriter: fmt::Debug + Send {
    /// Waits until the writer takes another batch: the records in flight are bounded.
    ///
    /// # Errors
    /// [`Poisoned`](super::TransportErrorKind::Poisoned) after a failed write,
    /// [`Closed`](super::TransportErrorKind::Closed).
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn ready(&mut self) -> Result<()>;

    /// Whether these records could be written at all. It looks at the records alone, asks nobody
    /// and stores nothing; the writer is afterwards what it was before.
    ///
    /// [`submit`](Self::submit) refuses the same records by itself, but is poisoned by it. Whoever
    /// writes to several channels asks all writers before anything is submitted.
    ///
    /// # Errors
    /// [`TooLarge`](super::TransportErrorKind::TooLarge),
    /// [`InvalidHeader`](super::TransportErrorKind::InvalidHeader).
    fn check(&self, records: &[Record]) -> Result<()>;

    /// Hands over a batch, in order, and gives a receipt for it. Batches are pipelined: the next
    /// one may be submitted before this one's receipt has come.
    ///
    /// Never fails by itself: the receipt says what became of the batch. Without a preceding
    /// [`ready`](Self::ready) a batch over the bound is taken all the same.
    ///
    /// Success is a contiguous prefix of all that was submitted. After a failed or unknown
    /// outcome the writer is poisoned: it sends nothing more. What was in flight by then may still
    /// be stored, with holes, and every later receipt is [`Fate::Unknown`](super::Fate::Unknown)
    /// or [`Fate::NotStored`](super::Fate::NotStored).
    ///
    /// Positions grow from receipt to receipt. Where they go back, the channel was replaced under
    /// the writer: the batch fails with
    /// [`WrongIncarnation`](super::TransportErrorKind::WrongIncarnation), and the writer is
    /// poisoned.
    fn submit(&mut self, records: Vec<Record>) -> Receipt;

    /// Waits until all receipts have come, and ends the writer. Closing twice is harmless.
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
    async fn close(&mut self) -> Result<()>;
}

/// How much a [`ChannelReader::read`] may return, and how long it may take.
///
/// ```
/// use msgstream_core::transport::Limit;
/// let limit = Limit::default().with_records(10);
/// assert_eq!(limit.records, 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// At most so many records; 0 is taken as 1.
    pub records: usize,
    /// At most so many bytes, counted as [`Record::footprint`]; a record that is larger comes
    /// alone.
    pub bytes: usize,
    /// How long to wait for a first record.
    pub wait: Duration,
}

impl Default for Limit {
    /// 1,024 records, 1 MiB, 1 second.
    fn default() -> Self {
        Self { records: 1024, bytes: 1 << 20, wait: Duration::from_secs(1) }
    }
}

impl Limit {
    /// The same with another number of records.
    #[must_use]
    pub const fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }

    /// The same with another number of bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The same with another wait.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How many of a channel's next records one read returns: those that come first and fit, and
    /// one that is larger alone. For transports.
    ///
    /// ```
    /// use msgstream_core::transport::Limit;
    /// use msgstream_core::record::Record;
    /// let records = [(); 3].map(|()| Record::default());
    /// let one = records[0].footprint();
    /// assert_eq!(Limit::default().count(&records), 3);
    /// assert_eq!(Limit::default().with_records(2).count(&records), 2);
    /// assert_eq!(Limit::default().with_bytes(2 * one).count(&records), 2);
    /// assert_eq!(Limit::default().with_bytes(one - 1).count(&records), 1);
    /// assert_eq!(Limit::default().with_records(0).count(&records), 1);
    /// assert_eq!(Limit::default().count(&[]), 0);
    /// ```
    #[must_use]
    pub fn count<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for record in records.into_iter().take(self.records.max(1)) {
            bytes += record.footprint();
            if bytes > self.bytes && count > 0 {
                break;
            }
            count += 1;
        }
        count
    }
}

/// What a [`ChannelReader::read`] returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadBatch {
    /// The records, in the order of the channel; empty where none came in time.
    pub records: Vec<Record>,
    /// Where the reader goes on, good for [`Start::At`]: a real place also where the batch is
    /// empty. It moves over gaps that hold no record.
    pub next: Position,
    /// The end of the channel was seen after everything before `next` was handed out, and nothing
    /// has come since, as far as the reader knows. Neither "idle" nor "disconnected" follows from
    /// it, nor from its absence.
    pub caught_up: bool,
}

impl ReadBatch {
    /// A batch.
    #[must_use]
    pub const fn new(records: Vec<Record>, next: Position, caught_up: bool) -> Self {
        Self { records, next, caught_up }
    }
}

/// Reads one channel in order.
#[async_trait]
pub trait ChannelReader: fmt::Debug + Send {
    /// Reads the next records: at once where there are some, else when some come, else after
    /// `limit.wait` an empty batch.
    ///
    /// The reader goes on after the last record it handed out, with no gap and no repeat,
    /// whatever happens to its connection meanwhile.
    ///
    /// # Errors
    /// [`PositionTrimmed`](super::TransportErrorKind::PositionTrimmed) where retention passed the
    /// reader, [`WrongIncarnation`](super::TransportErrorKind::WrongIncarnation) or
    /// [`NotFound`](super::TransportErrorKind::NotFound) where the channel was replaced or
    /// deleted, [`PositionBeyondEnd`](super::TransportErrorKind::PositionBeyondEnd) where the
    /// channel became shorter than the reader's place, as in a failover that lost records,
    /// [`Unavailable`](super::TransportErrorKind::Unavailable) where the broker stays away. The
    /// reader's place is kept over an error.
    ///
    /// # Cancel safety
    /// Cancelling loses no record: the next call returns what this one would have.
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch>;

    /// Goes to another place in the channel.
    ///
    /// # Errors
    /// As [`Transport::reader_with`](super::Transport::reader_with).
    ///
    /// # Cancel safety
    /// After a cancelled call the reader is at the old place or at the new one.
    async fn seek(&mut self, start: Start) -> Result<()>;

    /// The life of the channel that this reader reads.
    fn incarnation(&self) -> Incarnation;
}

/// A named, durable cursor on one channel.
#[async_trait]
pub trait Subscription: fmt::Debug + Send + Sync {
    /// Moves the cursor: everything before the position is done with. `Ok` means that the broker
    /// has it.
    ///
    /// One handle never moves it back: an earlier position is harmless. Of several handles on one
    /// cursor the last to acknowledge may win.
    ///
    /// # Cancel safety
    /// The cursor may or may not have moved after a cancelled call.
    async fn ack(&self, before: Position) -> Result<()>;

    /// Where the cursor stands: at the last position acknowledged, or earlier, for some brokers
    /// keep only the boundaries of what was stored together. `None` where it was never moved, and
    /// where it was moved in another incarnation of the channel.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn acked(&self) -> Result<Option<Position>>;
}
