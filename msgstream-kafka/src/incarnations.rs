//! Which incarnation of a topic is there.
//!
//! Kafka gives a topic another id each time it is made, but a client goes on in a topic that was
//! deleted and made again, and doesn't tell. So readers look at ids themselves: when they begin, and
//! before they hand out records where the last look was too long ago. A client that comes to another
//! topic of the name has failed to fetch from the first, and pauses for `fetch.error.backoff.ms`;
//! what it fetched less than that after a look is of the topic that was seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgstream_core::transport::{Incarnation, Retry, TransportErrorKind};
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use crate::KafkaConfig;
use crate::error::{needs, of_code};
use crate::events::lock;
use crate::handle::Handle;
use crate::native::ids::topic_ids;
use crate::topics::named;

/// The topics that are read, and what was seen of all of them last.
#[derive(Debug)]
pub(crate) struct Incarnations {
    /// For so long after it was asked for an answer is good.
    pub(crate) good_for: Duration,
    /// With the number of readers.
    read: Mutex<BTreeMap<String, usize>>,
    /// One asks for all, and the others wait for that.
    seen: Turn<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// Before the question.
    at: Instant,
    told: Result<HashMap<String, Told>, TransportErrorKind>,
}

type Told = Result<Incarnation, Code>;

impl Incarnations {
    pub(crate) fn new(config: &KafkaConfig) -> Self {
        let pause = config.readers_number("fetch.error.backoff.ms").unwrap_or_default();
        // Half of it is for what lies between the look and the records.
        let good_for = Duration::from_millis(u64::from(pause) / 2);
        Self { good_for, read: Mutex::default(), seen: Turn::default() }
    }
}

/// The incarnation of a topic that a reader is bound to. As long as this is there the topic is asked
/// for with the others.
#[derive(Debug)]
pub(crate) struct Bound {
    handle: Arc<Handle>,
    topic: String,
    /// Unknown where the brokers are too old to have ids.
    pub(crate) incarnation: Incarnation,
    /// When it was seen last.
    seen: Instant,
}

impl Bound {
    /// To the one that is there, which has to be the expected one.
    pub(crate) async fn new(
        handle: &Arc<Handle>,
        topic: &str,
        expected: Option<Incarnation>,
    ) -> Result<Self, TransportErrorKind> {
        let seen = Instant::now();
        let found = handle.incarnation(topic).await?;
        let (handle, topic) = (Arc::clone(handle), topic.to_owned());
        match expected {
            Some(expected) if found == Incarnation::UNKNOWN && expected != found => {
                return Err(TransportErrorKind::Unsupported { capability: "incarnations" });
            }
            Some(expected) => is_same(expected, found)?,
            None => {}
        }
        *lock(&handle.incarnations.read).entry(topic.clone()).or_default() += 1;
        Ok(Self { handle, topic, incarnation: found, seen })
    }

    /// Looks whether the topic is still that one.
    pub(crate) async fn look(&mut self) -> Result<(), TransportErrorKind> {
        let seen = Instant::now();
        is_same(self.incarnation, self.handle.incarnation(&self.topic).await?)?;
        self.seen = seen;
        Ok(())
    }

    /// The same, where records that were just taken may be of another one.
    pub(crate) async fn look_for_records(&mut self) -> Result<(), TransportErrorKind> {
        self.look_after(self.handle.incarnations.good_for).await
    }

    /// The same, where it wasn't seen for that long.
    pub(crate) async fn look_after(
        &mut self,
        good_for: Duration,
    ) -> Result<(), TransportErrorKind> {
        if self.seen.elapsed() <= good_for {
            return Ok(());
        }
        let now = Instant::now();
        let since = now.checked_sub(good_for).unwrap_or(now);
        let (handle, topic) = (Arc::clone(&self.handle), self.topic.clone());
        // In a task of its own: a reader that nobody polls for a while must not keep all others from
        // their answer.
        let looked = tokio::spawn(async move { handle.incarnation_since(&topic, since).await });
        // It fails where the runtime ends.
        let (seen, found) = looked.await.map_err(|_| TransportErrorKind::Closed)??;
        is_same(self.incarnation, found)?;
        self.seen = seen;
        Ok(())
    }
}

fn is_same(expected: Incarnation, found: Incarnation) -> Result<(), TransportErrorKind> {
    match expected == found {
        true => Ok(()),
        false => Err(TransportErrorKind::WrongIncarnation { expected, found }),
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut read = lock(&self.handle.incarnations.read);
        if let Some(readers) = read.get_mut(&self.topic) {
            *readers -= 1;
            if *readers == 0 {
                read.remove(&self.topic);
            }
        }
    }
}

impl Handle {
    /// The topic's incarnation now.
    pub(crate) async fn incarnation(&self, topic: &str) -> Result<Incarnation, TransportErrorKind> {
        let mut retry = Retry::new(self.timeout());
        loop {
            let told = self.ask_for_ids(vec![topic.to_owned()]).await?;
            match self.of_topic(topic, told.get(topic)).await {
                // It passes where not every broker knows of a new topic yet.
                Err(kind) => retry.after(kind).await?,
                found => return found,
            }
        }
    }

    /// As it was at that time or later, and when it was asked for.
    async fn incarnation_since(
        &self,
        topic: &str,
        since: Instant,
    ) -> Result<(Instant, Incarnation), TransportErrorKind> {
        let mut seen = self.incarnations.seen.lock().await;
        let seen = match &mut *seen {
            Some(seen) if seen.at >= since && seen.knows(topic) => seen,
            place => {
                let at = Instant::now();
                let topics = lock(&self.incarnations.read).keys().cloned().collect();
                place.insert(Seen { at, told: self.ask_for_ids(topics).await })
            }
        };
        let told = seen.told.as_ref().map_err(Clone::clone)?;
        let (at, told) = (seen.at, told.get(topic).copied());
        Ok((at, self.of_topic(topic, told.as_ref()).await?))
    }

    async fn of_topic(
        &self,
        topic: &str,
        told: Option<&Told>,
    ) -> Result<Incarnation, TransportErrorKind> {
        let code = match told {
            Some(Ok(incarnation)) => return Ok(*incarnation),
            Some(Err(code)) => *code,
            None => Code::UnknownTopicOrPartition,
        };
        match of_code(code, self.timeout()) {
            TransportErrorKind::NotFound => Err(self.missing(topic).await),
            kind => Err(needs(kind, "Describe", &named(topic))),
        }
    }

    async fn ask_for_ids(
        &self,
        topics: Vec<String>,
    ) -> Result<HashMap<String, Told>, TransportErrorKind> {
        self.ask(move |consumer, timeout| {
            let ids = topic_ids(consumer, &topics, timeout).map_err(|c| of_code(c, timeout))?;
            let told = ids.into_iter().map(|id| id.map(Incarnation));
            Ok(topics.iter().cloned().zip(told).collect())
        })
        .await
    }
}

impl Seen {
    /// Whether it tells of the topic, or why nothing can be told.
    fn knows(&self, topic: &str) -> bool {
        self.told.as_ref().map_or(true, |told| told.contains_key(topic))
    }
}
