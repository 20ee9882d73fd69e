//! The admin interface: looking up, creating and deleting topics.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::Offset;

use crate::KafkaConfig;
use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, needs, of_code};
use crate::events::{DropElsewhere, lock};
use crate::name::PROPERTIES;
use crate::prefetch::{Consumer, alone_at};

type Client = AdminClient<DefaultClientContext>;

/// The client that creates, deletes and trims topics, created when it is needed.
#[derive(Default)]
pub(crate) struct Admin(Mutex<Option<Arc<DropElsewhere<Client>>>>);

impl Admin {
    pub(crate) fn client(
        &self,
        config: &KafkaConfig,
    ) -> Result<Arc<DropElsewhere<Client>>, Failure> {
        let mut place = lock(&self.0);
        if let Some(client) = &*place {
            return Ok(Arc::clone(client));
        }
        let made: Client =
            config.admin().create().map_err(|error| failed(&error, config.timeout))?;
        let made = Arc::new(DropElsewhere::new(made));
        *place = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Makes room for another client in this one's place. Each client has a list of nodes of its own: one
    /// that was read while a node was away lacks that node for minutes, although others see it again.
    fn discard(&self, client: &Arc<DropElsewhere<Client>>) {
        let mut place = lock(&self.0);
        if place.as_ref().is_some_and(|there| Arc::ptr_eq(there, client)) {
            *place = None;
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// The offsets of a topic's first record and behind its last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl Handle {
    /// Sends any request, to see whether a broker answers.
    pub(crate) async fn greet(&self) -> Result<(), Failure> {
        let (events, timeout) = (self.fetchers.asking.events.clone(), self.timeout());
        self.ask(|look| {
            let events = events.clone();
            self.call(At::AnyNode, look, move |consumer, left| {
                match consumer.fetch_metadata(Some(PROPERTIES), left) {
                    Ok(metadata) => Ok(metadata.orig_broker_id()),
                    // The client reports wrong credentials and certificates early, but not to the call
                    // that waits for an answer.
                    Err(error) => Err(events.refusal().unwrap_or_else(|| failed(&error, timeout))),
                }
            })
        })
        .await
        .map(|node| self.incarnations.answered(node))
    }

    /// Fails if a topic doesn't exist, or isn't a channel.
    pub(crate) async fn find(&self, topic: &str) -> Result<(), Failure> {
        self.ask(|look| self.leader(topic, look)).await.map(drop)
    }

    /// Does the same in one attempt, and returns the node that leads the topic.
    async fn leader(&self, topic: &str, look: Duration) -> Result<i32, Failure> {
        let topic = topic.to_owned();
        let find = move |consumer: &Consumer, left| {
            let metadata = consumer.fetch_metadata(Some(&topic), left);
            let metadata = metadata.map_err(|error| failed(&error, left))?;
            Ok((metadata.orig_broker_id(), is_channel(&topic, metadata.topics().first(), left)))
        };
        let (node, leader) = self.call(At::AnyNode, look, find).await?;
        self.incarnations.answered(node);
        leader
    }

    /// Does the same, and returns the topic's bounds.
    pub(crate) async fn bounds(&self, topic: &str) -> Result<Bounds, Failure> {
        self.ask(|look| async move {
            let leader = self.leader(topic, look).await?;
            let topic = topic.to_owned();
            let bounds = move |consumer: &Consumer, left| bounds(consumer, &topic, left);
            self.call(At::Node(leader), look, bounds).await
        })
        .await
    }

    /// Returns what it means that a topic is missing in one answer: the broker that sent it may not
    /// know the topic yet, or any more.
    pub(crate) async fn missing(&self, topic: &str) -> Failure {
        match self.find(topic).await {
            Err(failure) => failure,
            Ok(()) => {
                let reason = "the brokers disagree on whether the topic exists".to_owned();
                TransportErrorKind::Unavailable { reason }.into()
            }
        }
    }

    /// Returns the first offset whose record was appended at a time, in Unix milliseconds, or later,
    /// `None` if there is none.
    pub(crate) async fn offset_at(
        &self,
        topic: &str,
        unix_ms: u64,
    ) -> Result<Option<u64>, Failure> {
        self.ask(|look| async move {
            let leader = self.leader(topic, look).await?;
            let topic = topic.to_owned();
            self.call(At::Node(leader), look, move |consumer, left| {
                let found = alone_at(&topic, unix_ms)
                    .and_then(|times| consumer.offsets_for_times(times, left))
                    .map_err(|error| at_leader(&error, left))?;
                let Some(found) = found.find_partition(&topic, 0) else { return Ok(None) };
                found.error().map_err(|error| at_leader(&error, left))?;
                match found.offset() {
                    Offset::Offset(offset) => Ok(u64::try_from(offset).ok()),
                    _ => Ok(None),
                }
            })
            .await
        })
        .await
    }

    /// Returns the topics with one partition, in no order.
    pub(crate) async fn topics(&self) -> Result<Vec<String>, Failure> {
        self.ask(|look| {
            self.call(At::AnyNode, look, |consumer, left| {
                let metadata =
                    consumer.fetch_metadata(None, left).map_err(|error| failed(&error, left))?;
                let topics = metadata.topics().iter();
                let channels = topics.filter(|topic| topic.partitions().len() == 1);
                Ok(channels.map(|topic| topic.name().to_owned()).collect())
            })
        })
        .await
    }

    /// Creates a topic with one partition, and waits until it can be used.
    pub(crate) async fn create_topic(
        &self,
        topic: &str,
        settings: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let client = self.admin.client(&self.config)?;
        let Some(client) = client.get() else { return Err(TransportErrorKind::Closed.into()) };
        // The broker knows how many copies there are to be.
        let mut new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = self.admin_options();
        let created = self.answer(client.create_topics([&new], &options)).await?;
        self.first_result(created).map_err(|failure| needs(failure, "Create", &named(topic)))?;
        self.find_made(topic).await
    }

    /// Waits until a topic that was just created, by whomever, can be used.
    pub(crate) async fn find_made(&self, topic: &str) -> Result<(), Failure> {
        let mut retry = Retry::new(self.timeout());
        loop {
            match self.find(topic).await {
                // Not every broker knows it at once.
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                    let reason = "not every broker knows the new topic yet".to_owned();
                    retry.after(TransportErrorKind::Unavailable { reason }).await?;
                }
                Err(failure) => retry.after(failure).await?,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<(), Failure> {
        let client = self.admin.client(&self.config)?;
        let Some(client) = client.get() else { return Err(TransportErrorKind::Closed.into()) };
        let options = self.admin_options();
        let deleted = self.answer(client.delete_topics(&[topic], &options)).await?;
        self.first_result(deleted).map_err(|failure| needs(failure, "Delete", &named(topic)))?;
        let mut retry = Retry::new(self.timeout());
        loop {
            match self.find(topic).await {
                Err(Failure { kind: TransportErrorKind::NotFound, .. }) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
                Ok(()) => {
                    let reason = "the deleted topic is still there".to_owned();
                    retry.after(TransportErrorKind::Unavailable { reason }).await?;
                }
            }
        }
    }

    /// Returns a setting of a topic, `None` if the user may not see it.
    pub(crate) async fn setting(&self, topic: &str, name: &str) -> Result<Option<String>, Failure> {
        let resource = &ResourceSpecifier::Topic(topic);
        let described = self.ask(|look| async move {
            let shared = self.admin.client(&self.config)?;
            let Some(client) = shared.get() else { return Err(TransportErrorKind::Closed.into()) };
            let options = self.admin_options().request_timeout(Some(look));
            let options = options.broker_id(self.incarnations.node());
            let asked = client.describe_configs([resource], &options).await;
            match asked.map_err(|error| failed(&error, self.timeout())) {
                Err(failure) if failure.is_temporary() => {
                    self.admin.discard(&shared);
                    self.find_node(look).await;
                    Err(failure)
                }
                asked => asked,
            }
        });
        match described.await?.into_iter().next() {
            Some(Ok(resource)) => Ok(resource.get(name).and_then(|entry| entry.value.clone())),
            Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) => Ok(None),
            Some(Err(code)) => Err(of_code(code, self.timeout())),
            None => Ok(None),
        }
    }

    pub(crate) fn admin_options(&self) -> AdminOptions {
        let timeout = Some(self.timeout());
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }

    async fn answer<T>(&self, asked: impl Future<Output = KafkaResult<T>>) -> Result<T, Failure> {
        let timeout = self.timeout();
        let answer =
            self.while_open(async { asked.await.map_err(|error| failed(&error, timeout)) });
        // The client keeps the deadline too.
        let late = TransportErrorKind::TimedOut { after: timeout }.into();
        tokio::time::timeout(timeout * 2, answer).await.unwrap_or(Err(late))
    }

    fn first_result(&self, results: Vec<TopicResult>) -> Result<(), Failure> {
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(of_code(code, self.timeout())),
            Some(Ok(_)) => Ok(()),
            None => {
                let reason = "the broker's answer has no result for the topic".to_owned();
                Err(TransportErrorKind::Protocol { reason }.into())
            }
        }
    }
}

/// Returns the node that leads a topic, or fails if the brokers' metadata of it is no channel's.
pub(crate) fn is_channel(
    topic: &str,
    metadata: Option<&MetadataTopic>,
    timeout: Duration,
) -> Result<i32, Failure> {
    let Some(metadata) = metadata else { return Err(TransportErrorKind::NotFound.into()) };
    if let Some(code) = metadata.error().filter(|code| code.is_error()) {
        return Err(needs(of_code(code.into(), timeout), "Describe", &named(topic)));
    }
    match metadata.partitions() {
        [] => Err(TransportErrorKind::NotFound.into()),
        [one] => match one.error().filter(|code| code.is_error()) {
            Some(code) => Err(of_code(code.into(), timeout)),
            None if one.leader() < 0 => Err(of_code(RDKafkaErrorCode::LeaderNotAvailable, timeout)),
            None => Ok(one.leader()),
        },
        more => Err(too_many(more.len())),
    }
}

/// Returns the failure of a topic with so many partitions.
pub(crate) fn too_many(partitions: usize) -> Failure {
    let reason = format!(
        "the topic has {partitions} partitions, and a channel is a topic with one: create a topic for each"
    );
    TransportErrorKind::Config { reason }.into()
}

/// Returns how an error names a topic.
pub(crate) fn named(topic: &str) -> String {
    format!("topic `{topic}`")
}

/// Returns what an error means for a topic that was just seen: the client reports a topic without a
/// leader as unknown, too.
fn at_leader(error: &KafkaError, timeout: Duration) -> Failure {
    let failure = failed(error, timeout);
    match failure.kind {
        TransportErrorKind::NotFound => {
            failure.with_kind(of_code(RDKafkaErrorCode::LeaderNotAvailable, timeout).kind)
        }
        _ => failure,
    }
}

fn bounds(consumer: &Consumer, topic: &str, timeout: Duration) -> Result<Bounds, Failure> {
    let watermarks = consumer.fetch_watermarks(topic, 0, timeout);
    let (low, high) = watermarks.map_err(|error| at_leader(&error, timeout))?;
    match (u64::try_from(low), u64::try_from(high)) {
        (Ok(low), Ok(high)) => Ok(Bounds { low, high }),
        _ => Err(TransportErrorKind::Protocol {
            reason: format!("the offsets {low} to {high} of the topic are negative"),
        }
        .into()),
    }
}
