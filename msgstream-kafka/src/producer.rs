//! The clients that write.
//!
//! One client writes for all writers of a handle. Topics whose limit is below its batches use another
//! one with smaller batches: a broker refuses whole batches that are too large.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use crate::KafkaConfig;
use crate::error::failed;
use crate::events::{Events, lock};
use crate::in_flight::Delivery;
use crate::prefetch::no_thread;

/// What a broker counts beside the records of a batch, in bytes, and a little more.
const BATCH_OVERHEAD: usize = 100;

pub(crate) type Client = BaseProducer<Deliveries>;

/// A client that writes, and its thread.
pub(crate) struct Producer {
    // Before `running`: with that the thread ends, and has to be the last one to hold the client,
    // for its end blocks.
    pub(crate) client: Arc<Client>,
    _running: Running,
}

/// Lets the thread end when it is dropped.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Producer {
    /// How long one poll of the client's events takes.
    const TICK: Duration = Duration::from_millis(100);

    fn new(config: &KafkaConfig, batch: Option<usize>) -> Result<Arc<Self>, Failure> {
        let deliveries = Deliveries(Events::new("writers"));
        let made: KafkaResult<Client> = config.producer(batch).create_with_context(deliveries);
        let client = Arc::new(made.map_err(|error| failed(&error, config.timeout))?);
        let running = Arc::new(AtomicBool::new(true));
        let producer =
            Self { client: Arc::clone(&client), _running: Running(Arc::clone(&running)) };
        let serve = move || {
            while running.load(Ordering::Acquire) {
                client.poll(Self::TICK);
            }
        };
        let spawned = thread::Builder::new().name("kafka-write".to_owned()).spawn(serve);
        spawned.map_err(no_thread)?;
        Ok(Arc::new(producer))
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

/// Passes the client's reports on to the writers.
#[derive(Debug)]
pub(crate) struct Deliveries(Events);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        if result.is_ok() {
            self.0.answered();
        }
        let stored = match result {
            Ok(message) => u64::try_from(message.offset()).map_err(|_| KafkaError::Canceled),
            Err((error, _)) => Err(error.clone()),
        };
        delivery.report(stored);
    }
}

/// The clients that write for one handle, by the size of their batches.
#[derive(Debug)]
pub(crate) struct Producers {
    /// The greatest message that a client sends, and its greatest batch, in bytes.
    message: usize,
    batch: usize,
    made: Mutex<BTreeMap<usize, Arc<Producer>>>,
}

impl Producers {
    pub(crate) fn new(config: &KafkaConfig, message: usize) -> Self {
        let batch = config.writers_number("batch.size").unwrap_or(message);
        Self { message, batch: batch.min(message), made: Mutex::default() }
    }

    /// Returns the client for a topic with a limit for batches, and the limit for a record, in bytes.
    /// Blocks briefly.
    pub(crate) fn open(
        &self,
        config: &KafkaConfig,
        topic_limit: usize,
    ) -> Result<(Arc<Producer>, usize), Failure> {
        let limit = topic_limit.saturating_sub(BATCH_OVERHEAD);
        let batch = limit.clamp(1, self.batch);
        let mut made = lock(&self.made);
        let fit = made.get(&batch).filter(|p| p.client.client().fatal_error().is_none());
        let producer = match fit {
            Some(producer) => Arc::clone(producer),
            None => {
                let smaller = (batch < self.batch).then_some(batch);
                let producer = Producer::new(config, smaller)?;
                made.insert(batch, Arc::clone(&producer));
                producer
            }
        };
        Ok((producer, limit.min(self.message)))
    }
}
