//! What a transport shares with its writers, readers and subscriptions: the clients of librdkafka.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::KafkaConfig;
use crate::admin::Admin;
use crate::calls::{At, Calls};
use crate::group::Groups;
use crate::incarnations::Incarnations;
use crate::prefetch::{Consumer, Fetchers};
use crate::producer::Producers;
use crate::properties::Properties;

/// How long the first attempt of a request waits. Each further one waits twice as long.
const LOOK: Duration = Duration::from_millis(500);

/// How much longer a call may take than its parts, whose own timeouts say more.
const GRACE: Duration = Duration::from_millis(500);

/// The clients, and whether the handle is closed.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: KafkaConfig,
    /// The limit to a payload, in bytes.
    pub(crate) max_payload: usize,
    pub(crate) fetchers: Arc<Fetchers>,
    pub(crate) producers: Producers,
    pub(crate) groups: Groups,
    pub(crate) incarnations: Incarnations,
    pub(crate) admin: Admin,
    pub(crate) properties: Mutex<Properties>,
    pub(crate) calls: Calls,
    closed: watch::Sender<bool>,
    /// How many batches have no receipt yet.
    pub(crate) pending: watch::Sender<usize>,
}

impl Handle {
    /// Connects once. Fails if no broker answers.
    pub(crate) async fn open(config: KafkaConfig) -> Result<Arc<Self>, Failure> {
        let max_payload = config.writers_number("message.max.bytes").ok_or_else(|| {
            let reason =
                "the URL's properties contradict each other: check `message.max.bytes`".to_owned();
            Failure::from(TransportErrorKind::Config { reason })
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
            calls: Calls::default(),
            closed: watch::Sender::new(false),
            pending: watch::Sender::new(0),
        });
        handle.greet().await?;
        Ok(handle)
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.config.timeout
    }

    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        match *self.closed.borrow() {
            true => Err(TransportErrorKind::Closed.into()),
            false => Ok(()),
        }
    }

    /// Waits for the work, or fails with `Closed` as soon as the handle is closed.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.check_open()?;
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            // The sender is here, so this can't fail.
            _ = closed.wait_for(|closed| *closed) => Err(TransportErrorKind::Closed.into()),
            done = work => done,
        }
    }

    /// Does the same within the time for one answer, whatever the work consists of.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = TransportErrorKind::TimedOut { after: self.timeout() }.into();
        let work = timeout(self.timeout().saturating_add(GRACE), work);
        self.while_open(async { work.await.unwrap_or(Err(late)) }).await
    }

    /// Tries again after temporary errors, until there is an answer or no time is left. Each attempt has
    /// a time of its own, short at first: one that reaches a node that hangs must not use up all the
    /// time, because the next one may reach another node. It grows, because a broker may be slow.
    pub(crate) async fn ask<T, F>(
        &self,
        mut attempt: impl FnMut(Duration) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let (mut retry, mut look) = (Retry::new(self.timeout()), LOOK);
        let events = &self.fetchers.asking.events;
        loop {
            let left = retry.left();
            // An attempt may have to wait for its turn.
            let answer = timeout(left.saturating_add(GRACE), attempt(look.min(left))).await;
            let late = TransportErrorKind::TimedOut { after: self.timeout() }.into();
            match answer.unwrap_or(Err(late)) {
                Err(failure) if failure.is_temporary() => {
                    if matches!(failure.kind, TransportErrorKind::TimedOut { .. }) {
                        look = look.saturating_mul(2).min(self.timeout());
                    }
                    // The client may have reported why no answer came.
                    retry.after(failure).await.map_err(|failure| match events.trouble() {
                        Some(trouble) => trouble,
                        None if matches!(failure.kind, TransportErrorKind::TimedOut { .. }) => {
                            let after = self.timeout();
                            failure.with_kind(TransportErrorKind::TimedOut { after })
                        }
                        None => failure,
                    })?;
                }
                answer => {
                    events.answered();
                    return answer;
                }
            }
        }
    }

    /// Calls the client for requests, with a time limit.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        at: At,
        time: Duration,
        call: impl FnOnce(&Consumer, Duration) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let fetcher = Arc::clone(&self.fetchers.asking);
        self.calls.call(at, move || call(&fetcher.consumer, time)).await
    }

    /// Runs a function that blocks briefly.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let late = TransportErrorKind::TimedOut { after: self.timeout() }.into();
        let called = timeout(self.timeout(), self.calls.call(At::Client, call)).await;
        called.unwrap_or(Err(late))
    }

    /// Closes the handle, and waits for every receipt.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let mut pending = self.pending.subscribe();
        let _ = pending.wait_for(|count| *count == 0).await;
    }
}
