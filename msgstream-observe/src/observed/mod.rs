//! [`Observed`]: a transport that is measured.

mod reader;
mod subscription;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use metrics::SharedString;
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, ReaderOptions, Result, Subscription,
    Transport,
};

use self::reader::ObservedReader;
use self::subscription::ObservedSubscription;
use self::writer::ObservedWriter;
use crate::metric::describe;
use crate::operation::{Instruments, Operation, Place};

/// A layer that measures each operation, and has a span for it.
///
/// The metrics go to the recorder that is installed when a writer, a reader or a subscription is
/// opened: install it first. [`METRICS`](crate::METRICS) lists them. The spans have the target
/// `msgstream_observe` and the level `DEBUG`.
///
/// The layer changes nothing of what the transport does.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::{Consumer, Producer, Timestamp, message::TimeSyncMsg};
/// use msgstream_observe::Observed;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let broker = Arc::new(Observed::over(broker, "mem"));
/// let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
/// let mut producer = orders.open().await?;
/// producer.send(TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0])).await?;
/// # producer.end(Timestamp(9)).await?;
/// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
/// # assert_eq!(packs.next_pack().await?.unwrap().msgs.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Observed {
    inner: Arc<dyn Transport>,
    place: Place,
}

impl Observed {
    /// Returns a layer over a transport. The name of the messaging system becomes the attribute
    /// `messaging.system`: `kafka`, `pulsar`, `nats`, `file` or `mem`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_observe::Observed;
    /// fn observed(broker: Arc<dyn Transport>) -> Arc<dyn Transport> {
    ///     Arc::new(Observed::over(broker, "kafka"))
    /// }
    /// ```
    pub fn over(transport: Arc<dyn Transport>, system: impl Into<SharedString>) -> Self {
        describe();
        Self { inner: transport, place: Place::new(system.into()) }
    }

    /// Does something with a channel that is done rarely.
    async fn request<T>(
        &self,
        channel: &str,
        method: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let place = self.place.on(channel);
        Instruments::new(place, Operation::Other(method)).run(work).await
    }
}

#[async_trait]
impl Transport for Observed {
    delegate!(self => self.inner, Transport {
        capabilities, risks, encode_position, decode_position, close,
    });

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        self.request(channel, "create", self.inner.create_with(channel, options)).await
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        self.request(channel, "delete", self.inner.delete(channel)).await
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        self.request(channel, "trim", self.inner.trim(channel, before)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let list = Instruments::new(self.place.clone(), Operation::Other("list"));
        list.run(self.inner.list(prefix)).await
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        self.request(channel, "describe", self.inner.describe(channel)).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let writer = self.request(channel, "writer", self.inner.writer(channel)).await?;
        Ok(Box::new(ObservedWriter::new(writer, self.place.on(channel))))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let opening = self.inner.reader_with(channel, options);
        let reader = self.request(channel, "reader", opening).await?;
        Ok(Box::new(ObservedReader::new(reader, &self.place.on(channel))))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let place = self.place.on(channel).at(name);
        let opening = Instruments::new(place.clone(), Operation::Other("subscription"));
        let subscription = opening.run(self.inner.subscription(channel, name)).await?;
        Ok(Arc::new(ObservedSubscription::new(subscription, &place)))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let place = self.place.on(channel).at(name);
        let removing = Instruments::new(place, Operation::Other("unsubscribe"));
        removing.run(self.inner.unsubscribe(channel, name)).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        self.request(channel, "subscriptions", self.inner.subscriptions(channel)).await
    }
}
