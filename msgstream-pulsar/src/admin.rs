//! The admin interface, as far as it is needed.

mod call;
mod policies;
mod redirect;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    consumers: Vec<IgnoredAny>,
}

impl Rest {
    pub(crate) fn new(config: &PulsarConfig, brokers: Arc<Brokers>) -> Result<Self, Kind> {
        let wrong = |error: reqwest::Error| Kind::Config {
            reason: format!("the admin interface can't be used: {error}"),
        };
        // A redirect leads to another host, and whether the token may go there is looked at here.
        let client = Client::builder().redirect(Policy::none()).no_proxy();
        let client = client.tls_backend_preconfigured(tls::config(config.ca.as_deref())?);
        // A host that takes no connection leaves time for the others.
        let hosts = u32::try_from(config.admin.len()).unwrap_or(u32::MAX);
        let client = client.connect_timeout(config.timeout / hosts.max(1));
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

    /// A request about a topic.
    async fn on(
        &self,
        method: Method,
        topic: &Topic,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Kind> {
        self.on_and(method, topic, path, &[], body).await
    }

    async fn on_and(
        &self,
        method: Method,
        topic: &Topic,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Kind> {
        let Topic { tenant, namespace, channel } = topic;
        let path = [&["persistent", tenant, namespace, channel], path].concat();
        self.call(method, Some(topic), &path, query, body).await
    }

    /// Makes a topic. One that is there already is `AlreadyExists`.
    pub(crate) async fn create(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Kind> {
        let answer = self.on(Method::PUT, topic, &[], Some(&json!(properties))).await?;
        match answer.status {
            409 if answer.says("exist") => Err(Kind::AlreadyExists),
            // There is no topic yet that could be missing.
            404 => Err(no_namespace(topic)),
            _ => answer.done(),
        }
    }

    pub(crate) async fn delete(&self, topic: &Topic) -> Result<(), Kind> {
        // Whoever is attached is thrown out.
        let force = [("force", "true")];
        self.on_and(Method::DELETE, topic, &[], &force, None).await?.done()
    }

    /// The local names of the topics of a namespace.
    pub(crate) async fn list(&self, tenant: &str, namespace: &str) -> Result<Vec<String>, Kind> {
        let answer =
            self.call(Method::GET, None, &["persistent", tenant, namespace], &[], None).await?;
        if answer.status == 404 {
            return Err(Kind::Config { reason: missing_namespace(tenant, namespace) });
        }
        let topics: Vec<String> = answer.json()?;
        let prefix = format!("persistent://{tenant}/{namespace}/");
        Ok(topics.iter().filter_map(|t| t.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    /// The properties of a channel. A topic with partitions is several logs, and none.
    pub(crate) async fn channel_properties(
        &self,
        topic: &Topic,
    ) -> Result<BTreeMap<String, String>, Kind> {
        let answer = self.on(Method::GET, topic, &["partitions"], None).await?;
        match answer.json::<Partitions>()?.partitions {
            0 => self.properties(topic).await,
            partitions => Err(Kind::Config {
                reason: format!(
                    "it has {partitions} partitions, each of which is a channel: `{0}-partition-0` to `{0}-partition-{1}`",
                    topic.channel,
                    partitions - 1,
                ),
            }),
        }
    }

    pub(crate) async fn properties(&self, topic: &Topic) -> Result<BTreeMap<String, String>, Kind> {
        self.on(Method::GET, topic, &["properties"], None).await?.json()
    }

    pub(crate) async fn set_properties(
        &self,
        topic: &Topic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Kind> {
        self.on(Method::PUT, topic, &["properties"], Some(&json!(properties))).await?.done()
    }

    pub(crate) async fn internal_stats(&self, topic: &Topic) -> Result<InternalStats, Kind> {
        self.on(Method::GET, topic, &["internalStats"], None).await?.json()
    }

    /// How many consumers a subscription has.
    pub(crate) async fn consumers(&self, topic: &Topic, name: &str) -> Result<usize, Kind> {
        let stats: Stats = self.on(Method::GET, topic, &["stats"], None).await?.json()?;
        Ok(stats.subscriptions.get(name).map_or(0, |attached| attached.consumers.len()))
    }

    /// The first entry that was published at a time or later, or the one that comes next.
    pub(crate) async fn entry_at(&self, topic: &Topic, unix_ms: u64) -> Result<(u64, u64), Kind> {
        let path = ["messageid", &unix_ms.to_string()];
        let MessageId { ledger_id, entry_id } =
            self.on(Method::GET, topic, &path, None).await?.json()?;
        match (u64::try_from(ledger_id), u64::try_from(entry_id)) {
            (Ok(ledger), Ok(entry)) => Ok((ledger, entry)),
            _ => {
                Err(Kind::Protocol { reason: format!("there is no entry {ledger_id}:{entry_id}") })
            }
        }
    }

    /// Makes a cursor before everything that is left, unless there is one of the name.
    pub(crate) async fn subscribe(&self, topic: &Topic, name: &str) -> Result<(), Kind> {
        let path = ["subscription", name];
        let answer = self.on(Method::PUT, topic, &path, Some(&message_id(EARLIEST))).await?;
        if answer.status == 409 && answer.says("exist") { Ok(()) } else { answer.done() }
    }

    /// Removes a cursor. Whether there was one.
    pub(crate) async fn unsubscribe(&self, topic: &Topic, name: &str) -> Result<bool, Kind> {
        let force = [("force", "true")];
        let path = ["subscription", name];
        match self.on_and(Method::DELETE, topic, &path, &force, None).await?.done() {
            Err(Kind::NotFound) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Moves a cursor to before an entry.
    pub(crate) async fn move_cursor(
        &self,
        topic: &Topic,
        name: &str,
        entry: (u64, u64),
    ) -> Result<(), Kind> {
        let path = ["subscription", name, "resetcursor"];
        let to = message_id((entry.0.cast_signed(), entry.1.cast_signed()));
        self.on(Method::POST, topic, &path, Some(&to)).await?.done()
    }

    pub(crate) async fn cursor_properties(
        &self,
        topic: &Topic,
        name: &str,
    ) -> Result<BTreeMap<String, String>, Kind> {
        self.on(Method::GET, topic, &["subscription", name, "properties"], None).await?.json()
    }

    pub(crate) async fn set_cursor_properties(
        &self,
        topic: &Topic,
        name: &str,
        properties: &BTreeMap<&str, &str>,
    ) -> Result<(), Kind> {
        let path = ["subscription", name, "properties"];
        self.on(Method::PUT, topic, &path, Some(&json!(properties))).await?.done()
    }
}

fn message_id((ledger, entry): (i64, i64)) -> Value {
    json!({ "ledgerId": ledger, "entryId": entry, "partitionIndex": -1 })
}

fn missing_namespace(tenant: &str, namespace: &str) -> String {
    format!(
        "there is no namespace `{tenant}/{namespace}`: create it first, as with `pulsar-admin namespaces create {tenant}/{namespace}`"
    )
}

fn no_namespace(topic: &Topic) -> Kind {
    Kind::Config { reason: missing_namespace(&topic.tenant, &topic.namespace) }
}
