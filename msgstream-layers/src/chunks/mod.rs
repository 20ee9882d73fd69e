//! [`Chunks`]: a transport that takes messages over its limit.

mod beginning;
mod fetch;
mod held;
mod part;
mod pump;
mod reader;
mod scan;
mod scheme;
mod subscription;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, ReaderOptions, Result, Start,
    Subscription, Transport, TransportError, TransportErrorKind as Kind,
};

use self::pump::{Busy, Pump};
use self::reader::JoiningReader;
use self::scan::Scan;
pub use self::scheme::ChunksScheme;
use self::subscription::HeldBack;
use self::writer::SplittingWriter;
use crate::planted::{Bug, planted};

/// A layer that splits messages over a transport's limit into parts, and hands them out whole.
///
/// A record that the transport takes is written as it is. A larger one becomes several records: all
/// parts but the last, then, once they are stored, the last one, with what is in the message's headers.
/// What is submitted behind it waits for that. So a message is there if its last part is, and it is
/// one record to everything above, at the position of its last part.
///
/// A reader collects parts in memory, up to as many bytes as a message may have. What it doesn't have when
/// a last part comes, it reads again from the first part on, which the last one names: so it may start
/// anywhere. Parts that never become a message, because their writer failed, are no records to
/// anybody.
///
/// Every reader, and whoever trims the channel or acknowledges on it, must have this layer:
///
/// - [`trim`](Transport::trim) removes nothing of a message whose last part stays, and for that it reads
///   what is removed.
/// - If acknowledging removes records (without the capability `ack_keeps`), a subscription moves at most to the
///   first part of a message that ends later, and for that it reads what is acknowledged.
/// - If the broker's own retention removed first parts, readers that resume at a position fail with
///   [`PositionTrimmed`](Kind::PositionTrimmed), and others pass the message over.
///
/// [`describe`](Transport::describe) returns no number of records, because parts aren't counted apart.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::record::{Meta, MsgType, Record};
/// use msgstream_core::transport::{Start, Transport, TransportExt};
/// use msgstream_core::Timestamp;
/// use msgstream_layers::Chunks;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let config = msgstream_mem::MemConfig::default().with_max_payload(1 << 20);
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(config));
///
/// assert_eq!(broker.capabilities().max_payload, Some(1 << 20));
/// let broker = Chunks::over(broker);
/// broker.create("scans").await?;
/// let large = Record::new(Meta::new(MsgType(70_001), Timestamp(7)), vec![7; 5 << 20]);
/// broker.writer("scans").await?.submit(vec![large.clone()]).await;
///
/// let mut reader = broker.reader("scans", Start::Earliest).await?;
/// let read = reader.read(Default::default()).await?.records;
/// assert_eq!((read.len(), &read[0].payload), (1, &large.payload));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Chunks {
    inner: Arc<dyn Transport>,
    sizes: Sizes,
    abandoned_after: Duration,
    counters: Arc<Counters>,
    busy: Arc<Busy>,
}

/// Sizes of payloads, in bytes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// The largest one of a message.
    message: usize,
    /// The largest one that isn't split, if the transport takes it.
    part: usize,
}

/// How often a [`Chunks`] has split and joined. Each reader counts for itself.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_layers::{ChunkCounts, Chunks};
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// assert_eq!(Chunks::over(broker).counts(), ChunkCounts::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkCounts {
    /// Messages that were split.
    pub split: u64,
    /// Messages that readers have joined.
    pub joined: u64,
    /// Messages that readers had to read again from their first part on.
    pub fetched: u64,
    /// Messages that were never finished, and whose parts readers dropped.
    pub abandoned: u64,
    /// Messages that readers passed over, because retention had removed first parts.
    pub removed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    split: AtomicU64,
    joined: AtomicU64,
    fetched: AtomicU64,
    abandoned: AtomicU64,
    removed: AtomicU64,
}

impl Chunks {
    /// The largest payload of a message unless another one is set: 64 MiB.
    ///
    /// ```
    /// assert_eq!(msgstream_layers::Chunks::MESSAGE_BYTES, 64 << 20);
    /// ```
    pub const MESSAGE_BYTES: usize = 64 << 20;

    /// For how long a message may be written unless another time is set: an hour.
    const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

    /// Returns a layer over a transport.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_layers::Chunks;
    /// fn chunked(broker: Arc<dyn Transport>) -> Arc<dyn Transport> {
    ///     Arc::new(Chunks::over(broker))
    /// }
    /// ```
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self {
            inner: transport,
            sizes: Sizes { message: Self::MESSAGE_BYTES, part: usize::MAX },
            abandoned_after: Self::ABANDONED_AFTER,
            counters: Arc::default(),
            busy: Arc::default(),
        }
    }

    /// Sets the largest payload of a message, in bytes. A reader collects parts up to so many bytes, and
    /// has another message beside them while it reads that one again. A larger message is refused by
    /// writers, and unreadable to readers.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_layers::Chunks;
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let broker = Chunks::over(broker).with_message_bytes(256 << 20);
    /// assert_eq!(broker.capabilities().max_payload, Some(256 << 20));
    /// ```
    #[must_use]
    pub fn with_message_bytes(mut self, bytes: usize) -> Self {
        self.sizes.message = bytes;
        self
    }

    /// Sets the largest payload of a part, in bytes; 0 counts as 1. Unless it is set, parts are as large as
    /// the transport takes them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_layers::Chunks;
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let broker = Chunks::over(broker).with_part_bytes(256 << 10);
    /// ```
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: usize) -> Self {
        self.sizes.part = bytes.max(1);
        self
    }

    /// Sets for how long a message may be written: one that isn't whole so long after its first part never will
    /// be, and [`trim`](Transport::trim) and subscriptions needn't keep it. An hour unless it is set; every
    /// transport gives up earlier than that.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// use msgstream_layers::Chunks;
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let broker = Chunks::over(broker).with_abandoned_after(Duration::from_secs(7200));
    /// ```
    #[must_use]
    pub fn with_abandoned_after(mut self, after: Duration) -> Self {
        self.abandoned_after = after;
        self
    }

    /// Returns how often it has split and joined, by all of its writers and readers.
    #[must_use]
    pub fn counts(&self) -> ChunkCounts {
        let Counters { split, joined, fetched, abandoned, removed } = &*self.counters;
        let [split, joined, fetched, abandoned, removed] =
            [split, joined, fetched, abandoned, removed].map(|count| count.load(Ordering::Relaxed));
        ChunkCounts { split, joined, fetched, abandoned, removed }
    }
}

#[async_trait]
impl Transport for Chunks {
    delegate!(self => self.inner, Transport {
        create_with, delete, list, unsubscribe, subscriptions, risks, encode_position,
        decode_position,
    });

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_max_payload(self.sizes.message)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let mut info = self.inner.describe(channel).await?;
        // It would count parts.
        info.records = None;
        Ok(info)
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        if !self.inner.capabilities().trim || planted(Bug::TrimPassedOn) {
            return self.inner.trim(channel, before).await;
        }
        let end = self.inner.describe(channel).await?.end;
        if before > end {
            let kind = Kind::PositionBeyondEnd { position: before, end };
            return Err(TransportError::new("trim", kind).on(channel));
        }
        let mut scan = Scan::open(self.inner.clone(), channel, Start::Earliest).await?;
        let before = scan.up_to(before, self.abandoned_after).await?;
        self.inner.trim(channel, before).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let inner = self.inner.writer(channel).await?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            let reason = "the system has no random numbers for a writer".to_owned();
            Failure::new(Kind::Unavailable { reason }, error).during("writer").on(channel)
        })?;
        let id = u128::from_ne_bytes(id);
        let pump = Pump::new(inner, channel, self.busy.clone());
        Ok(Box::new(SplittingWriter::new(pump, id, self.sizes, self.counters.clone())))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.inner.reader_with(channel, options).await?;
        let (transport, counters) = (self.inner.clone(), self.counters.clone());
        let (start, sizes) = (options.start, self.sizes);
        Ok(Box::new(JoiningReader::new(inner, transport, channel, start, sizes, counters)))
    }

    async fn close(&self) -> Result<()> {
        self.busy.end().await;
        self.inner.close().await
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let inner = self.inner.subscription(channel, name).await?;
        if self.inner.capabilities().ack_keeps || planted(Bug::AckPassedOn) {
            return Ok(inner);
        }
        let (transport, after) = (self.inner.clone(), self.abandoned_after);
        Ok(Arc::new(HeldBack::new(inner, transport, channel, after)))
    }
}
