//! Reading one channel.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{Result, Start};
use crate::record::{Incarnation, Position, Record};

/// How much a [`ChannelReader::read`] may return, and how long it may wait.
///
/// ```
/// use msgstream_core::transport::Limit;
/// let limit = Limit::default().with_records(10);
/// assert_eq!(limit.records, 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// The greatest number of records; 0 counts as 1.
    pub records: usize,
    /// The greatest number of bytes, counted as [`Record::footprint`]. A record that is larger comes
    /// alone.
    pub bytes: usize,
    /// How long to wait for the first record.
    pub wait: Duration,
}

impl Default for Limit {
    /// Returns a limit of 1,024 records, 1 MiB and 1 second.
    fn default() -> Self {
        Self { records: 1024, bytes: 1 << 20, wait: Duration::from_secs(1) }
    }
}

impl Limit {
    /// Sets the greatest number of records.
    ///
    /// ```
    /// use msgstream_core::transport::Limit;
    /// assert_eq!(Limit::default().with_records(10).records, 10);
    /// ```
    #[must_use]
    pub const fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }

    /// Sets the greatest number of bytes.
    ///
    /// ```
    /// use msgstream_core::transport::Limit;
    /// assert_eq!(Limit::default().with_bytes(4096).bytes, 4096);
    /// ```
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how long to wait for the first record.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_core::transport::Limit;
    /// assert!(Limit::default().with_wait(Duration::ZERO).wait.is_zero());
    /// ```
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Returns how many of a channel's next records one read may return: those that come first and
    /// fit, or a single one that is larger. For those who write a transport.
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
///
/// ```
/// use msgstream_core::record::Record;
/// use msgstream_core::transport::{Limit, Start, Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// # broker.create("orders").await?;
/// broker.writer("orders").await?.submit(vec![Record::default()]).await;
/// let mut reader = broker.reader("orders", Start::Earliest).await?;
/// let batch = reader.read(Limit::default()).await?;
/// assert_eq!(batch.records.len(), 1);
/// // A reader that starts there reads what comes next.
/// let next = broker.reader("orders", Start::At(batch.next)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadBatch {
    /// The records, in the order of the channel; empty if none came in time.
    pub records: Vec<Record>,
    /// Where the reader goes on, for use with [`Start::At`]. It is a real place even if the batch is
    /// empty, and it moves over gaps that hold no record.
    pub next: Position,
    /// If true, the reader saw the end of the channel after it had returned everything before
    /// `next`, and knows of nothing that came since. Neither the value true nor false says whether
    /// the channel is idle or the reader disconnected.
    pub caught_up: bool,
}

impl ReadBatch {
    /// Returns a batch. For those who write a transport.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// use msgstream_core::transport::ReadBatch;
    /// let nothing_new = ReadBatch::new(Vec::new(), Position::new(7), true);
    /// assert!(nothing_new.records.is_empty());
    /// ```
    #[must_use]
    pub const fn new(records: Vec<Record>, next: Position, caught_up: bool) -> Self {
        Self { records, next, caught_up }
    }
}

/// Reads one channel in order.
///
/// ```
/// use msgstream_core::transport::{ChannelReader, Limit, Start, Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// # broker.create("orders").await?;
/// let mut reader = broker.reader("orders", Start::Earliest).await?;
/// let limit = Limit::default().with_wait(std::time::Duration::ZERO);
/// let batch = reader.read(limit).await?;
/// assert!(batch.records.is_empty() && batch.caught_up);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ChannelReader: fmt::Debug + Send {
    /// Reads the next records. Returns at once if there are any, else as soon as some come. Returns
    /// an empty batch if none came within `limit.wait`.
    ///
    /// The reader goes on after the last record that it returned, without a gap and without a
    /// repeat, whatever happens to its connection in between.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// use msgstream_core::transport::{Limit, Start, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// # writer.submit(vec![Record::default(), Record::default()]).await;
    /// let mut reader = broker.reader("orders", Start::Earliest).await?;
    /// let one = Limit::default().with_records(1);
    /// let first = reader.read(one).await?;
    /// let second = reader.read(one).await?;
    /// assert!(first.records[0].position < second.records[0].position);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`PositionTrimmed`](super::TransportErrorKind::PositionTrimmed) if retention or
    /// `trim` passed the reader, with [`WrongIncarnation`](super::TransportErrorKind::WrongIncarnation) or
    /// [`NotFound`](super::TransportErrorKind::NotFound) if the channel was replaced or deleted,
    /// with [`PositionBeyondEnd`](super::TransportErrorKind::PositionBeyondEnd) if the channel
    /// became shorter than the reader's place, as in a failover that lost records, and with
    /// [`Unavailable`](super::TransportErrorKind::Unavailable) if the broker stays away. The reader
    /// keeps its place over an error.
    ///
    /// # Cancel safety
    /// Cancelling loses no record: the next call returns what this one would have.
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch>;

    /// Moves the reader to another place in the channel.
    ///
    /// ```
    /// use msgstream_core::transport::{ChannelReader, Start, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let mut reader = broker.reader("orders", Start::Earliest).await?;
    /// reader.seek(Start::Latest).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails like [`Transport::reader_with`](super::Transport::reader_with).
    ///
    /// # Cancel safety
    /// After a cancelled call the reader is at the old place or at the new one.
    async fn seek(&mut self, start: Start) -> Result<()>;

    /// Returns the incarnation of the channel that this reader reads.
    ///
    /// ```
    /// use msgstream_core::transport::{ChannelReader, Start, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let reader = broker.reader("orders", Start::Earliest).await?;
    /// assert_eq!(reader.incarnation(), broker.describe("orders").await?.incarnation);
    /// # Ok(())
    /// # }
    /// ```
    fn incarnation(&self) -> Incarnation;
}
