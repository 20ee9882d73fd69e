//! The properties of channels, in a topic of their own that every process finds: the value is JSON, and
//! compaction keeps the last one of each key. The key of a topic's first partition is the topic's name, so that
//! it keeps its properties if partitions are added, and that of another one has the partition's number, too.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind;
use tokio::time::{Instant, timeout_at};

use crate::client::Handle;
use crate::error::needs;
use crate::in_flight::Outgoing;
use crate::lookup::{Bounds, named};
use crate::name::PROPERTIES;
use crate::native::topic::QueueEvent;
use crate::partition::{Name, Partition};
use crate::prefetch::{Place, Prefetch};
use crate::writer::{self, Opened};

/// How long to wait for the client to wake us, before we check the queue ourselves.
const LOOK: Duration = Duration::from_secs(1);

/// What was read of the topic so far.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    prefetch: Option<Prefetch>,
    next: u64,
    values: HashMap<Vec<u8>, Vec<u8>>,
}

impl Handle {
    /// Returns the properties of a partition, as they are now.
    pub(crate) async fn properties(
        self: &Arc<Self>,
        partition: &Partition,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let key = key(&partition.topic, partition.number);
        let value = self.stored_properties(move |values| values.get(&key).cloned()).await?;
        let Some(value) = value else { return Ok(BTreeMap::new()) };
        serde_json::from_slice(&value).map_err(|error| {
            let reason =
                format!("the channel's properties in topic `{PROPERTIES}` aren't valid JSON");
            Failure::new(TransportErrorKind::Protocol { reason }, error)
        })
    }

    /// Stores the properties of each of so many partitions of a topic that was just created, or with none those
    /// of one that was deleted. Those of an earlier topic of the same name are gone afterwards.
    pub(crate) async fn set_properties(
        self: &Arc<Self>,
        topic: &str,
        partitions: i32,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let value = serde_json::to_vec(properties).map_err(|error| {
            let reason = "the properties can't be written as JSON".to_owned();
            Failure::new(TransportErrorKind::Config { reason }, error)
        })?;
        let earlier = self.property_keys(topic).await?;
        let mut values: BTreeMap<_, _> = earlier.into_iter().map(|key| (key, None)).collect();
        if !properties.is_empty() {
            values.extend((0..partitions).map(|number| (key(topic, number), Some(&*value))));
        }
        if values.is_empty() {
            return Ok(());
        }
        self.make_topic().await?;
        let Opened { pipeline, limit, .. } =
            writer::open(self, PROPERTIES, &Name::only(PROPERTIES)).await?;
        let size =
            |(key, value): (&Vec<u8>, &Option<&[u8]>)| key.len() + value.map_or(0, <[_]>::len);
        let bytes = values.iter().map(size).max().unwrap_or_default();
        if bytes > limit {
            return Err(TransportErrorKind::TooLarge { bytes, limit }.into());
        }
        let outgoing = values.iter().map(|(key, value)| Outgoing {
            key: Some(key),
            payload: *value,
            headers: None,
        });
        let outcome = pipeline.send(values.len(), values.iter().map(size).sum(), outgoing).await;
        let unstored = outcome.rest.map(|rest| rest.error);
        unstored.map_or(Ok(()), |error| Err(Failure::new(error.kind().clone(), error)))
    }

    async fn make_topic(&self) -> Result<(), Failure> {
        const COMPACT: &str = "compact";
        match self.partitions(PROPERTIES).await {
            Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                let settings = [("cleanup.policy".to_owned(), COMPACT.to_owned())].into();
                match self.create_topic(PROPERTIES, 1, &settings).await {
                    // Somebody else was faster.
                    Err(Failure { kind: TransportErrorKind::AlreadyExists, .. }) => {
                        self.find_made(PROPERTIES).await
                    }
                    made => made,
                }
            }
            found => {
                let partitions = found?;
                if partitions > 1 {
                    let reason = format!(
                        "topic `{PROPERTIES}`, which keeps the properties of all channels, has {partitions} partitions: create it again with one"
                    );
                    return Err(TransportErrorKind::Config { reason }.into());
                }
                let [policy] = self.settings(PROPERTIES, ["cleanup.policy"]).await?;
                match policy {
                    Some(policy) if policy != COMPACT => Err(TransportErrorKind::Config {
                        reason: format!(
                            "topic `{PROPERTIES}`, which keeps the properties of all channels, has the cleanup policy `{policy}` and would lose them: set it to `{COMPACT}`"
                        ),
                    }.into()),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Returns the keys under which a topic has properties.
    async fn property_keys(self: &Arc<Self>, topic: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let topic = topic.to_owned();
        self.stored_properties(move |values| {
            let is_its = |key: &&Vec<u8>| is_key_of(key, &topic);
            values.keys().filter(is_its).cloned().collect()
        })
        .await
    }

    /// Returns what a function takes of all properties, as they are now.
    async fn stored_properties<T: Send + 'static>(
        self: &Arc<Self>,
        take: impl FnOnce(&HashMap<Vec<u8>, Vec<u8>>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let handle = Arc::clone(self);
        // In a task of its own: a caller that isn't polled for a while must not keep all others from
        // the properties.
        let looked = tokio::spawn(async move {
            let work = async {
                let mut properties = handle.properties.lock().await;
                let mut retry = Retry::new(handle.timeout());
                loop {
                    let until = Instant::now() + retry.left();
                    let late = TransportErrorKind::TimedOut { after: handle.timeout() }.into();
                    let read = timeout_at(until, properties.catch_up(&handle)).await;
                    let Err(failure) = read.unwrap_or(Err(late)) else { break };
                    // From the beginning next time.
                    *properties = Properties::default();
                    retry.after(failure).await?;
                }
                Ok(take(&properties.values))
            };
            handle.while_open(work).await
        });
        // It fails when the runtime shuts down.
        looked.await.map_err(|_| TransportErrorKind::Closed)?
    }
}

impl Properties {
    /// Reads up to the current end of the topic. If it is cancelled, the next call continues from there.
    async fn catch_up(&mut self, handle: &Arc<Handle>) -> Result<(), Failure> {
        let Bounds { low, high } = match handle.bounds(&Partition::first(PROPERTIES)).await {
            Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                *self = Self::default();
                return Ok(());
            }
            bounds => bounds?,
        };
        if self.prefetch.is_none() || self.next > high {
            // A topic that is shorter than it was is another one.
            *self = Self::default();
            if low == high {
                return Ok(());
            }
            let at = Arc::clone(handle);
            let place = Place { offset: low, epoch: None };
            let open = move || at.fetchers.open(&at.config, &Partition::first(PROPERTIES), place);
            let prefetch = handle.block(open).await?;
            (self.prefetch, self.next) = (Some(prefetch), low);
        }
        while self.next < high {
            let Self { prefetch: Some(prefetch), next, values } = self else { break };
            let mut failed = None;
            prefetch.drain(|event| {
                match event {
                    QueueEvent::Message(message) => {
                        let key = message.key().unwrap_or_default();
                        match message.payload() {
                            Some(value) => values.insert(key.to_owned(), value.to_owned()),
                            None => values.remove(key),
                        };
                        *next = message.offset() + 1;
                    }
                    // Compaction leaves offsets without a record.
                    QueueEvent::End(end) => *next = (*next).max(end),
                    QueueEvent::Failed(error) => failed = Some(error),
                }
                match failed.is_some() || *next >= high {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if let Some(error) = failed {
                return Err(match error.failure(handle.timeout()) {
                    Failure { kind: TransportErrorKind::NotFound, .. } => {
                        handle.missing(&Partition::first(PROPERTIES)).await
                    }
                    failure => needs(failure, "Read", &named(PROPERTIES)),
                });
            }
            if *next < high {
                // Where the time is over, it looks again.
                let _ = timeout_at(Instant::now() + LOOK, prefetch.wait()).await;
            }
        }
        Ok(())
    }
}

/// Returns the key of a partition's properties.
fn key(topic: &str, number: i32) -> Vec<u8> {
    match number {
        0 => topic.to_owned(),
        number => format!("{topic}:{number}"),
    }
    .into_bytes()
}

/// Returns whether it is the key of one of a topic's partitions.
fn is_key_of(key: &[u8], topic: &str) -> bool {
    let rest = key.strip_prefix(topic.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_its_topic() {
        assert_eq!(key("orders", 0), b"orders", "as if it were the only one");
        assert_eq!(key("orders", 12), b"orders:12");
        for number in [0, 1, 12] {
            assert!(is_key_of(&key("orders", number), "orders"));
            for topic in ["order", "orders-eu", "my-orders"] {
                assert!(!is_key_of(&key("orders", number), topic), "{topic}");
            }
        }
    }
}
