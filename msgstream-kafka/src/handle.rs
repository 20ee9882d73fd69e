//! What a transport handle shares with its writers, readers and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::KafkaConfig;
use crate::fetcher::{Consumer, Fetcher, Fetchers};
use crate::group::Groups;
use crate::incarnations::Incarnations;
use crate::producer::Producers;
use crate::properties::Properties;
use crate::topics::Admin;

/// Calls of the client that block are made on so many threads.
const ASKING: usize = 4;

/// Between two calls of which the first one failed with what passes.
const PAUSE: Duration = Duration::from_millis(50);

/// The clients, and whether the handle is closed.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: KafkaConfig,
    /// The greatest payload that the client sends, in bytes.
    pub(crate) max_payload: usize,
    pub(crate) fetchers: Arc<Fetchers>,
    pub(crate) producers: Producers,
    pub(crate) groups: Groups,
    pub(crate) incarnations: Incarnations,
    pub(crate) admin: Admin,
    pub(crate) properties: Mutex<Properties>,
    asking: Arc<Semaphore>,
    closed: watch::Sender<bool>,
    /// How many batches have no receipt yet.
    pub(crate) pending: watch::Sender<usize>,
}

impl Handle {
    /// Connects once. A broker that isn't there is told at once.
    pub(crate) async fn open(config: KafkaConfig) -> Result<Arc<Self>, TransportErrorKind> {
        let max_payload = config.writers_number("message.max.bytes").ok_or_else(|| {
            let reason = "the properties of the URL contradict one another".to_owned();
            TransportErrorKind::Config { reason }
        })?;
        let fetchers = Arc::new(Fetchers::new(&config)?);
        let handle = Arc::new(Self {
            producers: Producers::new(&config, max_payload),
            incarnations: Incarnations::new(&config),
            config,
            max_payload,
            fetchers,
            groups: Groups::default(),
            admin: Admin::default(),
            properties: Mutex::default(),
            asking: Arc::new(Semaphore::new(ASKING)),
            closed: watch::Sender::new(false),
            pending: watch::Sender::new(0),
        });
        handle.greet().await?;
        Ok(handle)
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.config.timeout
    }

    pub(crate) fn check_open(&self) -> Result<(), TransportErrorKind> {
        match *self.closed.borrow() {
            true => Err(TransportErrorKind::Closed),
            false => Ok(()),
        }
    }

    /// Does something that waits, unless the handle is closed or gets closed meanwhile.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, TransportErrorKind>>,
    ) -> Result<T, TransportErrorKind> {
        self.check_open()?;
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            // The sender is here, so this can't fail.
            _ = closed.wait_for(|closed| *closed) => Err(TransportErrorKind::Closed),
            done = work => done,
        }
    }

    /// Calls the client on a thread where blocking is allowed, again and again where it may help,
    /// until it has an answer or no time is left. A call that is cancelled goes on there until then,
    /// and what it gives is dropped.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        call: impl Fn(&Consumer, Duration) -> Result<T, TransportErrorKind> + Send + 'static,
    ) -> Result<T, TransportErrorKind> {
        let (fetcher, timeout) = (Arc::clone(&self.fetchers.asking), self.timeout());
        self.block(move || {
            let deadline = std::time::Instant::now() + timeout;
            loop {
                let answer = call(&fetcher.consumer, timeout);
                let temporary = answer.as_ref().is_err_and(TransportErrorKind::is_temporary);
                if !temporary || std::time::Instant::now() + PAUSE >= deadline {
                    return told_by(&fetcher, answer);
                }
                std::thread::sleep(PAUSE);
            }
        })
        .await
    }

    /// Does something that blocks, where that is allowed.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, TransportErrorKind> + Send + 'static,
    ) -> Result<T, TransportErrorKind> {
        let late = TransportErrorKind::TimedOut { after: self.timeout() };
        let permit = timeout(self.timeout(), Arc::clone(&self.asking).acquire_owned()).await;
        let permit = permit.map_err(|_| late)?.map_err(|_| TransportErrorKind::Closed)?;
        let call = spawn_blocking(move || {
            let _permit = permit;
            call()
        });
        // It fails where the runtime ends.
        call.await.map_err(|_| TransportErrorKind::Closed)?
    }

    /// Waits for every receipt, and ends the handle.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let mut pending = self.pending.subscribe();
        let _ = pending.wait_for(|count| *count == 0).await;
    }
}

/// Where no answer came, the client may have told why.
fn told_by<T>(
    fetcher: &Fetcher,
    answer: Result<T, TransportErrorKind>,
) -> Result<T, TransportErrorKind> {
    match answer {
        Err(kind) if kind.is_temporary() => Err(fetcher.events.trouble().unwrap_or(kind)),
        answer => {
            fetcher.events.answered();
            answer
        }
    }
}
