//! [`MsgStream`]: packs to many channels, and packs from many channels, each in its own order.

mod consume;
mod tt;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::tt::TtMsgStream;
use crate::consume::batches::Batches;
use crate::consume::outage::RETRY_FOR;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::produce::distinct;
use crate::produce::session::Counts;
use crate::produce::writers::Writers;
use crate::produce::{Opened, PackReceipt, Produced, SessionConfig, SessionCounts};
use crate::record::Timestamp;
use crate::repack::{ByHashKey, Repack};
use crate::transport::Transport;

/// Produces packs to channels and consumes packs from channels, over any transport.
///
/// A pack that is produced is split over the channels by the stream's [`Repack`]. A pack that is
/// consumed is one batch of one channel, undecoded; channels take turns. For packs that are
/// aligned in time over all channels, see [`TtMsgStream`](crate::stream::TtMsgStream).
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::message::{MsgPack, SerdeMsg};
/// use msgstream_core::stream::MsgStream;
/// use msgstream_core::transport::{Start, Transport};
/// use msgstream_core::{Error, MsgType, Timestamp};
///
/// async fn relay(transport: Arc<dyn Transport>) -> Result<(), Error> {
///     let mut stream = MsgStream::new(transport);
///     stream.create_producers(&["prices-0", "prices-1"]).await?;
///     stream.create_consumers(Some("billing"), &["prices-0"], Start::Earliest).await?;
///     stream.start()?;
///
///     stream.tick(Timestamp::from_unix_millis(1_700_000_000_000).unwrap_or_default()).await?;
///     while let Some(pack) = stream.consume().await? {
///         println!("{} messages", pack.msgs.len());
///         stream.ack(&pack).await?;
///     }
///     stream.close().await
/// }
/// ```
pub struct MsgStream {
    transport: Arc<dyn Transport>,
    repack: Box<dyn Repack>,
    producer: Option<Writers>,
    consumer: Option<Batches>,
    counts: Counts,
    /// For how long consuming rides out what passes.
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
    /// A stream that has no channels yet and splits packs by hash key.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        let repack = Box::new(ByHashKey);
        Self {
            transport,
            repack,
            producer: None,
            consumer: None,
            counts: Counts::default(),
            retry_for: RETRY_FOR,
            state: State::New,
        }
    }

    /// Sets what splits packs over channels. [`ByHashKey`] unless it is called.
    pub fn set_repack(&mut self, repack: impl Repack + 'static) -> &mut Self {
        self.repack = Box::new(repack);
        self
    }

    /// Opens writers on channels, in place of those that the stream has. Their order is what a
    /// repack's indexes count by.
    ///
    /// After a failed write this is the way on: it opens new writers.
    ///
    /// # Errors
    /// [`Error::Config`] for no channel or one named twice, [`Error::Closed`],
    /// [`Error::Ended`] for a channel that has ended, and [`Error::Transport`], such as for a
    /// channel that isn't there.
    ///
    /// An end is found among the last 64 records; who may not read doesn't find it.
    ///
    /// # Cancel safety
    /// After a cancelled call the stream has its earlier writers; they may be closed.
    pub async fn create_producers(&mut self, channels: &[&str]) -> Result<()> {
        self.not_closed("create_producers")?;
        distinct(channels.iter().copied())?;
        self.close_producer().await;
        self.producer = Some(Writers::open(&*self.transport, channels).await?);
        Ok(())
    }

    /// Opens a session on channels, in place of the writers that the stream has: what fails is
    /// written again, and a [`TtMsgStream`](crate::TtMsgStream) takes each message once. Their
    /// order is what a repack's indexes count by. See [`session`](crate::session).
    ///
    /// The home channel is one of them, or another one. It must be there, as all of them.
    ///
    /// The program goes on with what follows [`Opened::last`] in its own source. After
    /// [`Error::Produce`] this is the way on, too.
    ///
    /// # Errors
    /// [`Error::Fenced`] where a newer session was opened meanwhile, [`Error::NumbersLost`],
    /// [`Error::NumbersSpent`], [`Error::Ended`] for a channel that has ended (with
    /// [`scan_since`](SessionConfig::with_scan_since) it is found among the last 64 records),
    /// [`Error::Config`] for no channel or one named twice, or outside of a tokio runtime,
    /// [`Error::Closed`], and [`Error::Transport`], such as for a channel that isn't there, or
    /// where it fails for [`retry_for`](SessionConfig::with_retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call the stream has its earlier writers; they may be closed. An earlier
    /// session of the producer may be fenced.
    pub async fn create_session(
        &mut self,
        config: SessionConfig,
        channels: &[&str],
    ) -> Result<Opened> {
        self.not_closed("create_session")?;
        distinct(channels.iter().copied())?;
        self.close_producer().await;
        let open = Writers::with_session(&self.transport, config, channels, &self.counts);
        let (producer, opened) = open.await?;
        self.producer = Some(producer);
        Ok(opened)
    }

    /// Makes sure that everything that was acknowledged before the call counts: that no newer
    /// session of the producer had begun. A program that is to forget what it wrote confirms
    /// first.
    ///
    /// It writes one record to the home channel and reads up to it.
    ///
    /// # Errors
    /// [`Error::Fenced`] where a newer session began: what was acknowledged since the last
    /// successful call may be void, and the stream produces nothing more. [`Error::NoSession`],
    /// [`Error::Transport`] where the home channel fails, [`Error::Closed`],
    /// [`Error::NotStarted`], [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing; the call may be repeated.
    pub async fn confirm(&mut self) -> Result<()> {
        self.producing("confirm")?.0.confirm().await
    }

    /// What the stream's sessions did so far, all in all.
    #[must_use]
    pub fn session_counts(&self) -> SessionCounts {
        self.counts.get()
    }

    /// Starts the stream: from now on it produces and consumes. Starting twice is harmless.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn start(&mut self) -> Result<()> {
        self.not_closed("start")?;
        self.state = State::Started;
        Ok(())
    }

    /// Splits a pack over the channels, writes it, and waits until all of it is stored.
    ///
    /// # Errors
    /// [`Error::Produce`] where not all of it is stored, with each channel's outcome. With any
    /// other error nothing of the pack was sent: [`Error::Repack`], [`Error::Transport`] for a
    /// message over the transport's limit or for a writer that failed before, [`Error::LastTick`],
    /// [`Error::Ended`], and as [`MsgStream::submit`].
    ///
    /// # Cancel safety
    /// After a cancelled call the pack is stored, or will be, in whole, in part or not at all. To
    /// be sure, wait with [`MsgStream::ready`], which may be cancelled, and then
    /// [`submit`](MsgStream::submit).
    pub async fn produce(&mut self, pack: MsgPack) -> Result<Produced> {
        let (producer, repack) = self.producing("produce")?;
        producer.produce(pack, repack).await
    }

    /// Waits until all writers take another pack: what is in flight is bounded.
    ///
    /// # Errors
    /// [`Error::Transport`] where a writer failed before, and as [`MsgStream::submit`].
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn ready(&mut self) -> Result<()> {
        self.producing("ready")?.0.ready().await
    }

    /// Splits a pack over the channels and hands it to the writers. The receipt tells what became
    /// of it; further packs may be submitted before it comes. Call [`ready`](Self::ready) first:
    /// without it a pack over the bound is taken all the same.
    ///
    /// # Errors
    /// Nothing of the pack was sent: [`Error::Repack`], [`Error::Transport`] for a message over
    /// the transport's limit, [`Error::LastTick`], [`Error::Ended`], [`Error::NotStarted`],
    /// [`Error::Closed`], [`Error::NoChannels`].
    pub fn submit(&mut self, pack: MsgPack) -> Result<PackReceipt> {
        let (producer, repack) = self.producing("submit")?;
        producer.submit(pack, repack)
    }

    /// Writes every message of a pack to every channel, and waits until all are stored. It is not
    /// atomic: the outcome is each channel's own.
    ///
    /// A pack that was consumed goes on as the bytes it came as.
    ///
    /// # Errors
    /// As [`MsgStream::produce`].
    ///
    /// # Cancel safety
    /// After a cancelled call each channel has the pack, or will have it, in whole, in part or not
    /// at all.
    pub async fn broadcast(&mut self, pack: &MsgPack) -> Result<Produced> {
        self.producing("broadcast")?.0.broadcast(pack).await
    }

    /// Promises on every channel that nothing at or before `ts` follows: writes a time tick once
    /// everything submitted so far is stored. A tick that repeats or goes back changes nothing for
    /// readers.
    ///
    /// # Errors
    /// [`Error::Produce`] where a pack before it is not all stored, and then no tick was sent; it
    /// stays so until the producers are created again. [`Error::LastTick`] for
    /// [`Timestamp::MAX`]. Else as [`MsgStream::produce`].
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have the tick.
    pub async fn tick(&mut self, ts: Timestamp) -> Result<Produced> {
        self.producing("tick")?.0.tick(ts, false).await
    }

    /// Ends every channel: like [`tick`](Self::tick), and a promise that nothing at all follows.
    /// The end is a record in the channel. Where it fails, create the producers again, without the
    /// channels that are [`Ended`](Error::Ended) then, and repeat it. Everything submitted before
    /// is stored on all channels before the first one is ended.
    ///
    /// # Errors
    /// As [`MsgStream::tick`].
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have ended.
    pub async fn end(&mut self, ts: Timestamp) -> Result<Produced> {
        self.producing("end")?.0.tick(ts, true).await
    }

    /// Waits until everything submitted is stored, and ends the stream. Closing twice is harmless.
    /// The transport stays open.
    ///
    /// # Errors
    /// [`Error::Produce`] for the first pack that was not all stored, also where its own receipt
    /// said so already; [`Error::Transport`] where a writer can't be closed. The stream is closed
    /// all the same.
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
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

    async fn close_producer(&mut self) {
        if let Some(earlier) = &mut self.producer {
            // What became of earlier packs is in their own receipts.
            drop(earlier.close().await);
        }
    }

    fn producing(&mut self, operation: &'static str) -> Result<(&mut Writers, &dyn Repack)> {
        self.started(operation)?;
        let none = Error::NoChannels { operation, create: "create_producers" };
        Ok((self.producer.as_mut().ok_or(none)?, &*self.repack))
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
