//! [`Producer`]: messages to many channels.

mod in_session;

use std::fmt;
use std::sync::Arc;

use super::builder::ProducerBuilder;
use super::session::{Counts, Opened};
use super::writers::Writers;
use super::{PackReceipt, Produced};
use crate::error::Result;
use crate::message::{IntoPack, MsgPack};
use crate::record::Timestamp;
use crate::repack::Repack;
use crate::transport::Transport;

/// Writes messages to many channels.
///
/// Messages are split over the channels by hash key, unless the builder sets another [`Repack`].
/// A time tick promises that nothing at or before its time follows; consumers return a pack once
/// every channel has ticked.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::message::{Event, Json, hash_str};
/// use msgstream_core::{MsgType, Producer, Timestamp};
/// use msgstream_mem::{MemConfig, MemTransport};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Order { customer: String, cents: u64, at: Timestamp }
///
/// impl Event for Order {
///     const TYPE: MsgType = MsgType(70_001);
///     type Codec = Json;
///     fn timestamp(&self) -> Timestamp { self.at }
///     fn hash_key(&self) -> u32 { hash_str(&self.customer) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::Error> {
/// let broker = Arc::new(MemTransport::new(MemConfig::default()));
/// let mut producer =
///     Producer::builder(broker).channels(["orders-0", "orders-1"]).create_missing().open().await?;
/// producer.send(Order { customer: "ann".to_owned(), cents: 250, at: Timestamp(7) }).await?;
/// producer.tick(Timestamp(7)).await?;
/// producer.close().await
/// # }
/// ```
///
/// If it is dropped, nothing more is sent. Without a session, what was handed to the transport still
/// has its receipts, as long as the tokio runtime runs in which the producer was opened; in a
/// session the outcome of what isn't acknowledged is unknown. [`close`](Producer::close) waits.
///
/// After [`Error::Produce`](crate::Error::Produce) the channels that failed accept nothing more:
/// open another producer. In a [session](ProducerBuilder::session) the producer itself sends again
/// what failed, and [`confirm`](Producer::confirm) is available.
///
/// What needs a session doesn't compile without one:
///
/// ```compile_fail,E0599
/// # async fn f(mut producer: msgstream_core::Producer) -> Result<(), msgstream_core::Error> {
/// producer.confirm().await
/// # }
/// ```
///
/// Neither does sending after [`end`](Producer::end) or [`close`](Producer::close):
///
/// ```compile_fail,E0382
/// # async fn f(mut producer: msgstream_core::Producer) -> Result<(), msgstream_core::Error> {
/// producer.close().await?;
/// producer.ready().await
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # use msgstream_core::{Error, Producer, Timestamp};
/// # async fn f(mut producer: Producer) -> Result<(), Error> {
/// producer.end(Timestamp(8)).await?;
/// producer.tick(Timestamp(9)).await
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
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// let produced = producer.send(order(5)).await?;
    /// assert_eq!(produced.positions("orders-0").len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) if not all of it is stored, with each channel's
    /// outcome. With any other error nothing was sent: [`Error::Encode`](crate::Error::Encode),
    /// [`Error::Repack`](crate::Error::Repack), [`Error::Transport`](crate::Error::Transport) for a
    /// message over the transport's limit or for a writer that failed before,
    /// [`Error::BehindTick`](crate::Error::BehindTick) for a message that isn't after a tick that was
    /// submitted, [`Error::LastTick`](crate::Error::LastTick),
    /// [`Error::Ended`](crate::Error::Ended).
    ///
    /// # Cancel safety
    /// After a cancelled call the messages are stored, or will be, in whole, in part or not at all.
    /// To be sure, wait with [`ready`](Self::ready), which may be cancelled, and then
    /// [`submit`](Self::submit).
    pub async fn send(&mut self, messages: impl IntoPack) -> Result<Produced> {
        let pack = messages.into_pack()?;
        self.writers.produce(pack, &*self.repack).await
    }

    /// Waits until all writers accept another pack: what is in flight is bounded.
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

    /// Hands messages to the writers without waiting. Returns a receipt, a future of the outcome;
    /// more may be submitted before it completes. Call [`ready`](Self::ready) first: without it the
    /// bound on what is in flight isn't kept.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// let mut receipts = Vec::new();
    /// for ts in 1..=3 {
    ///     producer.ready().await?;
    ///     receipts.push(producer.submit(order(ts))?);
    /// }
    /// for receipt in receipts {
    ///     receipt.await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Nothing was sent: [`Error::Encode`](crate::Error::Encode),
    /// [`Error::Repack`](crate::Error::Repack), [`Error::Transport`](crate::Error::Transport) for a
    /// message over the transport's limit, [`Error::BehindTick`](crate::Error::BehindTick),
    /// [`Error::LastTick`](crate::Error::LastTick), [`Error::Ended`](crate::Error::Ended),
    /// [`Error::Fenced`](crate::Error::Fenced).
    pub fn submit(&mut self, messages: impl IntoPack) -> Result<PackReceipt> {
        let pack = messages.into_pack()?;
        self.writers.submit(pack, &*self.repack)
    }

    /// Sends every message of a pack to every channel, and waits until all are stored. This isn't
    /// atomic: each channel has an outcome of its own.
    ///
    /// Messages of a pack that was consumed are written unchanged, byte for byte.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// use msgstream_core::MsgPack;
    /// let produced = producer.broadcast(&MsgPack::of(order(5))?).await?;
    /// assert_eq!(produced.channels.len(), 2);
    /// # Ok(()) }
    /// ```
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

    /// Writes a time tick to every channel once everything submitted so far is stored, and waits until
    /// all have it. It promises that nothing at or before `ts` follows: a message that isn't after
    /// it is refused from here on. Consumers ignore a tick that repeats or goes back.
    ///
    /// To submit messages meanwhile, use [`submit_tick`](Self::submit_tick), which is much faster if
    /// ticks are frequent.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// producer.send(order(5)).await?;
    /// producer.tick(Timestamp(5)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) if a pack before it is not all stored, and then no
    /// tick was sent. [`Error::LastTick`](crate::Error::LastTick) for [`Timestamp::MAX`]. Else as
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have the tick, and messages at or before
    /// `ts` may or may not be refused.
    pub async fn tick(&mut self, ts: Timestamp) -> Result<Produced> {
        self.writers.tick(ts).await
    }

    /// Hands a time tick to every channel's writer without waiting. Returns a receipt; messages and
    /// more ticks may be submitted before it completes. Call [`ready`](Self::ready) first: at most
    /// 1,024 ticks of a channel are unacknowledged.
    ///
    /// The tick is written once the messages submitted before it are stored. Messages that follow
    /// don't wait for it, so they may stand before it in the channel; at most
    /// [`overtake_bytes`](ProducerBuilder::overtake_bytes) of them are sent ahead of it. A tick that is
    /// part of a pack holds back what follows it instead, and a message that is
    /// [late](ProducerBuilder::allow_late) for a tick isn't sent ahead of it. Without a session, a tick
    /// isn't stored if anything before it on its channel fails. In a session, a tick that had to be sent
    /// again may come after a later one, and then has no effect.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// let mut receipts = Vec::new();
    /// for ts in 1..=3 {
    ///     producer.ready().await?;
    ///     receipts.push(producer.submit(order(ts))?);
    ///     receipts.push(producer.submit_tick(Timestamp(ts))?);
    /// }
    /// for receipt in receipts {
    ///     receipt.await?;
    /// }
    /// assert!(producer.submit(order(3)).is_err(), "it is promised that none follows");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Nothing was sent: [`Error::LastTick`](crate::Error::LastTick) for [`Timestamp::MAX`],
    /// [`Error::Ended`](crate::Error::Ended), [`Error::Fenced`](crate::Error::Fenced).
    pub fn submit_tick(&mut self, ts: Timestamp) -> Result<PackReceipt> {
        self.writers.submit_tick(ts)
    }

    /// Promises, as a tick does, that nothing at or before `ts` follows, without writing one: a
    /// message that isn't after it is refused from here on. For a producer whose ticks somebody else
    /// writes, with the time that it reports to [`TimeSync`](super::TimeSync).
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// producer.promise(Timestamp(5));
    /// let refused = producer.send(order(5)).await;
    /// assert!(matches!(refused, Err(msgstream_core::Error::BehindTick { .. })));
    /// # Ok(()) }
    /// ```
    pub fn promise(&mut self, ts: Timestamp) {
        self.writers.promise(ts);
    }

    /// Waits until everything submitted is stored.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// let receipt = producer.submit(order(5))?;
    /// producer.flush().await?;
    /// assert_eq!(receipt.await?.positions("orders-0").len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Produce`](crate::Error::Produce) for the first pack that was not all stored, also
    /// if its own receipt said so already.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn flush(&mut self) -> Result<()> {
        self.writers.settle().await
    }

    /// Ends every channel for good, and closes the producer. The end is a record: a
    /// [`tick`](Self::tick) that also promises that nothing at all follows. Everything submitted
    /// before is stored on all channels before the first one is ended.
    ///
    /// If this fails, open a producer on the channels that haven't [`Ended`](crate::Error::Ended),
    /// and end those.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// producer.end(Timestamp(9)).await?;
    /// let again = Producer::builder(broker).channels(["orders-0"]).open().await;
    /// assert!(matches!(again, Err(msgstream_core::Error::Ended { .. })));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`tick`](Self::tick) and [`close`](Self::close).
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have ended.
    pub async fn end(mut self, ts: Timestamp) -> Result<()> {
        self.writers.end(ts).await?;
        self.close().await
    }

    /// Waits until everything submitted is stored, and closes the producer. The transport stays
    /// open.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().open().await?;
    /// producer.send(order(5)).await?;
    /// producer.close().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`Error::Transport`](crate::Error::Transport) if a writer
    /// can't be closed.
    ///
    /// # Cancel safety
    /// The producer is closed after a cancelled call, and what was submitted may be stored or not:
    /// [`flush`](Self::flush) first, which may be cancelled.
    pub async fn close(mut self) -> Result<()> {
        self.writers.close().await
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
