//! A client of the admin interface.

mod call;
mod policies;
mod redirect;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::registry::Url;
use msgstream_core::transport::TransportErrorKind as Kind;
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use self::call::Answer;
use crate::brokers::Brokers;
use crate::config::{PulsarConfig, Token};
use crate::hosts::Hosts;
use crate::ledgers::InternalStats;
use crate::name::Topic;
use crate::tls;

/// The place before every message.
const EARLIEST: (i64, i64) = (-1, -1);

/// The cursor of the broker's own that compacts a topic.
const COMPACTION: &str = "__compaction";

/// How long a connection without a request is kept. The server ends it after 30 s, and what is sent at that
/// moment has no answer.
const IDLE: Duration = Duration::from_secs(15);

/// Requests, each with a deadline.
#[derive(Debug)]
pub(crate) struct Rest {
    client: Client,
    bases: Hosts<Url>,
    token: Option<Token>,
    timeout: Duration,
    /// The hosts of the URL, brokers' and admin interfaces'.
    known: Vec<String>,
    brokers: Arc<Brokers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageId {
    ledger_id: i64,
    entry_id: i64,
}

#[derive(Deserialize)]
struct Partitions {
    partitions: u64,
}

#[derive(Deserialize)]
struct Stats {
    subscriptions: BTreeMap<String, Attached>,
}

#[derive(Deserialize)]
struct Attached {
    /// Whether it is more than a reader's.
    durable: bool,
    consumers: Vec<IgnoredAny>,
}

impl Rest {
    pub(crate) fn new(config: &PulsarConfig, brokers: Arc<Brokers>) -> Result<Self, Failure> {
        let wrong = |error: reqwest::Error| {
            let reason = "a client for the admin interface can't be created".to_owned();
            Failure::new(Kind::Config { reason }, error)
        };
        // A redirect leads to another host, so redirects are followed here, where the token is checked.
        let client = Client::builder().redirect(Policy::none()).no_proxy();
        let client = client.tls_backend_preconfigured(tls::config(config.ca.as_deref())?);
        // A host that accepts no connection must leave time for the others.
        let hosts = u32::try_from(config.admin.len()).unwrap_or(u32::MAX);
        let client = client.connect_timeout(config.timeout / hosts.max(1));
        let client = client.pool_idle_timeout(IDLE);
        let services = config.services.iter().map(|service| service.host.name.clone());
        let admin = config.admin.iter().filter_map(|url| url.host_str().map(str::to_owned));
        Ok(Self {
            client: client.build().map_err(wrong)?,
            bases: Hosts::new(config.admin.clone()),
            token: config.token.clone(),
            timeout: config.timeout,
            known: services.chain(admin).collect(),
            brokers,
        })
    }

    /// Sends a request about a topic.
    async fn on(
        &self,
        method: Method,
        topic: &Topic,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        self.on_and(method, topic, path, &[], body).await
    }

    async fn on_and(
        &self,
        method: Method,
        topic: &Topic,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let Topic { tenant, namespace, channel } = topic;
        let path = [&["persistent", tenant, namespace, channel], path].concat();
        self.call(method, Some(topic), &path, query, body).await
    }

    /// Creates a topic. Fails with `AlreadyExists` if it is there already.
    pub(crate) async fn create(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let answer = self.on(Method::PUT, topic, &[], Some(&json!(properties))).await?;
        match answer.status {
            409 if answer.says("exist") => Err(Kind::AlreadyExists.into()),
            // There is no topic yet that could be missing.
            404 => Err(no_namespace(topic)),
            _ => answer.done(),
        }
    }

    pub(crate) async fn delete(&self, topic: &Topic) -> Result<(), Failure> {
        // Whoever is attached is thrown out.
        let force = [("force", "true")];
        self.on_and(Method::DELETE, topic, &[], &force, None).await?.done()
    }

    /// Returns the local names of the topics of a namespace.
    pub(crate) async fn list(&self, tenant: &str, namespace: &str) -> Result<Vec<String>, Failure> {
        let answer =
            self.call(Method::GET, None, &["persistent", tenant, namespace], &[], None).await?;
        if answer.status == 404 {
            return Err(Kind::Config { reason: missing_namespace(tenant, namespace) }.into());
        }
        let topics: Vec<String> = answer.json()?;
        let prefix = format!("persistent://{tenant}/{namespace}/");
        Ok(topics.iter().filter_map(|t| t.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    /// Returns the properties of a channel. Fails for a topic with partitions, which is several logs.
    pub(crate) async fn channel_properties(
        &self,
        topic: &Topic,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let answer = self.on(Method::GET, topic, &["partitions"], None).await?;
        match answer.json::<Partitions>()?.partitions {
            0 => self.properties(topic).await,
            partitions => Err(Kind::Config {
                reason: format!(
                    "the topic has {partitions} partitions, and a channel has none: use `{0}-partition-0` to `{0}-partition-{1}`, each of which is a channel",
                    topic.channel,
                    partitions - 1,
                ),
            }.into()),
        }
    }

    pub(crate) async fn properties(
        &self,
        topic: &Topic,
    ) -> Result<BTreeMap<String, String>, Failure> {
        self.on(Method::GET, topic, &["properties"], None).await?.json()
    }

    pub(crate) async fn set_properties(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        self.on(Method::PUT, topic, &["properties"], Some(&json!(properties))).await?.done()
    }

    pub(crate) async fn internal_stats(&self, topic: &Topic) -> Result<InternalStats, Failure> {
        self.on(Method::GET, topic, &["internalStats"], None).await?.json()
    }

    /// Returns how many consumers a subscription has.
    pub(crate) async fn consumers(&self, topic: &Topic, name: &str) -> Result<usize, Failure> {
        let stats: Stats = self.on(Method::GET, topic, &["stats"], None).await?.json()?;
        Ok(stats.subscriptions.get(name).map_or(0, |attached| attached.consumers.len()))
    }

    /// Returns the names of the cursors that last, sorted: not those of readers, and not the broker's
    /// own.
    pub(crate) async fn subscriptions(&self, topic: &Topic) -> Result<Vec<String>, Failure> {
        let stats: Stats = self.on(Method::GET, topic, &["stats"], None).await?.json()?;
        let lasting =
            |(name, attached): &(String, Attached)| attached.durable && name != COMPACTION;
        Ok(stats.subscriptions.into_iter().filter(lasting).map(|(name, _)| name).collect())
    }

    /// Returns the first entry that was published at a time or later, or the one that comes next.
    pub(crate) async fn entry_at(
        &self,
        topic: &Topic,
        unix_ms: u64,
    ) -> Result<(u64, u64), Failure> {
        let path = ["messageid", &unix_ms.to_string()];
        let MessageId { ledger_id, entry_id } =
            self.on(Method::GET, topic, &path, None).await?.json()?;
        match (u64::try_from(ledger_id), u64::try_from(entry_id)) {
            (Ok(ledger), Ok(entry)) => Ok((ledger, entry)),
            _ => Err(Kind::Protocol {
                reason: format!(
                    "the admin interface named the entry {ledger_id}:{entry_id}, which can't exist"
                ),
            }
            .into()),
        }
    }

    /// Creates a cursor before everything that is left, unless one of the name exists.
    pub(crate) async fn subscribe(&self, topic: &Topic, name: &str) -> Result<(), Failure> {
        let path = ["subscription", name];
        let answer = self.on(Method::PUT, topic, &path, Some(&message_id(EARLIEST))).await?;
        if answer.status == 409 && answer.says("exist") { Ok(()) } else { answer.done() }
    }

    /// Removes a cursor. Returns whether there was one.
    pub(crate) async fn unsubscribe(&self, topic: &Topic, name: &str) -> Result<bool, Failure> {
        let force = [("force", "true")];
        let path = ["subscription", name];
        match self.on_and(Method::DELETE, topic, &path, &force, None).await?.done() {
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Moves a cursor to before an entry.
    pub(crate) async fn move_cursor(
        &self,
        topic: &Topic,
        name: &str,
        entry: (u64, u64),
    ) -> Result<(), Failure> {
        let path = ["subscription", name, "resetcursor"];
        let to = message_id((entry.0.cast_signed(), entry.1.cast_signed()));
        self.on(Method::POST, topic, &path, Some(&to)).await?.done()
    }

    pub(crate) async fn cursor_properties(
        &self,
        topic: &Topic,
        name: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
        self.on(Method::GET, topic, &["subscription", name, "properties"], None).await?.json()
    }

    pub(crate) async fn set_cursor_properties(
        &self,
        topic: &Topic,
        name: &str,
        properties: &BTreeMap<&str, &str>,
    ) -> Result<(), Failure> {
        let path = ["subscription", name, "properties"];
        self.on(Method::PUT, topic, &path, Some(&json!(properties))).await?.done()
    }
}

fn message_id((ledger, entry): (i64, i64)) -> Value {
    json!({ "ledgerId": ledger, "entryId": entry, "partitionIndex": -1 })
}

fn missing_namespace(tenant: &str, namespace: &str) -> String {
    format!(
        "the namespace `{tenant}/{namespace}` doesn't exist: create it first, as with `pulsar-admin namespaces create {tenant}/{namespace}`"
    )
}

fn no_namespace(topic: &Topic) -> Failure {
    Kind::Config { reason: missing_namespace(&topic.tenant, &topic.namespace) }.into()
}
