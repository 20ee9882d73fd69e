//! What a transport handle shares with its writers, readers and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Retry;
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

/// How long the first attempt of a question waits. Each further one waits twice as long.
const LOOK: Duration = Duration::from_millis(500);

/// How much longer a call may take than its parts: what keeps the time by itself tells more.
const GRACE: Duration = Duration::from_millis(500);

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
    pub(crate) calls: Calls,
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

    /// The same for what has to end: a call has the time for one answer, whatever it consists of.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, TransportErrorKind>>,
    ) -> Result<T, TransportErrorKind> {
        let late = TransportErrorKind::TimedOut { after: self.timeout() };
        let work = timeout(self.timeout().saturating_add(GRACE), work);
        self.while_open(async { work.await.unwrap_or(Err(late)) }).await
    }

    /// Asks again and again where it may help, until there is an answer or no time is left. An attempt gets a
    /// time of its own, short at first: one that comes to a node that hangs must not cost all the time,
    /// for the next one may come to another. It grows, for a broker may be slow.
    pub(crate) async fn ask<T, F>(
        &self,
        mut attempt: impl FnMut(Duration) -> F,
    ) -> Result<T, TransportErrorKind>
    where
        F: Future<Output = Result<T, TransportErrorKind>>,
    {
        let (mut retry, mut look) = (Retry::new(self.timeout()), LOOK);
        let events = &self.fetchers.asking.events;
        loop {
            let left = retry.left();
            // An attempt may have to wait for its turn.
            let answer = timeout(left.saturating_add(GRACE), attempt(look.min(left))).await;
            let late = TransportErrorKind::TimedOut { after: self.timeout() };
            match answer.unwrap_or(Err(late)) {
                Err(kind) if kind.is_temporary() => {
                    if matches!(kind, TransportErrorKind::TimedOut { .. }) {
                        look = look.saturating_mul(2).min(self.timeout());
                    }
                    // The client may have told why no answer came.
                    retry.after(kind).await.map_err(|kind| match (events.trouble(), kind) {
                        (Some(trouble), _) => trouble,
                        (None, TransportErrorKind::TimedOut { .. }) => {
                            TransportErrorKind::TimedOut { after: self.timeout() }
                        }
                        (None, kind) => kind,
                    })?;
                }
                answer => {
                    events.answered();
                    return answer;
                }
            }
        }
    }

    /// One call of the client that asks, with the time that it has.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        at: At,
        time: Duration,
        call: impl FnOnce(&Consumer, Duration) -> Result<T, TransportErrorKind> + Send + 'static,
    ) -> Result<T, TransportErrorKind> {
        let fetcher = Arc::clone(&self.fetchers.asking);
        self.calls.call(at, move || call(&fetcher.consumer, time)).await
    }

    /// Does something with a client that blocks, briefly.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, TransportErrorKind> + Send + 'static,
    ) -> Result<T, TransportErrorKind> {
        let late = TransportErrorKind::TimedOut { after: self.timeout() };
        let called = timeout(self.timeout(), self.calls.call(At::Client, call)).await;
        called.unwrap_or(Err(late))
    }

    /// Waits for every receipt, and ends the handle.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let mut pending = self.pending.subscribe();
        let _ = pending.wait_for(|count| *count == 0).await;
    }
}
