//! The transport.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk, Subscription, Transport,
    TransportError, TransportErrorKind,
};

use crate::KafkaConfig;
use crate::admin::Bounds;
use crate::client::Handle;
use crate::name::{channel_of, topic_of};
use crate::reader::KafkaReader;
use crate::start::offset;
use crate::subscription::{KafkaSubscription, remove};
use crate::writer::KafkaWriter;

/// The settings of topics that are created here: the time of a record is that of its append.
const SETTINGS: &[(&str, &str)] = &[("message.timestamp.type", "LogAppendTime")];

/// A transport over the topics of one cluster whose names begin with one prefix.
///
/// ```no_run
/// use msgstream_core::registry::Url;
/// use msgstream_core::transport::TransportExt as _;
/// use msgstream_kafka::{KafkaConfig, KafkaTransport};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = Url::parse("kafka://localhost:9092/shop.")?;
/// let transport = KafkaTransport::connect(KafkaConfig::from_url(&url)?).await?;
/// transport.create("orders").await?; // the topic `shop.orders`
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KafkaTransport {
    handle: Arc<Handle>,
}

impl KafkaTransport {
    /// Connects to one of the brokers. A connection that is lost later is opened again.
    ///
    /// # Errors
    /// Fails with [`Unavailable`](TransportErrorKind::Unavailable) or
    /// [`TimedOut`](TransportErrorKind::TimedOut) if no broker answers within the timeout, with
    /// [`Denied`](TransportErrorKind::Denied) if a broker refuses the credentials or the certificate,
    /// and with [`Config`](TransportErrorKind::Config) if the broker's own certificate isn't trusted
    /// or if properties contradict each other.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn connect(config: KafkaConfig) -> Result<Self> {
        let opened = Handle::open(config).await;
        let handle = opened.map_err(|failure| failure.during("connect"))?;
        Ok(Self { handle })
    }

    /// Returns the topic of a channel to be created.
    fn topic(&self, channel: &str) -> Result<String, Failure> {
        topic_of(&self.handle.config.prefix, channel)
            .map_err(|reason| TransportErrorKind::InvalidName { reason }.into())
    }

    /// Returns the topic of a channel that may exist: none has an invalid name.
    fn known_topic(&self, channel: &str) -> Result<String, Failure> {
        self.handle.check_open()?;
        self.topic(channel).map_err(|_| TransportErrorKind::NotFound.into())
    }

    async fn create_channel(
        &self,
        channel: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let topic = self.topic(channel)?;
        self.handle.create_topic(&topic, SETTINGS).await?;
        self.handle.set_properties(&topic, properties).await
    }

    async fn delete_channel(&self, channel: &str) -> Result<(), Failure> {
        let topic = self.known_topic(channel)?;
        self.handle.delete_topic(&topic).await?;
        self.handle.set_properties(&topic, &BTreeMap::new()).await
    }

    async fn describe_channel(&self, channel: &str) -> Result<ChannelInfo, Failure> {
        let topic = self.known_topic(channel)?;
        let Bounds { low, high } = self.handle.bounds(&topic).await?;
        let incarnation = self.handle.incarnation(&topic).await?;
        let properties = self.handle.properties(&topic).await?;
        let first = (low < high).then(|| Position::new(low));
        Ok(ChannelInfo::new(incarnation, first, Position::new(high), properties))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for KafkaTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all().with_max_payload(self.handle.max_payload)
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let created = self.create_channel(channel, &options.properties);
        let created = self.handle.while_open(created).await;
        created.map_err(|failure| failure.during("create").on(channel))
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let deleted = self.handle.while_open(self.delete_channel(channel)).await;
        deleted.map_err(|failure| failure.during("delete").on(channel))
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        let trimmed = async {
            let topic = self.known_topic(channel)?;
            self.handle.trim(&topic, before).await
        };
        let trimmed = self.handle.in_time(trimmed).await;
        trimmed.map_err(|failure| failure.during("trim").on(channel))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let topics = self.handle.in_time(self.handle.topics()).await;
        let topics = topics.map_err(|failure| failure.during("list"))?;
        let own = &self.handle.config.prefix;
        let channels = topics.iter().filter_map(|topic| channel_of(own, topic));
        let channels = channels.filter(|name| name.starts_with(prefix));
        let mut channels: Vec<_> = channels.map(str::to_owned).collect();
        channels.sort_unstable();
        Ok(channels)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let described = self.handle.in_time(self.describe_channel(channel)).await;
        described.map_err(|failure| failure.during("describe").on(channel))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let opened = async {
            let topic = self.known_topic(channel)?;
            KafkaWriter::open(&self.handle, channel, topic).await
        };
        match opened.await {
            Ok(writer) => Ok(Box::new(writer)),
            Err(failure) => Err(failure.during("writer").on(channel)),
        }
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let opened = async {
            let topic = self.known_topic(channel)?;
            let handle = Arc::clone(&self.handle);
            let opened = KafkaReader::open(handle, channel, topic, options);
            self.handle.in_time(opened).await
        };
        match opened.await {
            Ok(reader) => Ok(Box::new(reader)),
            Err(failure) => Err(failure.during("reader").on(channel)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opened = async {
            let topic = self.known_topic(channel)?;
            KafkaSubscription::open(&self.handle, channel, topic, name).await
        };
        match opened.await {
            Ok(subscription) => Ok(Arc::new(subscription)),
            Err(failure) => Err(failure.during("subscription").on(channel)),
        }
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let removed = async {
            let topic = self.known_topic(channel)?;
            remove(&self.handle, &topic, name).await
        };
        removed.await.map_err(|failure| failure.during("unsubscribe").on(channel))
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let listed = async {
            let topic = self.known_topic(channel)?;
            self.handle.subscriptions(&topic).await
        };
        let listed = self.handle.in_time(listed).await;
        listed.map_err(|failure| failure.during("subscriptions").on(channel))
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        let found = async {
            let topic = self.known_topic(channel)?;
            self.handle.find(&topic).await?;
            self.handle.risks(&topic).await
        };
        let found = self.handle.in_time(found).await;
        found.map_err(|failure| failure.during("risks").on(channel))
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let encoded = offset(position).map(|_| offset_to_bytes(position).to_vec());
        encoded.map_err(|failure| failure.during("encode_position"))
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        offset_from_bytes(bytes).map_err(|error| {
            let reason = "a position of a Kafka topic has 8 bytes".to_owned();
            let kind = TransportErrorKind::Config { reason };
            TransportError::new("decode_position", kind).because(error)
        })
    }

    async fn close(&self) -> Result<()> {
        self.handle.close().await;
        Ok(())
    }
}
