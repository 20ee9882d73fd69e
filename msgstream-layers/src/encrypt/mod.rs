//! [`Encrypted`]: a transport whose payloads are sealed.

mod key;
mod reader;
mod seal;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::transport::{
    Capabilities, ChannelReader, ChannelWriter, ReaderOptions, Result, Transport,
};

pub use self::key::{InvalidKeyId, Key, KeyRing, Keys};
use self::reader::OpeningReader;
use self::seal::OVERHEAD;
use self::writer::SealingWriter;

/// A layer that seals the payloads of messages, so that whoever runs the broker reads metadata at
/// most.
///
/// A payload is encrypted and authenticated with XChaCha20-Poly1305, under a random nonce. It grows
/// by 40 bytes, and the record by the header `ms-sealed`, which names the key.
///
/// What is sealed is bound to the name of the channel as this layer gets it, and to the message's
/// type, time, id, collection and virtual channel: if one of them is changed, the record doesn't
/// open. Under another name of the channel it doesn't open either, unless
/// [`sealed_as`](Self::sealed_as) says which one it was sealed under. Not bound are headers, and the stamp of a session, which a copy replaces.
///
/// Ticks, ends and what sessions write beside messages aren't sealed, so that packs are formed
/// without any key. Whoever can write to a channel can still withhold, repeat and reorder its
/// messages, and write ticks.
///
/// A record that doesn't open is delivered as
/// [unreadable](msgstream_core::record::unreadable), with the reason: the key isn't there, the
/// record was changed or sealed with another key, or it isn't sealed at all. It keeps its time and
/// its session's number; the [`PoisonPolicy`](msgstream_core::consume::PoisonPolicy) says what
/// happens to it.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::{Consumer, Producer, Timestamp, message::TimeSyncMsg};
/// use msgstream_layers::{Encrypted, Key, KeyRing};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let secret = [7; Key::BYTES];
///
/// let keys = KeyRing::new(Key::new("2026-11", &secret)?);
/// let broker = Arc::new(Encrypted::over(broker, keys));
/// let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
/// let mut producer = orders.open().await?;
/// producer.send(TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0])).await?;
/// # producer.end(Timestamp(9)).await?;
/// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
/// # let pack = packs.next_pack().await?.unwrap();
/// # assert_eq!(pack.msgs[0].begin_ts(), Timestamp(5));
/// # Ok(())
/// # }
/// ```
pub struct Encrypted {
    inner: Arc<dyn Transport>,
    keys: Arc<dyn Keys>,
    /// The names that channels were sealed under, if they have other ones.
    names: BTreeMap<String, Arc<str>>,
}

impl Encrypted {
    /// Returns a layer over a transport, with the keys of a program.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_layers::{Encrypted, Keys};
    /// fn encrypted(broker: Arc<dyn Transport>, keys: impl Keys) -> Arc<dyn Transport> {
    ///     Arc::new(Encrypted::over(broker, keys))
    /// }
    /// ```
    pub fn over(transport: Arc<dyn Transport>, keys: impl Keys) -> Self {
        Self { inner: transport, keys: Arc::new(keys), names: BTreeMap::new() }
    }

    /// Sets the name that the messages of a channel are sealed under, if it isn't the channel's own: that
    /// of the channel that this one is a copy of, as `msgstream repair-ticks` makes it. Keys are asked
    /// for by this name, too.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use msgstream_core::transport::Transport;
    /// use msgstream_layers::{Encrypted, Keys};
    /// # fn encrypted(broker: Arc<dyn Transport>, keys: impl Keys) -> Encrypted {
    /// Encrypted::over(broker, keys).sealed_as("orders-repaired", "orders")
    /// # }
    /// ```
    #[must_use]
    pub fn sealed_as(mut self, channel: impl Into<String>, name: impl Into<Arc<str>>) -> Self {
        self.names.insert(channel.into(), name.into());
        self
    }

    /// Returns the name that a channel's messages are bound to.
    fn name(&self, channel: &str) -> Arc<str> {
        self.names.get(channel).cloned().unwrap_or_else(|| channel.into())
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encrypted").field(&self.inner).finish()
    }
}

#[async_trait]
impl Transport for Encrypted {
    delegate!(self => self.inner, Transport {
        create_with, delete, trim, list, describe, subscription, unsubscribe, subscriptions, risks,
        encode_position, decode_position, close,
    });

    fn capabilities(&self) -> Capabilities {
        let mut can = self.inner.capabilities();
        can.max_payload = can.max_payload.map(|bytes| bytes.saturating_sub(OVERHEAD));
        can
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let inner = self.inner.writer(channel).await?;
        Ok(Box::new(SealingWriter::new(inner, channel, self.name(channel), self.keys.clone())))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.inner.reader_with(channel, options).await?;
        Ok(Box::new(OpeningReader { inner, name: self.name(channel), keys: self.keys.clone() }))
    }
}
