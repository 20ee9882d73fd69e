//! The transport.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk, Subscription, Transport,
    TransportError, TransportErrorKind,
};

use crate::KafkaConfig;
use crate::client::Handle;
use crate::config::TIME_TYPE;
use crate::lookup::Bounds;
use crate::name::channel_of;
use crate::partition::{Name, channels};
use crate::reader::KafkaReader;
use crate::start::offset;
use crate::subscription::{KafkaSubscription, remove};
use crate::writer::KafkaWriter;

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

    /// Returns the name of a channel to be created.
    fn name(&self, channel: &str) -> Result<Name, Failure> {
        Name::parse(&self.handle.config.prefix, channel)
            .map_err(|reason| TransportErrorKind::InvalidName { reason }.into())
    }

    /// Returns the name of a channel that may exist: none has an invalid name.
    fn known_name(&self, channel: &str) -> Result<Name, Failure> {
        self.handle.check_open()?;
        self.name(channel).map_err(|_| TransportErrorKind::NotFound.into())
    }

    async fn create_channel(
        &self,
        channel: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let (name, partitions) = (self.name(channel)?, self.handle.config.partitions);
        if name.is_numbered() {
            return Err(match self.handle.find(&name).await {
                Ok(_) => TransportErrorKind::AlreadyExists.into(),
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => name.not_created_alone(),
                Err(failure) => failure,
            });
        }
        let mut settings = self.handle.config.settings.clone();
        // The time of a record is that of its append.
        settings.insert(TIME_TYPE.to_owned(), "LogAppendTime".to_owned());
        self.handle.create_topic(&name.topic, partitions, &settings).await?;
        self.handle.set_properties(&name.topic, partitions, properties).await
    }

    async fn delete_channel(&self, channel: &str) -> Result<(), Failure> {
        let name = self.known_name(channel)?;
        if name.is_numbered() {
            self.handle.find(&name).await?;
            return Err(name.not_deleted_alone());
        }
        self.handle.delete_topic(&name.topic).await?;
        self.handle.set_properties(&name.topic, 0, &BTreeMap::new()).await
    }

    async fn describe_channel(&self, channel: &str) -> Result<ChannelInfo, Failure> {
        let name = self.known_name(channel)?;
        let topic = self.handle.described(&name.topic).await?;
        let partition = name.of(topic.partitions)?;
        let Bounds { low, high } = self.handle.bounds(&partition).await?;
        let properties = self.handle.properties(&partition).await?;
        let first = (low < high).then(|| Position::new(low));
        Ok(ChannelInfo::new(Incarnation(topic.id), first, Position::new(high), properties))
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
            let name = self.known_name(channel)?;
            self.handle.trim(&name, before).await
        };
        let trimmed = self.handle.in_time(trimmed).await;
        trimmed.map_err(|failure| failure.during("trim").on(channel))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let topics = self.handle.in_time(self.handle.topics()).await;
        let topics = topics.map_err(|failure| failure.during("list"))?;
        let own = &self.handle.config.prefix;
        let ours = topics.iter().filter_map(|(topic, n)| Some((channel_of(own, topic)?, *n)));
        let all = ours.flat_map(|(base, partitions)| channels(base, partitions));
        let mut names: Vec<_> = all.filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let described = self.handle.in_time(self.describe_channel(channel)).await;
        described.map_err(|failure| failure.during("describe").on(channel))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let opened = async {
            let name = self.known_name(channel)?;
            KafkaWriter::open(&self.handle, channel, &name).await
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
            let name = self.known_name(channel)?;
            let handle = Arc::clone(&self.handle);
            let opened = KafkaReader::open(handle, channel, &name, options);
            self.handle.in_time(opened).await
        };
        match opened.await {
            Ok(reader) => Ok(Box::new(reader)),
            Err(failure) => Err(failure.during("reader").on(channel)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opened = async {
            let of = self.known_name(channel)?;
            KafkaSubscription::open(&self.handle, channel, &of, name).await
        };
        match opened.await {
            Ok(subscription) => Ok(Arc::new(subscription)),
            Err(failure) => Err(failure.during("subscription").on(channel)),
        }
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let removed = async {
            let of = self.known_name(channel)?;
            remove(&self.handle, &of, name).await
        };
        removed.await.map_err(|failure| failure.during("unsubscribe").on(channel))
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let listed = async {
            let name = self.known_name(channel)?;
            self.handle.subscriptions(&name).await
        };
        let listed = self.handle.in_time(listed).await;
        listed.map_err(|failure| failure.during("subscriptions").on(channel))
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        let found = async {
            let name = self.known_name(channel)?;
            self.handle.risks(&name).await
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
