//! The client of a transport, shared by its writers, readers and subscriptions.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind as Kind;

use crate::PulsarConfig;
use crate::admin::Rest;
use crate::brokers::Brokers;
use crate::connection::lock;
use crate::in_flight::Producer;
use crate::name::Topic;

/// The connections, and whether the handle is closed.
pub(crate) struct Client {
    pub(crate) config: PulsarConfig,
    pub(crate) rest: Rest,
    pub(crate) brokers: Arc<Brokers>,
    /// The brokers' limit to a message when the handle was opened, in bytes.
    pub(crate) max_message: usize,
    /// Those for which closing waits.
    producers: Mutex<Vec<Weak<Producer>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Client");
        debug.field("config", &self.config).field("closed", &self.brokers.is_closed());
        debug.finish_non_exhaustive()
    }
}

impl Client {
    /// Connects once. Fails at once if no broker is there.
    pub(crate) async fn open(config: PulsarConfig) -> Result<Arc<Self>, Failure> {
        let brokers = Brokers::new(&config)?;
        let rest = Rest::new(&config, Arc::clone(&brokers))?;
        let max_message = brokers.greet().await?.max_message;
        // A wrong admin address or namespace fails now, not at the first use.
        rest.list(&config.tenant, &config.namespace).await?;
        Ok(Arc::new(Self { config, rest, brokers, max_message, producers: Mutex::default() }))
    }

    pub(crate) fn topic(&self, channel: &str) -> Topic {
        Topic::new(&self.config, channel)
    }

    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        if self.brokers.is_closed() { Err(Kind::Closed.into()) } else { Ok(()) }
    }

    /// Waits until the handle is closed.
    pub(crate) async fn closed(&self) {
        self.brokers.closed().await;
    }

    /// Waits for the work, or fails with `Closed` as soon as the handle is closed.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.check_open()?;
        tokio::select! {
            biased;
            () = self.closed() => Err(Kind::Closed.into()),
            done = work => done,
        }
    }

    /// Returns a retry for as long as an answer may take.
    pub(crate) fn retry(&self) -> Retry {
        Retry::new(self.config.timeout)
    }

    /// Makes closing wait for what a producer has in flight.
    pub(crate) fn add_producer(&self, producer: &Arc<Producer>) {
        let mut producers = lock(&self.producers);
        producers.retain(|producer| producer.strong_count() > 0);
        producers.push(Arc::downgrade(producer));
    }

    /// Closes the handle, and waits for all receipts.
    pub(crate) async fn close(&self) {
        self.brokers.close();
        let producers: Vec<_> = lock(&self.producers).iter().filter_map(Weak::upgrade).collect();
        for producer in producers {
            producer.flushed().await;
        }
        self.brokers.end().await;
    }
}
