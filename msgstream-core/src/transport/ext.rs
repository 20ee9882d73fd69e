//! The calls of a transport in their short forms.

use super::{
    ChannelReader, CreateOptions, ReaderOptions, Result, Start, Transport, TransportErrorKind,
};

/// Short forms of what a [`Transport`] does. Every transport has them.
///
/// ```
/// use msgstream_core::transport::{Start, Transport, TransportExt};
/// async fn first(transport: &dyn Transport) -> msgstream_core::transport::Result<()> {
///     transport.create("orders").await?;
///     let mut reader = transport.reader("orders", Start::Earliest).await?;
///     reader.read(Default::default()).await.map(drop)
/// }
/// ```
pub trait TransportExt: Transport {
    /// Creates a channel, with nothing set.
    ///
    /// # Errors
    /// As [`Transport::create_with`].
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    fn create(&self, channel: &str) -> impl Future<Output = Result<()>> + Send {
        async move { self.create_with(channel, CreateOptions::new()).await }
    }

    /// Creates a channel unless it is there. Returns whether it was created.
    ///
    /// ```
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// async fn twice(transport: &dyn Transport) -> msgstream_core::transport::Result<()> {
    ///     assert!(transport.create_if_missing("orders").await?);
    ///     assert!(!transport.create_if_missing("orders").await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Transport::create_with`], but for
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

    /// Opens a reader on whichever incarnation of the channel is there.
    ///
    /// # Errors
    /// As [`Transport::reader_with`].
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
