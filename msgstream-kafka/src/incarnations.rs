//! Tracks the current incarnations of topics.
//!
//! Kafka assigns a topic another id each time it is created, but a client continues in a topic that was
//! deleted and created again, and reports nothing. So readers check ids themselves: when they begin, and
//! before they return records if the last check was too long ago. Before a client fetches from another
//! topic of the same name, it fails to fetch from the first and pauses for `fetch.error.backoff.ms`;
//! records that it fetched within that time after a check belong to the topic that was seen. Writers check
//! as often, before they report that records are stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::record::Incarnation;
use msgstream_core::transport::{Capability, TransportErrorKind};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use crate::KafkaConfig;
use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, needs, of_code};
use crate::events::lock;
use crate::lookup::named;
use crate::name::{PROPERTIES, channel_of};
use crate::native::ids::{Described, describe_topics};
use crate::partition::{Name, Partition, listed};
use crate::prefetch::Consumer;

/// The topics that are read and written, and what was seen of all of them last.
#[derive(Debug)]
pub(crate) struct Incarnations {
    /// How long an answer is valid, from its request on.
    pub(crate) good_for: Duration,
    used: Mutex<BTreeMap<String, Used>>,
    /// One caller requests all topics, and the others wait for the answer.
    seen: Turn<Option<Seen>>,
    /// The node that answered last, negative if none did.
    node: AtomicI32,
}

/// A topic that is read or written.
#[derive(Debug)]
struct Used {
    /// What is known of it, with the greatest number of partitions that was seen.
    known: Described,
    /// Of each partition that is in use the name, and how many readers, writers and subscriptions have it.
    open: BTreeMap<(Incarnation, i32), (Name, usize)>,
}

impl Used {
    /// Counts another user of a partition. A log that got another name is open under one of them only:
    /// under both, a consumer would get its messages twice.
    fn add(&mut self, place: (Incarnation, i32), name: &Name) -> Result<(), Failure> {
        let (open, users) = self.open.entry(place).or_insert_with(|| (name.clone(), 0));
        if open != name {
            let reason = format!("the same log is open as `{open}`: close that first");
            return Err(TransportErrorKind::Config { reason }.into());
        }
        *users += 1;
        Ok(())
    }

    fn remove(&mut self, place: (Incarnation, i32)) {
        if let Some((_, users)) = self.open.get_mut(&place) {
            *users -= 1;
            if *users == 0 {
                self.open.remove(&place);
            }
        }
    }

    /// Takes in what was seen. Returns how many partitions it had, if some were added. Brokers that learn
    /// of it later don't count.
    fn see(&mut self, now: Described) -> Option<usize> {
        let before = std::mem::replace(&mut self.known, now);
        if before.id != now.id {
            return None;
        }
        self.known.partitions = before.partitions.max(now.partitions);
        (before.partitions < now.partitions).then_some(before.partitions)
    }
}

#[derive(Debug)]
struct Seen {
    /// Before the request.
    at: Instant,
    answers: Result<HashMap<String, Answer>, Failure>,
}

type Answer = Result<Described, Code>;

impl Incarnations {
    pub(crate) fn new(config: &KafkaConfig) -> Self {
        let pause = config.readers_number("fetch.error.backoff.ms").unwrap_or_default();
        // The other half covers the time between the check and the records.
        let good_for = Duration::from_millis(u64::from(pause) / 2);
        let node = AtomicI32::new(-1);
        Self { good_for, used: Mutex::default(), seen: Turn::default(), node }
    }

    /// Returns the node for the next request. The client's own choice is the node that it takes for the
    /// controller, which may hang.
    pub(crate) fn node(&self) -> Option<i32> {
        Some(self.node.load(Ordering::Relaxed)).filter(|node| *node >= 0)
    }

    /// Notes that a node has answered.
    pub(crate) fn answered(&self, node: i32) {
        self.node.store(node, Ordering::Relaxed);
    }

    /// Notes what was seen of a topic. Returns what is known of it, and how many partitions it had, if some
    /// were added since it was opened: once for each time.
    fn note(&self, topic: &str, seen: Described) -> (Described, Option<usize>) {
        let mut used = lock(&self.used);
        let Some(used) = used.get_mut(topic) else { return (seen, None) };
        let grown_from = used.see(seen);
        (used.known, grown_from)
    }
}

/// A partition that a reader, a writer or a subscription is bound to, and the incarnation of its topic. As long as this
/// exists, requests include the topic.
#[derive(Debug)]
pub(crate) struct Bound {
    handle: Arc<Handle>,
    pub(crate) partition: Partition,
    /// Unknown if the brokers are too old to have ids.
    pub(crate) incarnation: Incarnation,
    /// When it was seen last.
    pub(crate) seen: Instant,
}

impl Bound {
    /// Binds to the partition of this name, whose topic must be the expected one.
    pub(crate) async fn new(
        handle: &Arc<Handle>,
        name: &Name,
        expected: Option<Incarnation>,
    ) -> Result<Self, Failure> {
        let seen = Instant::now();
        let known = handle.described(&name.topic).await?;
        let found = Incarnation(known.id);
        let handle = Arc::clone(handle);
        match expected {
            Some(expected) if found == Incarnation::UNKNOWN && expected != found => {
                let capability = Capability::Incarnations;
                return Err(TransportErrorKind::Unsupported { capability }.into());
            }
            Some(expected) => is_same(expected, found)?,
            None => {}
        }
        let partition = name.of(known.partitions)?;
        let mut used = lock(&handle.incarnations.used);
        let unused = || Used { known, open: BTreeMap::new() };
        let topic = used.entry(name.topic.clone()).or_insert_with(unused);
        topic.add((found, partition.number), name)?;
        drop(used);
        Ok(Self { handle, partition, incarnation: found, seen })
    }

    /// Fails if the topic isn't the same any more.
    pub(crate) async fn look(&mut self) -> Result<(), Failure> {
        let seen = Instant::now();
        let found = self.handle.described(&self.partition.topic).await?;
        is_same(self.incarnation, Incarnation(found.id))?;
        self.seen = seen;
        Ok(())
    }

    /// Does the same if records that just arrived may be of another topic.
    pub(crate) async fn look_for_records(&mut self) -> Result<(), Failure> {
        self.look_after(self.handle.incarnations.good_for).await
    }

    /// Does the same if the last look was longer ago than that.
    pub(crate) async fn look_after(&mut self, good_for: Duration) -> Result<(), Failure> {
        if self.seen.elapsed() > good_for {
            self.seen = self.seen_within(good_for).await?;
        }
        Ok(())
    }

    /// Fails if the topic isn't the same any more, as far as was seen lately by anybody.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        self.seen_within(self.handle.incarnations.good_for).await.map(drop)
    }

    /// Returns when the topic was seen to be the same, which is no longer ago than that.
    pub(crate) async fn seen_within(&self, good_for: Duration) -> Result<Instant, Failure> {
        let now = Instant::now();
        let since = now.checked_sub(good_for).unwrap_or(now);
        let (handle, topic) = (Arc::clone(&self.handle), self.partition.topic.clone());
        // In a task of its own: a reader that isn't polled for a while must not keep all others from
        // their answer.
        let looked = tokio::spawn(async move { handle.described_since(&topic, since).await });
        // It fails when the runtime shuts down.
        let (seen, found) = looked.await.map_err(|_| TransportErrorKind::Closed)??;
        is_same(self.incarnation, Incarnation(found.id))?;
        Ok(seen)
    }
}

fn is_same(expected: Incarnation, found: Incarnation) -> Result<(), Failure> {
    match expected == found {
        true => Ok(()),
        false => Err(TransportErrorKind::WrongIncarnation { expected, found }.into()),
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Partition { topic, number } = &self.partition;
        let mut used = lock(&self.handle.incarnations.used);
        if let Some(of_topic) = used.get_mut(topic) {
            of_topic.remove((self.incarnation, *number));
            if of_topic.open.is_empty() {
                used.remove(topic);
            }
        }
    }
}

impl Handle {
    /// Returns the topic's id and the number of its partitions now.
    pub(crate) async fn described(&self, topic: &str) -> Result<Described, Failure> {
        let mut retry = Retry::new(self.timeout());
        loop {
            let answers = self.ask_for_ids(vec![topic.to_owned()]).await?;
            match self.of_topic(topic, answers.get(topic)).await {
                // It passes if not every broker knows a new topic yet.
                Err(failure) => retry.after(failure).await?,
                found => return found,
            }
        }
    }

    /// Returns the same as it was at that time or later, and when it was requested.
    async fn described_since(
        &self,
        topic: &str,
        since: Instant,
    ) -> Result<(Instant, Described), Failure> {
        let (at, answer) = {
            let mut seen = self.incarnations.seen.lock().await;
            let seen = match &mut *seen {
                Some(seen) if seen.at >= since && seen.knows(topic) => seen,
                place => {
                    let at = Instant::now();
                    let topics = lock(&self.incarnations.used).keys().cloned().collect();
                    place.insert(Seen { at, answers: self.ask_for_ids(topics).await })
                }
            };
            (seen.at, seen.answers.as_ref().map_err(Clone::clone)?.get(topic).copied())
        };
        Ok((at, self.of_topic(topic, answer.as_ref()).await?))
    }

    async fn of_topic(&self, topic: &str, answer: Option<&Answer>) -> Result<Described, Failure> {
        let code = match answer {
            Some(Ok(described)) => {
                let (known, grown_from) = self.incarnations.note(topic, *described);
                if let Some(before) = grown_from {
                    self.warn_of_partitions(topic, before, known.partitions);
                }
                return Ok(known);
            }
            Some(Err(code)) => *code,
            None => Code::UnknownTopicOrPartition,
        };
        match of_code(code, self.timeout()) {
            Failure { kind: TransportErrorKind::NotFound, .. } => {
                Err(self.missing_topic(topic).await)
            }
            failure => Err(needs(failure, "Describe", &named(topic))),
        }
    }

    fn warn_of_partitions(&self, topic: &str, before: usize, partitions: usize) {
        let base = channel_of(&self.config.prefix, topic).unwrap_or(topic);
        let channels = listed(base, partitions);
        let renamed = match before {
            1 => format!("; `{base}` is `{base}:0` now, which isn't another channel"),
            _ => String::new(),
        };
        tracing::warn!(
            topic,
            partitions,
            "partitions were added to a topic that is open: its channels are {channels}{renamed}; what is open stays on its partition"
        );
    }

    async fn ask_for_ids(&self, topics: Vec<String>) -> Result<HashMap<String, Answer>, Failure> {
        let topics: Arc<[String]> = topics.into();
        self.ask(|look| {
            let topics = Arc::clone(&topics);
            async move {
                let (asked, node) = (Arc::clone(&topics), self.incarnations.node());
                let describe = move |consumer: &Consumer, left| {
                    describe_topics(consumer, node, &asked, left)
                        .map_err(|code| of_code(code, left))
                };
                match self.call(At::AnyNode, look, describe).await {
                    Ok(answers) => Ok(topics.iter().cloned().zip(answers).collect()),
                    Err(failure) => {
                        self.find_node(look).await;
                        Err(failure)
                    }
                }
            }
        })
        .await
    }

    /// Finds a node that answers.
    pub(crate) async fn find_node(&self, look: Duration) {
        let answered = self.call(At::AnyNode, look, |consumer, left| {
            let metadata = consumer.fetch_metadata(Some(PROPERTIES), left);
            metadata.map(|metadata| metadata.orig_broker_id()).map_err(|error| failed(&error, left))
        });
        if let Ok(node) = answered.await {
            self.incarnations.answered(node);
        }
    }
}

impl Seen {
    /// Returns whether it has an answer for the topic, or the failure for all topics.
    fn knows(&self, topic: &str) -> bool {
        self.answers.as_ref().map_or(true, |answers| answers.contains_key(topic))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn used(id: u128, partitions: usize) -> Used {
        Used { known: Described { id, partitions }, open: BTreeMap::new() }
    }

    #[test]
    fn a_log_is_open_under_one_name() {
        let (old, new) = (Name::parse("", "orders").unwrap(), Name::parse("", "orders:0").unwrap());
        let (mut topic, place) = (used(7, 1), (Incarnation(7), 0));
        topic.add(place, &old).unwrap();
        topic.add(place, &old).unwrap();
        topic.remove(place);
        let refused = topic.add(place, &new).unwrap_err();
        assert!(refused.to_string().contains("open as `orders`"), "{refused}");
        // That of another topic is another log.
        topic.add((Incarnation(8), 0), &new).unwrap();
        topic.remove(place);
        topic.add(place, &new).unwrap();
        assert!(topic.add(place, &old).is_err());
        topic.remove((Incarnation(8), 0));
        topic.remove(place);
        assert!(topic.open.is_empty());
    }

    #[test]
    fn partitions_are_added_once_and_never_removed() {
        let mut topic = used(7, 1);
        for (id, partitions, grown_from, known) in
            [(7, 1, None, 1), (7, 3, Some(1), 3), (7, 1, None, 3), (7, 3, None, 3), (8, 2, None, 2)]
        {
            assert_eq!(topic.see(Described { id, partitions }), grown_from);
            assert_eq!(topic.known, Described { id, partitions: known });
        }
    }
}
