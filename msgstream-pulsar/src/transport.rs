//! The transport.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::positions::EntryId;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk,
    Subscription, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::PulsarConfig;
use crate::batch::ENTRY_OVERHEAD;
use crate::client::Client;
use crate::error::unreachable;
use crate::name::{Topic, check_name, check_new_channel, check_subscription, nonce};
use crate::reader::PulsarReader;
use crate::subscription::PulsarSubscription;
use crate::writer::PulsarWriter;

/// The property of a topic that differs between its lives.
const INCARNATION: &str = "msgstream.incarnation";

/// A transport over the topics of one namespace of a Pulsar cluster.
///
/// A clone is the same handle: closing one closes the other.
///
/// ```no_run
/// use msgstream_core::registry::Url;
/// use msgstream_core::transport::TransportExt as _;
/// use msgstream_pulsar::{PulsarConfig, PulsarTransport};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = Url::parse("pulsar://localhost/public/default")?;
/// let transport = PulsarTransport::connect(PulsarConfig::from_url(&url)?).await?;
/// transport.create("orders").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PulsarTransport {
    client: Arc<Client>,
}

/// Returns the incarnation in a topic's properties, which is unknown for topics that others created.
pub(crate) fn incarnation_of(properties: &BTreeMap<String, String>) -> Incarnation {
    let number = properties.get(INCARNATION).and_then(|text| u128::from_str_radix(text, 16).ok());
    number.map_or(Incarnation::UNKNOWN, Incarnation)
}

/// Fails if a topic isn't the one that a reader or a cursor was opened on.
///
/// A topic without an incarnation is no proof of that. A broker that came back under load was seen to show
/// a topic without its properties, so this is asked again, like what can't be reached.
pub(crate) fn check_incarnation(
    expected: Incarnation,
    properties: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    match incarnation_of(properties) {
        found if found == expected => Ok(()),
        Incarnation::UNKNOWN => Err(unreachable(
            "the broker doesn't show the properties that the topic was created with; if another program created it again, start anew",
        )),
        found => Err(Kind::WrongIncarnation { expected, found }.into()),
    }
}

/// The failure of a new topic that is gone again.
fn deleted_at_once() -> Failure {
    unreachable("the broker deleted the new topic at once because nobody used it")
}

impl PulsarTransport {
    /// Connects to a broker and to the admin interface, once.
    ///
    /// # Errors
    /// Fails with [`Unavailable`](Kind::Unavailable) if either doesn't answer, with
    /// [`Denied`](Kind::Denied) if the token is wrong, and with [`Config`](Kind::Config) if the
    /// namespace doesn't exist.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn connect(config: PulsarConfig) -> Result<Self> {
        let opened = Client::open(config).await;
        let client = opened.map_err(|failure| failure.during("connect"))?;
        Ok(Self { client })
    }

    /// Calls a function with a topic, and makes its failure the error of an operation.
    async fn with_topic<T>(
        &self,
        operation: &'static str,
        channel: &str,
        work: impl AsyncFnOnce(Topic) -> Result<T, Failure>,
    ) -> Result<T> {
        let done = self.client.while_open(async {
            // No channel has such a name.
            check_name(channel).map_err(|_| Kind::NotFound)?;
            work(self.client.topic(channel)).await
        });
        done.await.map_err(|failure| failure.during(operation).on(channel))
    }

    async fn make(
        &self,
        topic: &Topic,
        mut properties: BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        check_new_channel(&topic.channel).map_err(|reason| Kind::InvalidName { reason })?;
        if properties.insert(INCARNATION.to_owned(), format!("{:032x}", nonce())).is_some() {
            let reason = format!("the property `{INCARNATION}` is reserved: use another name");
            return Err(Kind::Config { reason }.into());
        }
        let rest = &self.client.rest;
        let mut retry = self.client.retry();
        let mut failed = false;
        loop {
            let made = match rest.create(topic, &properties).await {
                Err(Failure { kind: Kind::AlreadyExists, .. }) if failed => {
                    self.complete(topic, &properties).await
                }
                made => made,
            };
            let kept = match made {
                Ok(()) => self.keep(topic, &properties).await,
                Err(failure) => Err(failure),
            };
            match kept {
                Ok(()) => break,
                Err(failure) => retry.after(failure).await?,
            }
            failed = true;
        }
        let suits = self.suit(topic).await;
        if suits.is_err() {
            // Where that fails too, the first failure says more.
            let _ = rest.delete(topic).await;
        }
        suits
    }

    /// Keeps a new topic from being deleted while nobody uses it.
    async fn keep(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let rest = &self.client.rest;
        let kept = rest.keep_inactive(topic).await;
        match kept {
            Ok(()) => {}
            Err(Failure { kind: Kind::NotFound, .. }) => return Err(deleted_at_once()),
            Err(failure) if failure.is_temporary() => return Err(failure),
            Err(failure) => {
                // Where that fails too, the first failure says more.
                let _ = rest.delete(topic).await;
                return Err(failure);
            }
        }
        // A broker that was quicker with that deleted it, and goes by the policy when it is made again.
        match rest.properties(topic).await {
            Ok(found) if found == *properties => Ok(()),
            Ok(_) => Err(Kind::AlreadyExists.into()),
            Err(Failure { kind: Kind::NotFound, .. }) => Err(deleted_at_once()),
            Err(failure) => Err(failure),
        }
    }

    /// Fails if a new topic would lose records.
    async fn suit(&self, topic: &Topic) -> Result<(), Failure> {
        let rest = &self.client.rest;
        let mut retry = self.client.retry();
        loop {
            let suits = async {
                rest.check_retention(topic).await?;
                rest.check_cursors(topic).await
            };
            match suits.await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    /// Completes a topic that a failed attempt may have created without its properties.
    async fn complete(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let rest = &self.client.rest;
        let mut found = rest.properties(topic).await?;
        if found.is_empty() {
            rest.set_properties(topic, properties).await?;
            found = rest.properties(topic).await?;
        }
        if found == *properties { Ok(()) } else { Err(Kind::AlreadyExists.into()) }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for PulsarTransport {
    fn capabilities(&self) -> Capabilities {
        let limit = self.client.max_message.saturating_sub(ENTRY_OVERHEAD);
        Capabilities::all()
            .without(Capability::AckKeeps)
            .without(Capability::Trim)
            .without(Capability::BinaryHeaders)
            .with_max_payload(limit)
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let topic = self.client.topic(channel);
        let made = self.client.while_open(self.make(&topic, options.properties)).await;
        made.map_err(|failure| failure.during("create").on(channel))
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        self.with_topic("delete", channel, async |topic| {
            let mut retry = self.client.retry();
            let mut failed = false;
            loop {
                match self.client.rest.delete(&topic).await {
                    // An attempt that failed may have deleted it all the same.
                    Err(Failure { kind: Kind::NotFound, .. }) if failed => return Ok(()),
                    Err(failure) => retry.after(failure).await?,
                    deleted => return deleted,
                }
                failed = true;
            }
        })
        .await
    }

    async fn trim(&self, channel: &str, _before: Position) -> Result<()> {
        // Brokers trim by retention and whole ledgers, and take no position.
        let kind = Kind::Unsupported { capability: Capability::Trim };
        Err(TransportError::new("trim", kind).on(channel))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let PulsarConfig { tenant, namespace, .. } = &self.client.config;
        let listed = self.client.while_open(self.client.rest.list(tenant, namespace)).await;
        let mut names = listed.map_err(|failure| failure.during("list"))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        self.with_topic("describe", channel, async |topic| {
            let rest = &self.client.rest;
            let mut properties = rest.channel_properties(&topic).await?;
            let stats = rest.internal_stats(&topic).await?;
            let (incarnation, ledgers) = (incarnation_of(&properties), stats.ledgers()?);
            properties.remove(INCARNATION);
            Ok(ChannelInfo::new(incarnation, ledgers.first(), ledgers.end(), properties))
        })
        .await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        self.with_topic("writer", channel, async |topic| {
            // A topic that has just moved has no broker for a moment.
            let mut retry = self.client.retry();
            loop {
                match PulsarWriter::open(Arc::clone(&self.client), topic.clone()).await {
                    Ok(writer) => return Ok(Box::new(writer) as Box<dyn ChannelWriter>),
                    Err(failure) => retry.after(failure).await?,
                }
            }
        })
        .await
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        self.with_topic("reader", channel, async |topic| {
            let client = Arc::clone(&self.client);
            let reader = PulsarReader::open(client, topic, options).await?;
            Ok(Box::new(reader) as Box<dyn ChannelReader>)
        })
        .await
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        self.with_topic("subscription", channel, async |topic| {
            check_subscription(name).map_err(|reason| Kind::Config {
                reason: format!("the subscription's name can't be used: {reason}"),
            })?;
            let mut retry = self.client.retry();
            loop {
                let client = Arc::clone(&self.client);
                match PulsarSubscription::open(client, topic.clone(), name).await {
                    Ok(opened) => return Ok(Arc::new(opened) as Arc<dyn Subscription>),
                    Err(failure) => retry.after(failure).await?,
                }
            }
        })
        .await
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        self.with_topic("unsubscribe", channel, async |topic| {
            let rest = &self.client.rest;
            let removable = check_subscription(name).is_ok();
            if !removable || !rest.unsubscribe(&topic, name).await? {
                // No error, unless it is the channel that is missing.
                rest.properties(&topic).await?;
            }
            Ok(())
        })
        .await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        self.with_topic("subscriptions", channel, async |topic| {
            self.client.rest.subscriptions(&topic).await
        })
        .await
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.with_topic("risks", channel, async |topic| {
            // No topic is a failure; without policies of its own it has those of the namespace.
            self.client.rest.properties(&topic).await?;
            self.client.rest.risks(&topic).await
        })
        .await
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let id = EntryId::from_position(position, -1).map_err(|error| {
            let reason = "the position isn't one of a Pulsar topic".to_owned();
            TransportError::new("encode_position", Kind::Config { reason }).because(error)
        })?;
        Ok(id.to_bytes())
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        let id = EntryId::from_bytes(bytes).map_err(|error| {
            let reason = "the position isn't one of a Pulsar topic".to_owned();
            TransportError::new("decode_position", Kind::Config { reason }).because(error)
        })?;
        Ok(id.position())
    }

    async fn close(&self) -> Result<()> {
        self.client.close().await;
        Ok(())
    }
}
