//! Short forms of the calls of a transport.

use super::{
    ChannelReader, CreateOptions, ReaderOptions, Result, Start, Transport, TransportErrorKind,
};

/// Short forms of what a [`Transport`] does. Every transport has them.
///
/// ```
/// use msgstream_core::transport::{Start, Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// broker.create("orders").await?;
/// let mut reader = broker.reader("orders", Start::Earliest).await?;
/// assert!(reader.read(Default::default()).await?.records.is_empty());
/// # Ok(())
/// # }
/// ```
pub trait TransportExt: Transport {
    /// Creates a channel without any options.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// broker.create("orders").await?;
    /// assert_eq!(broker.list("").await?, ["orders"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails like [`Transport::create_with`].
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    fn create(&self, channel: &str) -> impl Future<Output = Result<()>> + Send {
        async move { self.create_with(channel, CreateOptions::new()).await }
    }

    /// Creates a channel unless it exists. Returns whether it was created.
    ///
    /// ```
    /// use msgstream_core::transport::TransportExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// assert!(broker.create_if_missing("orders").await?);
    /// assert!(!broker.create_if_missing("orders").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails like [`Transport::create_with`], but never with
    /// [`AlreadyExists`](TransportErrorKind::AlreadyExists).
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    fn create_if_missing(&self, channel: &str) -> impl Future<Output = Result<bool>> + Send {
        async move {
            match self.create(channel).await {
                Ok(()) => Ok(true),
                Err(error) if *error.kind() == TransportErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        }
    }

    /// Opens a reader, on any incarnation of the channel.
    ///
    /// ```
    /// use msgstream_core::transport::{Start, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let reader = broker.reader("orders", Start::Latest).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails like [`Transport::reader_with`].
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    fn reader(
        &self,
        channel: &str,
        start: Start,
    ) -> impl Future<Output = Result<Box<dyn ChannelReader>>> + Send {
        async move { self.reader_with(channel, ReaderOptions::new(start)).await }
    }
}

impl<T: Transport + ?Sized> TransportExt for T {}
