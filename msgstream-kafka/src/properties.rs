//! The properties of channels, in a topic of their own that every process finds: the key is the
//! name of the channel's topic, the value is JSON, and compaction keeps the last one of each.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind;
use tokio::time::{Instant, timeout_at};

use crate::admin::{Bounds, named};
use crate::client::Handle;
use crate::error::needs;
use crate::in_flight::Outgoing;
use crate::name::PROPERTIES;
use crate::native::topic::QueueEvent;
use crate::prefetch::{Place, Prefetch};
use crate::writer;

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
    /// Returns the properties of a topic, as they are now.
    pub(crate) async fn properties(
        self: &Arc<Self>,
        topic: &str,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let value = self.stored_properties(topic).await?;
        let Some(value) = value else { return Ok(BTreeMap::new()) };
        serde_json::from_slice(&value).map_err(|error| {
            let reason =
                format!("the topic's properties in topic `{PROPERTIES}` aren't valid JSON");
            Failure::new(TransportErrorKind::Protocol { reason }, error)
        })
    }

    /// Stores the properties of a topic that was just created or deleted. Those of an earlier topic of
    /// the same name are gone afterwards.
    pub(crate) async fn set_properties(
        self: &Arc<Self>,
        topic: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        if properties.is_empty() && self.stored_properties(topic).await?.is_none() {
            return Ok(());
        }
        self.make_topic().await?;
        let value = (!properties.is_empty()).then(|| serde_json::to_vec(properties)).transpose();
        let value = value.map_err(|error| {
            let reason = "the properties can't be written as JSON".to_owned();
            Failure::new(TransportErrorKind::Config { reason }, error)
        })?;
        let (pipeline, limit) = writer::open(self, PROPERTIES, PROPERTIES.to_owned()).await?;
        let bytes = topic.len() + value.as_ref().map_or(0, Vec::len);
        if bytes > limit {
            return Err(TransportErrorKind::TooLarge { bytes, limit }.into());
        }
        let outgoing =
            Outgoing { key: Some(topic.as_bytes()), payload: value.as_deref(), headers: None };
        let outcome = pipeline.send(1, bytes, std::iter::once(outgoing)).await;
        let unstored = outcome.rest.map(|rest| rest.error);
        unstored.map_or(Ok(()), |error| Err(Failure::new(error.kind().clone(), error)))
    }

    async fn make_topic(&self) -> Result<(), Failure> {
        const COMPACT: &str = "compact";
        match self.find(PROPERTIES).await {
            Err(Failure { kind: TransportErrorKind::NotFound, .. }) => {
                let settings = [("cleanup.policy", COMPACT)];
                match self.create_topic(PROPERTIES, &settings).await {
                    // Somebody else was faster.
                    Err(Failure { kind: TransportErrorKind::AlreadyExists, .. }) => {
                        self.find_made(PROPERTIES).await
                    }
                    made => made,
                }
            }
            found => {
                found?;
                match self.setting(PROPERTIES, "cleanup.policy").await? {
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

    async fn stored_properties(self: &Arc<Self>, topic: &str) -> Result<Option<Vec<u8>>, Failure> {
        let (handle, topic) = (Arc::clone(self), topic.to_owned());
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
                Ok(properties.values.get(topic.as_bytes()).cloned())
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
        let Bounds { low, high } = match handle.bounds(PROPERTIES).await {
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
            let open = move || at.fetchers.open(&at.config, PROPERTIES, place);
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
                        handle.missing(PROPERTIES).await
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
