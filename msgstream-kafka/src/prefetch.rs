//! What is read ahead: the clients that fetch, and their prefetches of single partitions.
//!
//! One client fetches for many readers, with a few threads and one connection to each broker. Each
//! partition has a queue of its own in it, which its reader empties without a thread in between. The
//! client fetches a partition once, so a second reader of it uses a second client.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use tokio::sync::{Mutex as Turn, Notify};

use crate::KafkaConfig;
use crate::error::{FetchError, failed};
use crate::events::{Events, lock};
use crate::native::topic::{QueueEvent, Topic, set_leader_epoch};
use crate::partition::Partition;

pub(crate) type Consumer = BaseConsumer<Events>;

/// The group that readers name to the brokers. Nothing is stored under it.
const READERS: &str = "msgstream-readers";

/// How often the client's log and errors are polled.
const TICK: Duration = Duration::from_millis(50);

/// How long each poll takes. With a time of zero the client library returns one event at most.
const EVENTS: Duration = Duration::from_millis(1);

/// How long the client may take to find a partition's leader before it continues without it.
const LEADER: Duration = Duration::from_secs(1);

/// A client that fetches.
pub(crate) struct Fetcher {
    // Before `ended`: with that the thread ends, and has to be the last one to hold the client, for
    // its end blocks.
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) events: Events,
    /// Whose turn it is to make records of what was fetched. Two at it would be in each other's way,
    /// for all of it is in memory that one thread of the client took.
    pub(crate) turn: Turn<()>,
    partitions: Partitions,
    ended: Sender<Ended>,
}

/// The partitions that are fetched, with the signals of their prefetches.
type Partitions = Arc<Mutex<HashMap<Partition, Arc<Signal>>>>;

/// What other threads signal to a prefetch.
#[derive(Debug, Default)]
struct Signal {
    /// There may be something in its queue.
    wake: Notify,
    /// A message of its partition didn't come through its queue.
    missed: AtomicBool,
}

/// What a prefetch leaves behind.
struct Ended {
    partition: Partition,
    fetched: Option<Topic>,
}

impl Fetcher {
    /// One that fetches.
    fn new(config: &KafkaConfig) -> Result<Arc<Self>, Failure> {
        let group = format!("{}{READERS}", config.prefix);
        Self::of("readers", &config.consumer(&group), config.timeout)
    }

    fn of(
        name: &'static str,
        client: &ClientConfig,
        timeout: Duration,
    ) -> Result<Arc<Self>, Failure> {
        let events = Events::new(name);
        let made: KafkaResult<Consumer> = client.create_with_context(events.clone());
        let consumer = Arc::new(made.map_err(|error| failed(&error, timeout))?);
        let (ended, ends) = channel();
        let partitions = Partitions::default();
        let fetcher = Self { consumer, events, turn: Turn::default(), partitions, ended };
        let consumer = Arc::clone(&fetcher.consumer);
        let partitions = Arc::clone(&fetcher.partitions);
        let serve = move || serve(&consumer, &partitions, &ends);
        let spawned = thread::Builder::new().name("kafka-fetch".to_owned()).spawn(serve);
        spawned.map_err(no_thread)?;
        Ok(Arc::new(fetcher))
    }

    /// Reserves the partition for one prefetch. Returns whether it was free.
    fn reserve(&self, partition: &Partition) -> bool {
        let mut partitions = lock(&self.partitions);
        let free = !partitions.contains_key(partition);
        if free {
            partitions.insert(partition.clone(), Arc::default());
        }
        free
    }

    /// Begins to fetch a reserved partition from an offset on. It blocks briefly.
    fn open(self: &Arc<Self>, partition: &Partition, place: Place) -> Result<Prefetch, Failure> {
        let signal = lock(&self.partitions).get(partition).cloned().unwrap_or_default();
        let (fetcher, partition) = (Arc::clone(self), partition.clone());
        let mut prefetch = Prefetch { fetcher, partition, fetched: None, signal };
        prefetch.begin(place)?;
        Ok(prefetch)
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("events", &self.events).finish_non_exhaustive()
    }
}

pub(crate) fn no_thread(error: std::io::Error) -> Failure {
    let reason = "a thread for the client can't be started".to_owned();
    Failure::new(TransportErrorKind::Unavailable { reason }, error)
}

/// Serves the client's log, and stops fetching for prefetches that were dropped, as long as the fetcher is
/// alive.
fn serve(consumer: &Arc<Consumer>, partitions: &Partitions, ends: &Receiver<Ended>) {
    loop {
        match ends.recv_timeout(TICK) {
            Ok(Ended { partition, fetched }) => {
                drop(fetched);
                if let Err(error) = consumer.incremental_unassign(&partition.alone()) {
                    let Partition { topic, number } = &partition;
                    tracing::warn!(topic, partition = number, %error, "the Kafka client can't stop fetching a partition");
                }
                lock(partitions).remove(&partition);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Errors reach `Events`. Every partition has a queue of its own, so no message should come here;
        // one that does is missing there.
        while let Some(event) = consumer.poll(EVENTS) {
            let partition = event.map(|message| Partition {
                topic: message.topic().to_owned(),
                number: message.partition(),
            });
            if let Ok(partition) = partition
                && let Some(signal) = lock(partitions).get(&partition)
            {
                signal.missed.store(true, Ordering::Release);
                signal.wake.notify_one();
            }
        }
    }
}

/// Where a prefetch begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// The leader epoch in which the previous record was written, if that one was read.
    pub(crate) epoch: Option<i32>,
}

/// The clients of one handle that read.
#[derive(Debug)]
pub(crate) struct Fetchers {
    /// For metadata and offsets. It fetches nothing, because a broker answers a request only after
    /// the fetch before it on the same connection.
    pub(crate) asking: Arc<Fetcher>,
    fetching: Mutex<Vec<Arc<Fetcher>>>,
}

impl Fetchers {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, Failure> {
        let asking = Fetcher::of("questions", &config.questions(), config.timeout)?;
        Ok(Self { asking, fetching: Mutex::default() })
    }

    /// Begins to fetch a partition from an offset on. It blocks briefly.
    pub(crate) fn open(
        &self,
        config: &KafkaConfig,
        partition: &Partition,
        place: Place,
    ) -> Result<Prefetch, Failure> {
        self.reserve(config, partition)?.open(partition, place)
    }

    fn reserve(
        &self,
        config: &KafkaConfig,
        partition: &Partition,
    ) -> Result<Arc<Fetcher>, Failure> {
        let mut fetching = lock(&self.fetching);
        if let Some(fetcher) = fetching.iter().find(|fetcher| fetcher.reserve(partition)) {
            return Ok(Arc::clone(fetcher));
        }
        // Clients without partitions aren't needed any more.
        fetching.retain(|fetcher| !lock(&fetcher.partitions).is_empty());
        let fetcher = Fetcher::new(config)?;
        fetcher.reserve(partition);
        fetching.push(Arc::clone(&fetcher));
        Ok(fetcher)
    }
}

/// What is fetched of one partition.
pub(crate) struct Prefetch {
    pub(crate) fetcher: Arc<Fetcher>,
    partition: Partition,
    fetched: Option<Topic>,
    signal: Arc<Signal>,
}

impl Prefetch {
    /// Passes what has arrived to a function, one by one, until that breaks off. It doesn't wait.
    pub(crate) fn drain(&self, mut each: impl FnMut(QueueEvent<'_>) -> ControlFlow<()>) {
        if self.signal.missed.load(Ordering::Acquire) {
            let text = "the client put a message into the wrong queue".to_owned();
            let _ = each(QueueEvent::Failed(FetchError { code: RDKafkaErrorCode::Fail, text }));
        } else if let Some(fetched) = &self.fetched {
            fetched.drain(each);
        }
    }

    /// Waits until there may be something.
    pub(crate) async fn wait(&self) {
        self.signal.wake.notified().await;
    }

    /// Goes on at another offset. It blocks briefly. Nothing that was fetched before arrives any more:
    /// the client numbers its assignments.
    pub(crate) fn restart(mut self, place: Place) -> Result<Self, Failure> {
        let left = self.fetcher.consumer.incremental_unassign(&self.partition.alone());
        left.map_err(|error| failed(&error, Duration::ZERO))?;
        self.begin(place)?;
        Ok(self)
    }

    fn begin(&mut self, place: Place) -> Result<(), Failure> {
        let consumer = &self.fetcher.consumer;
        // Before each assignment, so that no record of the partition gets into the common queue: after the
        // previous assignment the client may have forgotten the partition, and its queue. The previous queue
        // is dropped first: dropping it ends the calls for the partition, and there is one queue for both.
        self.fetched = None;
        let signal = Arc::clone(&self.signal);
        self.fetched = Topic::split(consumer, &self.partition, move || signal.wake.notify_one());
        if self.fetched.is_none() {
            let reason = "the client has no queue for the partition".to_owned();
            return Err(TransportErrorKind::Unavailable { reason }.into());
        }
        let assigned = self.partition.alone_at(place.offset).and_then(|mut list| {
            if let Some(epoch) = place.epoch {
                set_leader_epoch(&mut list, epoch);
            }
            consumer.incremental_assign(&list)
        });
        assigned.map_err(|error| failed(&error, Duration::ZERO))?;
        // Otherwise the client would look for the partition's leader up to a second later, as it does if
        // no broker answers for that long.
        let _ = consumer.fetch_metadata(Some(&self.partition.topic), LEADER);
        Ok(())
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        let ended = Ended { partition: self.partition.clone(), fetched: self.fetched.take() };
        // The thread is there as long as the fetcher, which this prefetch holds.
        let _ = self.fetcher.ended.send(ended);
    }
}

impl fmt::Debug for Prefetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetch").field("partition", &self.partition).finish_non_exhaustive()
    }
}
