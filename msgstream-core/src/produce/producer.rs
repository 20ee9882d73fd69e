//! [`Producer`]: messages to many channels.

use std::fmt;
use std::sync::Arc;

use super::builder::ProducerBuilder;
use super::session::{Counts, Opened, SessionCounts};
use super::writers::Writers;
use super::{PackReceipt, Produced};
use crate::error::Result;
use crate::message::{IntoPack, MsgPack};
use crate::record::Timestamp;
use crate::repack::Repack;
use crate::transport::Transport;

/// Writes messages to many channels. An open producer works: there is nothing to start.
///
/// Messages are split over the channels by hash key, unless the builder has another
/// [`Repack`]. A tick promises that nothing at or before its time follows; consumers hand out a
/// pack once every channel has ticked.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::message::Event;
/// use msgstream_core::transport::Transport;
/// use msgstream_core::{Error, Producer};
///
/// async fn copy<E: Event>(broker: Arc<dyn Transport>, events: Vec<E>) -> Result<(), Error> {
///     let mut producer =
///         Producer::builder(broker).channels(["orders-0", "orders-1"]).create_missing().open().await?;
///     for event in events {
///         let ts = event.timestamp();
///         producer.send(event).await?;
///         producer.tick(ts).await?;
///     }
///     producer.close().await
/// }
/// ```
///
/// After [`Error::Produce`](crate::Error::Produce) the channels that failed take nothing more:
/// open another producer. In a [session](ProducerBuilder::session) the producer writes again by
/// itself what fails, and [`confirm`](Producer::confirm) is there.
///
/// What needs a session can't be called without one:
///
/// ```compile_fail,E0599
/// # async fn f(mut producer: msgstream_core::Producer) -> Result<(), msgstream_core::Error> {
/// producer.confirm().await
/// # }
/// ```
///
/// Nor can anything be sent after the end or the close:
///
/// ```compile_fail,E0382
/// # async fn f(mut producer: msgstream_core::Producer) -> Result<(), msgstream_core::Error> {
/// producer.close().await?;
/// producer.ready().await
/// # }
/// ```
pub struct Producer<S = NoSession> {
    writers: Writers,
    repack: Box<dyn Repack>,
    session: S,
}

/// A [`Producer`] without a session.
#[derive(Clone, Copy, Debug)]
pub struct NoSession;

/// A [`Producer`] in a session.
#[derive(Debug)]
pub struct InSession {
    pub(super) opened: Opened,
    pub(super) counts: Counts,
}

impl Producer {
    /// Returns a builder of a producer on this transport.
    pub fn builder(transport: Arc<dyn Transport>) -> ProducerBuilder {
        ProducerBuilder::new(transport)
    }
}

impl<S> Producer<S> {
    pub(super) const fn new(writers: Writers, repack: Box<dyn Repack>, session: S) -> Self {
        Self { writers, repack, session }
    }

    /// Sends an event, a message, several, or a pack, and waits until all of it is stored.
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) if not all of it is stored, with each channel's
    /// outcome. With any other error nothing was sent: [`Error::Encode`](crate::Error::Encode),
    /// [`Error::Repack`](crate::Error::Repack), [`Error::Transport`](crate::Error::Transport) for a
    /// message over the transport's limit or for a writer that failed before,
    /// [`Error::LastTick`](crate::Error::LastTick), [`Error::Ended`](crate::Error::Ended).
    ///
    /// # Cancel safety
    /// After a cancelled call the messages are stored, or will be, in whole, in part or not at all.
    /// To be sure, wait with [`ready`](Self::ready), which may be cancelled, and then
    /// [`submit`](Self::submit).
    pub async fn send(&mut self, messages: impl IntoPack) -> Result<Produced> {
        let pack = messages.into_pack()?;
        self.writers.produce(pack, &*self.repack).await
    }

    /// Waits until all writers take another pack: what is in flight is bounded.
    ///
    /// # Errors
    /// [`Error::Transport`](crate::Error::Transport) if a writer failed before,
    /// [`Error::Fenced`](crate::Error::Fenced).
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn ready(&mut self) -> Result<()> {
        self.writers.ready().await
    }

    /// Hands messages to the writers. The receipt says what became of them; more may be submitted
    /// before it comes. Call [`ready`](Self::ready) first: without it messages over the bound are
    /// taken all the same.
    ///
    /// # Errors
    /// Nothing was sent: [`Error::Encode`](crate::Error::Encode),
    /// [`Error::Repack`](crate::Error::Repack), [`Error::Transport`](crate::Error::Transport) for a
    /// message over the transport's limit, [`Error::LastTick`](crate::Error::LastTick),
    /// [`Error::Ended`](crate::Error::Ended), [`Error::Fenced`](crate::Error::Fenced).
    pub fn submit(&mut self, messages: impl IntoPack) -> Result<PackReceipt> {
        let pack = messages.into_pack()?;
        self.writers.submit(pack, &*self.repack)
    }

    /// Sends every message of a pack to every channel, and waits until all are stored. It is not
    /// atomic: the outcome is each channel's own.
    ///
    /// A pack that was consumed goes on as the bytes it came as.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// After a cancelled call each channel has the pack, or will have it, in whole, in part or not
    /// at all.
    pub async fn broadcast(&mut self, pack: &MsgPack) -> Result<Produced> {
        self.writers.broadcast(pack).await
    }

    /// Promises on every channel that nothing at or before `ts` follows: writes a time tick once
    /// everything submitted so far is stored. A tick that repeats or goes back changes nothing for
    /// consumers.
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) if a pack before it is not all stored, and then no
    /// tick was sent. [`Error::LastTick`](crate::Error::LastTick) for [`Timestamp::MAX`]. Else as
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have the tick.
    pub async fn tick(&mut self, ts: Timestamp) -> Result<Produced> {
        self.writers.tick(ts, false).await
    }

    /// Waits until everything submitted is stored.
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) for the first pack that was not all stored, also if
    /// its own receipt said so already.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn flush(&mut self) -> Result<()> {
        self.writers.settle().await
    }

    /// Ends every channel for good, and closes the producer: like [`tick`](Self::tick), and a promise
    /// that nothing at all follows. The end is a record in the channel. Everything submitted before
    /// is stored on all channels before the first one is ended.
    ///
    /// If it fails, open a producer on the channels that haven't [`Ended`](crate::Error::Ended), and
    /// end those.
    ///
    /// # Errors
    /// As [`tick`](Self::tick) and [`close`](Self::close).
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have ended.
    pub async fn end(mut self, ts: Timestamp) -> Result<()> {
        self.writers.tick(ts, true).await?;
        self.close().await
    }

    /// Waits until everything submitted is stored, and closes the producer. The transport stays open.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`Error::Transport`](crate::Error::Transport) if a writer can't
    /// be closed.
    ///
    /// # Cancel safety
    /// The producer is closed after a cancelled call, and what was submitted may be stored or not:
    /// [`flush`](Self::flush) first, which may be cancelled.
    pub async fn close(mut self) -> Result<()> {
        self.writers.close().await
    }
}

impl Producer<InSession> {
    /// Returns what opening the session found: its epoch, and the number of the last message of this
    /// producer on each channel.
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.session.opened
    }

    /// Returns what the session did so far.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        self.session.counts.get()
    }

    /// Makes sure that everything that was acknowledged before the call counts: that no newer
    /// session of the producer had begun. A program that is to forget what it wrote confirms first.
    ///
    /// It writes one record to the home channel and reads up to it.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced) if a newer session began: what was acknowledged since
    /// the last successful call may be void, and the producer sends nothing more.
    /// [`Error::Transport`](crate::Error::Transport) if the home channel fails.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing; the call may be repeated.
    pub async fn confirm(&mut self) -> Result<()> {
        self.writers.confirm().await
    }
}

impl<S: fmt::Debug> fmt::Debug for Producer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("writers", &self.writers)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
