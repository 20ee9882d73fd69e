//! Looking topics up: which there are, their partitions, who leads those, and their offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::Offset;

use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, needs, of_code};
use crate::name::PROPERTIES;
use crate::partition::{Name, Partition};
use crate::prefetch::Consumer;

/// The offsets of a partition's first record and behind its last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

/// The nodes that lead the partitions of a topic.
#[derive(Debug)]
pub(crate) struct Leaders(BTreeMap<i32, Result<i32, Failure>>);

impl Leaders {
    /// Reads the brokers' metadata. Fails if there is no such topic.
    pub(crate) fn read(
        topic: &str,
        metadata: Option<&MetadataTopic>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let Some(metadata) = metadata else { return Err(TransportErrorKind::NotFound.into()) };
        if let Some(code) = metadata.error().filter(|code| code.is_error()) {
            return Err(needs(of_code(code.into(), timeout), "Describe", &named(topic)));
        }
        let leader = |one: &MetadataPartition| match one.error().filter(|code| code.is_error()) {
            Some(code) => Err(of_code(code.into(), timeout)),
            None if one.leader() < 0 => Err(of_code(RDKafkaErrorCode::LeaderNotAvailable, timeout)),
            None => Ok(one.leader()),
        };
        match metadata.partitions() {
            [] => Err(TransportErrorKind::NotFound.into()),
            partitions => Ok(Self(partitions.iter().map(|one| (one.id(), leader(one))).collect())),
        }
    }

    /// Returns the node that leads a partition, which is known to be there: a node in whose answer it is
    /// missing doesn't know it yet.
    pub(crate) fn of(&self, partition: &Partition, timeout: Duration) -> Result<i32, Failure> {
        let leader = self.0.get(&partition.number).cloned();
        leader.unwrap_or_else(|| Err(of_code(RDKafkaErrorCode::LeaderNotAvailable, timeout)))
    }

    /// Fails unless each partition is led.
    fn all(self) -> Result<(), Failure> {
        self.0.into_values().try_for_each(|leader| leader.map(drop))
    }
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

    /// Returns the partition of a name. Fails if there is none, or if it has another name.
    pub(crate) async fn find(&self, name: &Name) -> Result<Partition, Failure> {
        self.ask(|look| async move {
            let leaders = self.leaders(&name.topic, look).await?;
            let partition = name.of(leaders.0.len())?;
            leaders.of(&partition, look).map(|_| partition)
        })
        .await
    }

    /// Returns how many partitions a topic has. Fails if there is no such topic.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<usize, Failure> {
        self.ask(|look| self.leaders(topic, look)).await.map(|leaders| leaders.0.len())
    }

    /// Fails if there is no such topic, or if nobody leads one of its partitions.
    pub(crate) async fn find_leaders(&self, topic: &str) -> Result<(), Failure> {
        self.ask(|look| async move { self.leaders(topic, look).await?.all() }).await
    }

    /// Returns the leaders of a topic, in one attempt.
    async fn leaders(&self, topic: &str, look: Duration) -> Result<Leaders, Failure> {
        let topic = topic.to_owned();
        let find = move |consumer: &Consumer, left| {
            let metadata = consumer.fetch_metadata(Some(&topic), left);
            let metadata = metadata.map_err(|error| failed(&error, left))?;
            Ok((metadata.orig_broker_id(), Leaders::read(&topic, metadata.topics().first(), left)))
        };
        let (node, leaders) = self.call(At::AnyNode, look, find).await?;
        self.incarnations.answered(node);
        leaders
    }

    /// Returns the node that leads a partition, in one attempt.
    async fn leader(&self, partition: &Partition, look: Duration) -> Result<i32, Failure> {
        self.leaders(&partition.topic, look).await?.of(partition, look)
    }

    /// Returns the bounds of a partition.
    pub(crate) async fn bounds(&self, partition: &Partition) -> Result<Bounds, Failure> {
        self.ask(|look| async move {
            let leader = self.leader(partition, look).await?;
            let partition = partition.clone();
            let bounds = move |consumer: &Consumer, left| bounds(consumer, &partition, left);
            self.call(At::Node(leader), look, bounds).await
        })
        .await
    }

    /// Returns what it means that a partition is missing in one answer: the broker that sent it may not
    /// know it yet, or any more.
    pub(crate) async fn missing(&self, partition: &Partition) -> Failure {
        self.ask(|look| self.leader(partition, look)).await.map_or_else(|failure| failure, disagree)
    }

    /// Returns the same for a topic.
    pub(crate) async fn missing_topic(&self, topic: &str) -> Failure {
        self.partitions(topic).await.map_or_else(|failure| failure, disagree)
    }

    /// Returns the first offset whose record was appended at a time, in Unix milliseconds, or later,
    /// `None` if there is none.
    pub(crate) async fn offset_at(
        &self,
        partition: &Partition,
        unix_ms: u64,
    ) -> Result<Option<u64>, Failure> {
        self.ask(|look| async move {
            let leader = self.leader(partition, look).await?;
            let Partition { topic, number } = partition.clone();
            let times = partition.alone_at(unix_ms);
            self.call(At::Node(leader), look, move |consumer, left| {
                let found = times
                    .and_then(|times| consumer.offsets_for_times(times, left))
                    .map_err(|error| at_leader(&error, left))?;
                let Some(found) = found.find_partition(&topic, number) else { return Ok(None) };
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

    /// Returns the topics, each with the number of its partitions, in no order.
    pub(crate) async fn topics(&self) -> Result<Vec<(String, usize)>, Failure> {
        self.ask(|look| {
            self.call(At::AnyNode, look, |consumer, left| {
                let metadata =
                    consumer.fetch_metadata(None, left).map_err(|error| failed(&error, left))?;
                let topics = metadata.topics().iter();
                Ok(topics.map(|one| (one.name().to_owned(), one.partitions().len())).collect())
            })
        })
        .await
    }
}

fn disagree<T>(_: T) -> Failure {
    let reason = "the brokers disagree on whether the topic exists".to_owned();
    TransportErrorKind::Unavailable { reason }.into()
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

fn bounds(
    consumer: &Consumer,
    partition: &Partition,
    timeout: Duration,
) -> Result<Bounds, Failure> {
    let watermarks = consumer.fetch_watermarks(&partition.topic, partition.number, timeout);
    let (low, high) = watermarks.map_err(|error| at_leader(&error, timeout))?;
    match (u64::try_from(low), u64::try_from(high)) {
        (Ok(low), Ok(high)) => Ok(Bounds { low, high }),
        _ => Err(TransportErrorKind::Protocol {
            reason: format!("the offsets {low} to {high} of the topic are negative"),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_lacks_a_partition_is_asked_again() {
        let leaders = Leaders(BTreeMap::from([(0, Ok(7))]));
        let partition = |number| Partition { topic: "orders".to_owned(), number };
        let found = |number| leaders.of(&partition(number), Duration::from_secs(1));
        assert_eq!(found(0), Ok(7));
        assert!(found(2).is_err_and(|failure| failure.is_temporary()));
    }
}
