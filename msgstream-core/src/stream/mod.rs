//! The design document's names: [`MsgStream`] and [`TtMsgStream`].
//!
//! Both are created empty, filled with channels, and started. They are for programs that were
//! written after that document, or after Milvus' code. New programs have less to get wrong with
//! [`Producer`](crate::Producer) and [`Consumer`](crate::Consumer), which do the same.

mod consume;
mod produce;
mod tt;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::tt::TtMsgStream;
use crate::consume::batches::Batches;
use crate::consume::outage::RETRY_FOR;
use crate::error::{Error, Result};
use crate::produce::session::Counts;
use crate::produce::writers::Writers;
use crate::repack::{ByHashKey, Repack};
use crate::transport::Transport;

/// Produces packs to channels and consumes packs from channels, over any transport.
///
/// A pack that is produced is split over the channels by the stream's [`Repack`]. A pack that is
/// consumed is one batch of one channel, undecoded; channels take turns. For packs that are aligned
/// in event time over all channels, see [`TtMsgStream`].
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::transport::{Start, TransportExt};
/// use msgstream_core::{Error, MsgPack, MsgStream, Timestamp};
/// use msgstream_mem::{MemConfig, MemTransport};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
/// let transport = MemTransport::new(MemConfig::default());
/// transport.create("prices").await?;
///
/// let mut stream = MsgStream::new(Arc::new(transport));
/// stream.create_producers(&["prices"]).await?;
/// stream.create_consumers(Some("billing"), &["prices"], Start::Earliest).await?;
/// stream.start()?;
///
/// stream.produce(MsgPack::of(order(7))?).await?;
/// stream.end(Timestamp(7)).await?;
/// let mut records = 0;
/// while let Some(pack) = stream.consume().await? {
///     records += pack.msgs.len();
///     stream.ack(&pack).await?;
/// }
/// assert_eq!(records, 2, "the message and the end");
/// stream.close().await
/// # }
/// ```
pub struct MsgStream {
    transport: Arc<dyn Transport>,
    repack: Box<dyn Repack>,
    producer: Option<Writers>,
    consumer: Option<Batches>,
    counts: Counts,
    /// Messages behind a tick are written.
    allow_late: bool,
    /// For how long consuming retries temporary errors.
    retry_for: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Started,
    Closed,
}

impl MsgStream {
    /// Creates a stream without channels, which splits packs by hash key.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        let repack = Box::new(ByHashKey);
        Self {
            transport,
            repack,
            producer: None,
            consumer: None,
            counts: Counts::default(),
            allow_late: false,
            retry_for: RETRY_FOR,
            state: State::New,
        }
    }

    /// Sets how packs are split over channels. [`ByHashKey`] unless set.
    ///
    /// ```
    /// # use msgstream_core::{MsgStream, repack::InsertByRow};
    /// # let transport = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let mut stream = MsgStream::new(transport);
    /// stream.set_repack(InsertByRow);
    /// ```
    pub fn set_repack(&mut self, repack: impl Repack + 'static) -> &mut Self {
        self.repack = Box::new(repack);
        self
    }

    /// Starts the stream: from now on it produces and consumes. Starting again has no effect.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use msgstream_core::{MsgStream, transport::TransportExt};
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// stream.create_producers(&["prices"]).await?;
    /// stream.start()?;
    /// stream.close().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn start(&mut self) -> Result<()> {
        self.not_closed("start")?;
        self.state = State::Started;
        Ok(())
    }

    /// Waits until everything submitted is stored, and closes the stream. Closing again has no
    /// effect. The transport stays open.
    ///
    /// # Errors
    /// [`Error::Produce`] for the first pack that was not all stored, even if its own receipt said
    /// so already; [`Error::Transport`] if a writer can't be closed. The stream is closed all the
    /// same.
    ///
    /// # Cancel safety
    /// The call may be repeated after it was cancelled.
    pub async fn close(&mut self) -> Result<()> {
        self.state = State::Closed;
        self.consumer = None;
        let closed = match &mut self.producer {
            Some(producer) => producer.close().await,
            None => Ok(()),
        };
        self.producer = None;
        closed
    }

    fn started(&self, operation: &'static str) -> Result<()> {
        self.not_closed(operation)?;
        if self.state == State::New { Err(Error::NotStarted { operation }) } else { Ok(()) }
    }

    fn not_closed(&self, operation: &'static str) -> Result<()> {
        if self.state == State::Closed { Err(Error::Closed { operation }) } else { Ok(()) }
    }
}

impl fmt::Debug for MsgStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsgStream")
            .field("transport", &self.transport)
            .field("producer", &self.producer)
            .field("consumer", &self.consumer)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
