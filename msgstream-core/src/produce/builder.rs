//! Opening a producer.

use std::fmt;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::producer::{InSession, NoSession, Producer};
use super::session::{Counts, SessionConfig};
use super::writers::{TickRules, Writers};
use crate::error::Result;
use crate::repack::{ByHashKey, Repack};
use crate::transport::{AT_A_TIME, Transport, TransportExt as _};

/// Configures and opens a [`Producer`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// use msgstream_core::Producer;
/// let producer = Producer::builder(broker)
///     .channels(["orders-0", "orders-1"])
///     .create_missing()
///     .open()
///     .await?;
/// producer.close().await
/// # }
/// ```
#[must_use = "a builder does nothing until `open`"]
pub struct ProducerBuilder<S = NoSession> {
    transport: Arc<dyn Transport>,
    channels: Vec<String>,
    repack: Box<dyn Repack>,
    create_missing: bool,
    ticks: TickRules,
    session: S,
}

impl ProducerBuilder {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        let repack = Box::new(ByHashKey);
        Self {
            transport,
            channels: Vec::new(),
            repack,
            create_missing: false,
            ticks: TickRules::default(),
            session: NoSession,
        }
    }

    /// Opens the producer in a session: it sends again what failed, and consumers deliver each
    /// message once. See [`session`](super::session).
    ///
    /// ```
    /// # use msgstream_core::{Producer};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// use msgstream_core::produce::SessionConfig;
    /// let producer = Producer::builder(broker)
    ///     .channels(["orders-0"])
    ///     .create_missing()
    ///     .session(SessionConfig::new("billing-3"))
    ///     .open()
    ///     .await?;
    /// assert_eq!(&*producer.opened().producer, "billing-3");
    /// # Ok(()) }
    /// ```
    pub fn session(self, session: SessionConfig) -> ProducerBuilder<SessionConfig> {
        let Self { transport, channels, repack, create_missing, ticks, session: NoSession } = self;
        ProducerBuilder { transport, channels, repack, create_missing, ticks, session }
    }

    /// Opens a producer on the channels.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for no channel, one named twice, or outside of a tokio
    /// runtime, [`Error::Ended`](crate::Error::Ended) for a channel that has ended, and
    /// [`Error::Transport`](crate::Error::Transport), such as for a channel that doesn't exist.
    ///
    /// The end of a channel is looked for among its last 64 records. It isn't found without the
    /// permission to read.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. Channels may have been created.
    pub async fn open(self) -> Result<Producer> {
        self.create().await?;
        let channels: Vec<_> = self.channels.iter().map(String::as_str).collect();
        let writers = Writers::open(&*self.transport, &channels, self.ticks).await?;
        Ok(Producer::new(writers, self.repack, NoSession))
    }
}

impl ProducerBuilder<SessionConfig> {
    /// Opens a producer on the channels, in a session. Earlier sessions of the same producer id are
    /// fenced. The program continues with what follows [`Opened::last`](super::Opened::last) in its
    /// own source.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced) if a newer session was opened meanwhile,
    /// [`Error::NumbersLost`](crate::Error::NumbersLost),
    /// [`Error::NumbersSpent`](crate::Error::NumbersSpent), [`Error::Ended`](crate::Error::Ended)
    /// for a channel that has ended (with [`scan_since`](SessionConfig::with_scan_since) the end is
    /// looked for among the last 64 records), [`Error::Config`](crate::Error::Config) for no
    /// channel, one named twice, an invalid producer id, or outside of a tokio runtime, and
    /// [`Error::Transport`](crate::Error::Transport), such as for a channel that doesn't exist, or
    /// that fails for longer than [`retry_for`](SessionConfig::with_retry_for).
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. Channels may have been created, and an earlier
    /// session of the producer may be fenced.
    pub async fn open(self) -> Result<Producer<InSession>> {
        self.create().await?;
        let channels: Vec<_> = self.channels.iter().map(String::as_str).collect();
        let counts = Counts::default();
        let (transport, ticks) = (&self.transport, self.ticks);
        let opening = Writers::with_session(transport, self.session, &channels, &counts, ticks);
        let (writers, opened) = opening.await?;
        Ok(Producer::new(writers, self.repack, InSession { opened, counts }))
    }
}

impl<S> ProducerBuilder<S> {
    /// Sets the channels to write to. A repack names them by their index in this order.
    ///
    /// ```
    /// # use msgstream_core::Producer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let producer = Producer::builder(broker).channels((0..4).map(|n| format!("orders-{n}")));
    /// ```
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Creates channels that don't exist. Unless this is set, opening fails if one doesn't.
    pub const fn create_missing(mut self) -> Self {
        self.create_missing = true;
        self
    }

    /// Sets how many bytes of messages may be sent ahead of a time tick that waits, on each channel, at
    /// most what a session [may have in flight](SessionConfig::with_window_bytes). 1 MiB unless set.
    /// With 0, messages wait for the tick.
    ///
    /// Consumers keep these messages in memory until the pack that they belong to. If those of all
    /// channels exceed a consumer's budget, it reads them again for each pack, which is very slow: so
    /// with 1,024 channels and a budget of 64 MiB, set 32 KiB.
    ///
    /// ```
    /// # use msgstream_core::Producer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let producer = Producer::builder(broker).channels(["orders"]).overtake_bytes(64 << 10);
    /// ```
    pub const fn overtake_bytes(mut self, bytes: usize) -> Self {
        self.ticks.overtake_bytes = bytes;
        self
    }

    /// Writes messages that are not after the ticks before them, too. They may be late: consumers
    /// handle them by their [`LatePolicy`](crate::LatePolicy). Unless this is set, such a message
    /// is refused with [`Error::BehindTick`](crate::Error::BehindTick).
    ///
    /// ```
    /// # use msgstream_core::Producer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let producer = Producer::builder(broker).channels(["orders"]).allow_late();
    /// ```
    pub const fn allow_late(mut self) -> Self {
        self.ticks.allow_late = true;
        self
    }

    /// Sets how packs are split over the channels. [`ByHashKey`] unless set.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// use msgstream_core::MsgPack;
    /// use msgstream_core::message::Message;
    /// use msgstream_core::repack::{HashKeys, RepackError, Repacked};
    ///
    /// let to_last = |msgs: Vec<Message>, _: &HashKeys, channels: usize| {
    ///     Ok::<Repacked, RepackError>([(channels - 1, MsgPack::new(msgs))].into())
    /// };
    /// let builder = Producer::builder(broker).channels(["a", "b"]).create_missing();
    /// let mut producer = builder.repack(to_last).open().await?;
    /// assert_eq!(producer.send(order(5)).await?.positions("b").len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn repack(mut self, repack: impl Repack + 'static) -> Self {
        self.repack = Box::new(repack);
        self
    }

    async fn create(&self) -> Result<()> {
        super::distinct(self.channels.iter().map(String::as_str))?;
        if !self.create_missing {
            return Ok(());
        }
        let create = |channel: &String| {
            let (transport, channel) = (self.transport.clone(), channel.clone());
            async move { transport.create_if_missing(&channel).await.map(drop) }.boxed()
        };
        let creating: Vec<_> = self.channels.iter().map(create).collect();
        Ok(stream::iter(creating).buffered(AT_A_TIME).try_collect::<()>().await?)
    }
}

impl<S: fmt::Debug> fmt::Debug for ProducerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("transport", &self.transport)
            .field("channels", &self.channels)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
