//! What a [`MsgStream`] produces.

use super::MsgStream;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::produce::writers::{TickRules, Writers};
use crate::produce::{Opened, PackReceipt, Produced, SessionConfig, SessionCounts, distinct};
use crate::record::Timestamp;
use crate::repack::Repack;

impl MsgStream {
    /// Opens writers on channels, in place of those that the stream has. A repack names the
    /// channels by their index in this order.
    ///
    /// After a failed write, call this again: it opens new writers.
    ///
    /// # Errors
    /// [`Error::Config`] for no channel or one named twice, [`Error::Closed`],
    /// [`Error::Ended`] for a channel that has ended, and [`Error::Transport`], such as for a
    /// channel that doesn't exist.
    ///
    /// The end of a channel is looked for at its last 64 positions, and further back if those have few
    /// records. It isn't found without the permission to read.
    ///
    /// # Cancel safety
    /// After a cancelled call the stream has its earlier writers; they may be closed.
    pub async fn create_producers(&mut self, channels: &[&str]) -> Result<()> {
        self.not_closed("create_producers")?;
        distinct(channels.iter().copied())?;
        self.close_producer().await;
        self.producer = Some(Writers::open(&*self.transport, channels, self.tick_rules()).await?);
        Ok(())
    }

    /// Opens a session on channels, in place of the writers that the stream has: it sends again
    /// what failed, and a [`TtMsgStream`](crate::TtMsgStream) delivers each message once. A repack
    /// names the channels by their index in this order. See [`session`](crate::produce::session).
    ///
    /// The program continues with what follows [`Opened::last`] in its own source. After
    /// [`Error::Produce`], call this again.
    ///
    /// ```
    /// # use msgstream_core::{MsgStream, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// use msgstream_core::produce::SessionConfig;
    /// let opened = stream.create_session(SessionConfig::new("copier"), &["prices"]).await?;
    /// assert_eq!(opened.last["prices"], 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Fenced`] if a newer session was opened meanwhile, [`Error::NumbersLost`],
    /// [`Error::NumbersSpent`], [`Error::Ended`] for a channel that has ended (with
    /// [`scan_since`](SessionConfig::with_scan_since) the end is looked for at the last 64
    /// positions), [`Error::Config`] for no channel or one named twice, or outside of a tokio
    /// runtime, [`Error::Closed`], and [`Error::Transport`], such as for a channel that doesn't
    /// exist, or that fails for longer than [`retry_for`](SessionConfig::with_retry_for).
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
        let rules = self.tick_rules();
        let open = Writers::with_session(&self.transport, config, channels, &self.counts, rules);
        let (producer, opened) = open.await?;
        self.producer = Some(producer);
        Ok(opened)
    }

    /// Makes sure that everything that was acknowledged before the call counts: that no newer
    /// session of the producer had begun. A program confirms before it forgets what it wrote.
    ///
    /// This writes one record to the home channel and reads up to it.
    ///
    /// # Errors
    /// [`Error::Fenced`] if a newer session began: what was acknowledged since the last
    /// successful call may be void, and the stream produces nothing more. [`Error::NoSession`],
    /// [`Error::Transport`] if the home channel fails, [`Error::Closed`],
    /// [`Error::NotStarted`], [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing; the call may be repeated.
    pub async fn confirm(&mut self) -> Result<()> {
        self.producing("confirm")?.0.confirm().await
    }

    /// Returns what all of the stream's sessions together have done so far.
    #[must_use]
    pub fn session_counts(&self) -> SessionCounts {
        self.counts.get()
    }

    /// Splits a pack over the channels, writes it, and waits until all of it is stored.
    ///
    /// ```
    /// # use msgstream_core::{MsgPack, MsgStream, Timestamp, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # stream.create_producers(&["prices"]).await?;
    /// # stream.start()?;
    /// let produced = stream.produce(MsgPack::of(order(7))?).await?;
    /// assert_eq!(produced.positions("prices").len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Produce`] if not all of it is stored, with each channel's outcome. With any
    /// other error nothing of the pack was sent: [`Error::Repack`], [`Error::Transport`] for a
    /// message over the transport's limit or for a writer that failed before, [`Error::BehindTick`],
    /// [`Error::LastTick`], [`Error::Ended`], and as [`MsgStream::submit`].
    ///
    /// # Cancel safety
    /// After a cancelled call the pack is stored, or will be, in whole, in part or not at all. To
    /// be sure, wait with [`MsgStream::ready`], which may be cancelled, and then
    /// [`submit`](MsgStream::submit).
    pub async fn produce(&mut self, pack: MsgPack) -> Result<Produced> {
        let (producer, repack) = self.producing("produce")?;
        producer.produce(pack, repack).await
    }

    /// Waits until all writers accept another pack: what is in flight is bounded.
    ///
    /// # Errors
    /// [`Error::Transport`] if a writer failed before, and as [`MsgStream::submit`].
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn ready(&mut self) -> Result<()> {
        self.producing("ready")?.0.ready().await
    }

    /// Splits a pack over the channels and hands it to the writers without waiting. Returns a
    /// receipt, a future of the outcome; more packs may be submitted before it completes. Call
    /// [`ready`](Self::ready) first: without it the bound on what is in flight isn't kept.
    ///
    /// ```
    /// # use msgstream_core::{MsgPack, MsgStream, Timestamp, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # stream.create_producers(&["prices"]).await?;
    /// # stream.start()?;
    /// stream.ready().await?;
    /// let receipt = stream.submit(MsgPack::of(order(7))?)?;
    /// assert_eq!(receipt.await?.positions("prices").len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Nothing of the pack was sent: [`Error::Repack`], [`Error::Transport`] for a message over
    /// the transport's limit, [`Error::BehindTick`] for a message that isn't after a tick that was
    /// submitted, [`Error::LastTick`], [`Error::Ended`], [`Error::Fenced`], [`Error::NotStarted`],
    /// [`Error::Closed`], [`Error::NoChannels`].
    pub fn submit(&mut self, pack: MsgPack) -> Result<PackReceipt> {
        let (producer, repack) = self.producing("submit")?;
        producer.submit(pack, repack)
    }

    /// Writes every message of a pack to every channel, and waits until all are stored. This isn't
    /// atomic: each channel has an outcome of its own.
    ///
    /// Messages of a pack that was consumed are written unchanged, byte for byte.
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

    /// Writes a time tick to every channel once everything submitted so far is stored. It promises
    /// that nothing at or before `ts` follows: a message that isn't after it is refused from here on.
    /// Readers ignore a tick that repeats or goes back.
    ///
    /// ```
    /// # use msgstream_core::{MsgPack, MsgStream, Timestamp, transport::TransportExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = msgstream_mem::MemTransport::new(Default::default());
    /// # transport.create("prices").await?;
    /// # let mut stream = MsgStream::new(std::sync::Arc::new(transport));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # stream.create_producers(&["prices"]).await?;
    /// # stream.start()?;
    /// stream.produce(MsgPack::of(order(7))?).await?;
    /// stream.tick(Timestamp(7)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Produce`] if a pack before it is not all stored: then no tick was sent, and none is
    /// until the producers are created again. [`Error::LastTick`] for [`Timestamp::MAX`]. Otherwise
    /// as [`MsgStream::produce`].
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have the tick, and messages at or before
    /// `ts` may or may not be refused.
    pub async fn tick(&mut self, ts: Timestamp) -> Result<Produced> {
        self.producing("tick")?.0.tick(ts).await
    }

    /// Hands a time tick to every channel's writer without waiting. Returns a receipt; messages and
    /// more ticks may be submitted before it completes. Call [`ready`](Self::ready) first: at most
    /// 1,024 ticks of a channel are unacknowledged.
    ///
    /// The tick is written once the messages before it are stored. Messages that follow don't wait
    /// for it, so up to 1 MiB of them, and at most what may be in flight, may stand before it in the
    /// channel. A tick that is part of a pack holds back what follows it instead.
    ///
    /// # Errors
    /// Nothing was sent: [`Error::LastTick`] for [`Timestamp::MAX`], and as [`MsgStream::submit`].
    pub fn submit_tick(&mut self, ts: Timestamp) -> Result<PackReceipt> {
        self.producing("submit_tick")?.0.submit_tick(ts)
    }

    /// Promises, as a tick does, that nothing at or before `ts` follows, without writing one: a
    /// message that isn't after it is refused from here on. For a stream whose ticks somebody else
    /// writes, with the time that it reports to [`TimeSync`](crate::produce::TimeSync).
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::Closed`], [`Error::NoChannels`].
    pub fn promise(&mut self, ts: Timestamp) -> Result<()> {
        self.producing("promise")?.0.promise(ts);
        Ok(())
    }

    /// Lets the producers that are created from now on write messages that are not after the ticks
    /// that were submitted before them. They may be late then. Unless this is set, they are refused
    /// with [`Error::BehindTick`].
    pub const fn set_allow_late(&mut self, allow: bool) {
        self.allow_late = allow;
    }

    fn tick_rules(&self) -> TickRules {
        TickRules { allow_late: self.allow_late, ..TickRules::default() }
    }

    /// Ends every channel. The end is a record: a [`tick`](Self::tick) that also promises that
    /// nothing at all follows. Everything submitted before is stored on all channels before the
    /// first one is ended. If this fails, create the producers again, without the channels that are
    /// [`Ended`](Error::Ended) by then, and repeat it.
    ///
    /// # Errors
    /// As [`MsgStream::tick`].
    ///
    /// # Cancel safety
    /// After a cancelled call each channel may or may not have ended.
    pub async fn end(&mut self, ts: Timestamp) -> Result<Produced> {
        self.producing("end")?.0.end(ts).await
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
}
