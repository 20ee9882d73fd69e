//! The contract between the stream and a broker: [`Transport`].
//!
//! A transport gives channels, each one totally ordered log, with writers, readers and durable
//! cursors. The calls are few, object-safe and per batch, never per message. What every
//! implementation owes its caller is written at each method and checked by the crate
//! `msgstream-conformance`.

mod capabilities;
mod channel;
mod error;
mod ext;
mod header;
mod options;
mod receipt;
mod start;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::capabilities::Capabilities;
pub use self::channel::{ChannelReader, ChannelWriter, Limit, ReadBatch, Subscription};
pub use self::error::{Result, TransportError, TransportErrorKind};
pub use self::ext::TransportExt;
pub use self::options::{CreateOptions, ReaderOptions};
pub use self::receipt::{Fate, Outcome, Receipt, ReceiptSender};
pub use self::start::Start;
use crate::record::{Incarnation, Position};

/// How many channels are opened, or acknowledged, at a time.
pub(crate) const AT_A_TIME: usize = 16;

/// A broker, or anything else that holds channels.
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
/// Each implementation does its own reconnecting, and every wait in it has a deadline.
///
/// `Arc<dyn Transport>` is a `Transport` itself:
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::transport::Transport;
/// fn takes_any(_: impl Transport) {}
/// fn gives(transport: Arc<dyn Transport>) {
///     takes_any(transport);
/// }
/// ```
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What this transport can do. The same at every call.
    fn capabilities(&self) -> Capabilities;

    /// Creates a channel. [`TransportExt::create`] is the short form.
    ///
    /// # Errors
    /// [`AlreadyExists`](TransportErrorKind::AlreadyExists),
    /// [`InvalidName`](TransportErrorKind::InvalidName).
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()>;

    /// Deletes a channel, its records, its properties and its cursors.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound).
    ///
    /// # Cancel safety
    /// The channel may or may not be there after a cancelled call.
    async fn delete(&self, channel: &str) -> Result<()>;

    /// The names of the channels that begin with a prefix, sorted.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// The incarnation, bounds and properties of a channel.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound).
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn describe(&self, channel: &str) -> Result<ChannelInfo>;

    /// Opens a writer.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound): a writer never creates its channel.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>>;

    /// Opens a reader. With an incarnation given, only on that one. [`TransportExt::reader`] is the
    /// short form.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound),
    /// [`WrongIncarnation`](TransportErrorKind::WrongIncarnation),
    /// [`PositionBeyondEnd`](TransportErrorKind::PositionBeyondEnd),
    /// [`PositionTrimmed`](TransportErrorKind::PositionTrimmed); all of them here or from the
    /// first [`ChannelReader::read`].
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>>;

    /// A durable cursor by name, made where it isn't there yet. It doesn't move by itself, and it
    /// doesn't read: a reader is opened at its position.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound) for the channel.
    ///
    /// # Cancel safety
    /// The cursor may or may not be there after a cancelled call.
    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>>;

    /// Removes a durable cursor by name. One that isn't there is no error, so that cleaning up can
    /// be repeated. A later [`subscription`](Self::subscription) of the name was never moved.
    ///
    /// Some brokers keep everything that a cursor hasn't passed, for as long as there is the
    /// cursor: remove those that nobody will move any more. A [`Subscription`] of it that is still
    /// in use fails, or makes the cursor again.
    ///
    /// # Errors
    /// [`NotFound`](TransportErrorKind::NotFound) for the channel.
    ///
    /// # Cancel safety
    /// The cursor may or may not be there after a cancelled call.
    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()>;

    /// A position in the broker's own bytes, as other programs store it.
    ///
    /// # Errors
    /// [`Config`](TransportErrorKind::Config) for a position that is not of this transport.
    fn encode_position(&self, position: Position) -> Result<Vec<u8>>;

    /// A position from the broker's own bytes.
    ///
    /// # Errors
    /// [`Config`](TransportErrorKind::Config) for bytes that are none.
    fn decode_position(&self, bytes: &[u8]) -> Result<Position>;

    /// Ends this handle: what is pending is flushed, and every later use of it, its writers and
    /// its readers is [`Closed`](TransportErrorKind::Closed). Closing twice is harmless.
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
    async fn close(&self) -> Result<()>;
}

/// What [`Transport::describe`] tells of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Which life of the channel this is; [`Incarnation::UNKNOWN`] where the broker gives none, as
    /// everywhere where the capability `incarnations` is false.
    pub incarnation: Incarnation,
    /// No record before this position is left; the first that is left may stand later. `None`
    /// where it is known that no record is left.
    pub first: Option<Position>,
    /// Where the next record will stand at the earliest: greater than every record's position.
    pub end: Position,
    /// The properties given when the channel was created.
    pub properties: BTreeMap<String, String>,
}

impl ChannelInfo {
    /// What is known of a channel.
    #[must_use]
    pub const fn new(
        incarnation: Incarnation,
        first: Option<Position>,
        end: Position,
        properties: BTreeMap<String, String>,
    ) -> Self {
        Self { incarnation, first, end, properties }
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    crate::delegate!(self => (**self), Transport {
        capabilities, create_with, delete, list, describe, writer, reader_with, subscription,
        unsubscribe, encode_position, decode_position, close,
    });
}
