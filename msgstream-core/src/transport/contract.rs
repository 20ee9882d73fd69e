//! What every transport does.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, ReaderOptions, Result,
    Risk, Subscription,
};
use crate::record::Position;

/// A broker, or anything else that holds channels.
///
/// ```
/// use msgstream_core::transport::{Limit, Start, Transport, TransportExt};
/// use msgstream_core::record::Record;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// broker.create("orders").await?;
/// let outcome = broker.writer("orders").await?.submit(vec![Record::default()]).await;
/// assert_eq!(outcome.stored.len(), 1);
/// let mut reader = broker.reader("orders", Start::Earliest).await?;
/// assert_eq!(reader.read(Limit::default()).await?.records.len(), 1);
/// broker.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// No method has a default, so a layer around a transport that forgets one doesn't compile:
///
/// ```compile_fail,E0046
/// # use std::sync::Arc;
/// use msgstream_core::transport::{Capabilities, Transport};
/// #[derive(Debug)]
/// struct Layer(Arc<dyn Transport>);
/// #[async_trait::async_trait]
/// impl Transport for Layer {
///     fn capabilities(&self) -> Capabilities {
///         self.0.capabilities()
///     }
/// }
/// ```
///
/// Each implementation reconnects by itself, and each of its waits has a deadline.
///
/// `Arc<dyn Transport>` is a `Transport` itself:
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::transport::Transport;
/// fn takes_any(_: impl Transport) {}
/// fn passes_on(transport: Arc<dyn Transport>) {
///     takes_any(transport);
/// }
/// ```
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Returns what this transport can do. The answer never changes.
    ///
    /// ```
    /// use msgstream_core::transport::Transport;
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// assert!(broker.capabilities().seek_position);
    /// ```
    fn capabilities(&self) -> Capabilities;

    /// Creates a channel. [`TransportExt::create`](super::TransportExt::create) is the short form.
    ///
    /// ```
    /// use msgstream_core::transport::{CreateOptions, Transport};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// let options = CreateOptions::new().with_property("owner", "billing");
    /// broker.create_with("orders", options).await?;
    /// assert_eq!(broker.describe("orders").await?.properties["owner"], "billing");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](super::TransportErrorKind::AlreadyExists) or
    /// [`InvalidName`](super::TransportErrorKind::InvalidName).
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()>;

    /// Deletes a channel, its records, its properties and its cursors.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// broker.delete("orders").await?;
    /// assert!(broker.describe("orders").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound), and with
    /// [`InvalidName`](super::TransportErrorKind::InvalidName) for a channel that the broker deletes only
    /// together with others.
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    async fn delete(&self, channel: &str) -> Result<()>;

    /// Removes the records of a channel that stand before a position. Nothing at the position or
    /// after it is removed. What stands before it may stay, because some brokers remove whole parts
    /// of a log only.
    ///
    /// - A position at the end removes all that can be removed. Later records have greater positions
    ///   all the same.
    /// - A position that isn't after the first record that is left has no effect, so a call may be
    ///   repeated.
    /// - A reader that stands before what is left, or that is opened there, fails with
    ///   [`PositionTrimmed`](super::TransportErrorKind::PositionTrimmed), perhaps after records that it had
    ///   read ahead. Cursors stay where they are, and writers aren't concerned.
    /// - [`describe`](Self::describe) then returns as `first` a position at which readers can start,
    ///   or `None` if nothing is left.
    ///
    /// `Ok` means that the broker has done so. With the capability `persistent`, what was removed
    /// doesn't come back when the broker restarts. If it crashes soon after, some brokers have it back,
    /// at its old place.
    ///
    /// The position must be one of the channel as it is now: one of an earlier channel of the same
    /// name isn't recognised. Consumers go on at the `resume` positions of their checkpoints, and a
    /// session looks for the last records of its producer: trim no further.
    ///
    /// ```
    /// use msgstream_core::transport::{Start, Transport, TransportExt};
    /// # use msgstream_core::record::Record;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// let stored = writer.submit(vec![Record::default(), Record::default()]).await.stored;
    /// broker.trim("orders", stored[1]).await?;
    /// let mut reader = broker.reader("orders", Start::Earliest).await?;
    /// assert_eq!(reader.read(Default::default()).await?.records[0].position, stored[1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound), and, if the position is after the end,
    /// with [`PositionBeyondEnd`](super::TransportErrorKind::PositionBeyondEnd). Nothing is removed then.
    ///
    /// # Cancel safety
    /// The records may or may not be removed after a cancelled call.
    async fn trim(&self, channel: &str, before: Position) -> Result<()>;

    /// Returns the names of the channels that begin with a prefix, sorted.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// broker.create("orders-0").await?;
    /// broker.create("prices").await?;
    /// assert_eq!(broker.list("orders-").await?, ["orders-0"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Returns the incarnation, bounds, number of records and properties of a channel.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let info = broker.describe("orders").await?;
    /// assert_eq!(info.first, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound).
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn describe(&self, channel: &str) -> Result<ChannelInfo>;

    /// Opens a writer.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let mut writer = broker.writer("orders").await?;
    /// writer.ready().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound): a writer never creates its channel.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>>;

    /// Opens a reader. If the options name an incarnation, it opens only on that one.
    /// [`TransportExt::reader`](super::TransportExt::reader) is the short form.
    ///
    /// ```
    /// use msgstream_core::transport::{ReaderOptions, Start, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let incarnation = broker.describe("orders").await?.incarnation;
    /// let options = ReaderOptions::new(Start::Earliest).with_incarnation(incarnation);
    /// let reader = broker.reader_with("orders", options).await?;
    /// assert_eq!(reader.incarnation(), incarnation);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound),
    /// [`WrongIncarnation`](super::TransportErrorKind::WrongIncarnation),
    /// [`PositionBeyondEnd`](super::TransportErrorKind::PositionBeyondEnd) or
    /// [`PositionTrimmed`](super::TransportErrorKind::PositionTrimmed), here or in the first
    /// [`ChannelReader::read`].
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>>;

    /// Returns the durable cursor of a name, and makes it if it doesn't exist. A cursor doesn't move
    /// by itself and doesn't read: open a reader at its position.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let cursor = broker.subscription("orders", "billing").await?;
    /// cursor.ack(broker.describe("orders").await?.end).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound) if there is no such channel.
    ///
    /// # Cancel safety
    /// The cursor may or may not be there after a cancelled call.
    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>>;

    /// Removes the durable cursor of a name. It is no error if there is none, so cleaning up can be
    /// repeated. A later [`subscription`](Self::subscription) of the name begins anew.
    ///
    /// Some brokers keep everything that a cursor hasn't passed for as long as the cursor exists:
    /// remove cursors that nobody moves any more. A [`Subscription`] that is still in use afterwards
    /// fails, or makes the cursor again.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// broker.subscription("orders", "billing").await?;
    /// broker.unsubscribe("orders", "billing").await?;
    /// broker.unsubscribe("orders", "billing").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound) if there is no such channel.
    ///
    /// # Cancel safety
    /// The cursor may or may not be there after a cancelled call.
    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()>;

    /// Returns the names of the durable cursors of a channel, sorted.
    ///
    /// A cursor that was moved is listed until it is removed. One that was never moved may be missing,
    /// because some brokers keep a cursor only from its first [`ack`](Subscription::ack) on. Cursors
    /// that other programs made are listed too, if the broker keeps them as it keeps these.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// for name in broker.subscriptions("orders").await? {
    ///     let acked = broker.subscription("orders", &name).await?.acked().await?;
    ///     println!("{name} stands at {acked:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound) if there is no such channel.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>>;

    /// Returns what in the broker's settings, or in its state, may make a channel lose records or stop.
    /// What the account may not see is left out.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// for risk in broker.risks("orders").await? {
    ///     eprintln!("orders: {risk}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](super::TransportErrorKind::NotFound) if there is no such channel.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn risks(&self, channel: &str) -> Result<Vec<Risk>>;

    /// Encodes a position in the broker's own bytes, as other programs store it.
    ///
    /// # Errors
    /// Fails with [`Config`](super::TransportErrorKind::Config) if the position isn't one of this
    /// transport's.
    fn encode_position(&self, position: Position) -> Result<Vec<u8>>;

    /// Decodes a position from the broker's own bytes.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// use msgstream_core::transport::Transport;
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// let bytes = broker.encode_position(Position::new(7))?;
    /// assert_eq!(broker.decode_position(&bytes)?, Position::new(7));
    /// # Ok::<(), msgstream_core::transport::TransportError>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`Config`](super::TransportErrorKind::Config) if the bytes are no position.
    fn decode_position(&self, bytes: &[u8]) -> Result<Position>;

    /// Ends this handle: flushes what is pending, after which every use of the handle, its writers
    /// and its readers fails with [`Closed`](super::TransportErrorKind::Closed). Closing twice is harmless.
    ///
    /// ```
    /// use msgstream_core::transport::Transport;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// broker.close().await?;
    /// assert!(broker.list("").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
    async fn close(&self) -> Result<()>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    crate::delegate!(self => (**self), Transport {
        capabilities, create_with, delete, trim, list, describe, writer, reader_with,
        subscription, unsubscribe, subscriptions, risks, encode_position, decode_position, close,
    });
}
