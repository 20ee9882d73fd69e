//! The client of a transport: its connections, shared by writers, readers and subscriptions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::NatsConfig;
use crate::error::lost_by;
use crate::link::Link;

/// The connections, and whether the handle is closed.
///
/// There are three, so that neither acknowledgements nor requests queue up behind what readers
/// receive, and so that a message that makes the client library end the readers' connection ends no
/// other.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: NatsConfig,
    /// The server's limit to a message when the handle was opened, in bytes.
    pub(crate) max_payload: usize,
    asking: Slot,
    reading: Slot,
    writing: Slot,
    closed: watch::Sender<bool>,
    /// How many writers have something in flight, or may have.
    writers: watch::Sender<usize>,
}

/// The place of one connection, for all who use it.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    link: Option<Arc<Link>>,
    /// Who uses it, for the log; `None` if losing it isn't logged.
    users: Option<&'static str>,
    /// It was lost, and that was logged.
    is_lost: bool,
}

impl Slot {
    fn of(users: Option<&'static str>, link: Option<Link>) -> Self {
        Self(Arc::new(Mutex::new(Held { link: link.map(Arc::new), users, is_lost: false })))
    }

    /// Returns a slot for one reader, whose messages make the client library end the connection
    /// again and again.
    pub(crate) fn apart() -> Self {
        Self::of(None, None)
    }
}

impl Held {
    fn alive(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| link.is_alive())
    }

    async fn open(&mut self, config: &NatsConfig) -> Result<Arc<Link>, Failure> {
        let (servers, users) = (Servers(&config.servers), self.users);
        if let (Some(link), Some(users)) = (self.link.take(), users) {
            let error = link.why_lost();
            tracing::warn!(users, %servers, %error, "the connection to NATS was lost");
            self.is_lost = true;
        }
        let link = Arc::new(Link::open(config).await.inspect_err(|error| {
            tracing::debug!(users, %servers, %error, "no connection to NATS yet");
        })?);
        if std::mem::take(&mut self.is_lost) {
            tracing::info!(users, %servers, "the connection to NATS is back");
        }
        self.link = Some(Arc::clone(&link));
        Ok(link)
    }
}

/// Addresses, which hold no secret.
struct Servers<'a>(&'a [Host]);

impl fmt::Display for Servers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, host) in self.0.iter().enumerate() {
            write!(f, "{}{host}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Handle {
    /// Connects once. Fails at once if no server is there.
    pub(crate) async fn open(config: NatsConfig) -> Result<Arc<Self>, Failure> {
        let link = Link::open(&config).await?;
        if !link.client.is_server_compatible(2, 10, 0) {
            let reason = format!(
                "the server has version {}, and at least 2.10 is needed: upgrade the server",
                link.client.server_info().version
            );
            return Err(TransportErrorKind::Config { reason }.into());
        }
        Ok(Arc::new(Self {
            config,
            max_payload: link.client.max_payload(),
            asking: Slot::of(Some("requests"), Some(link)),
            reading: Slot::of(Some("readers"), None),
            writing: Slot::of(Some("writers"), None),
            closed: watch::Sender::new(false),
            writers: watch::Sender::new(0),
        }))
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.config.options.timeout
    }

    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        match *self.closed.borrow() {
            true => Err(TransportErrorKind::Closed.into()),
            false => Ok(()),
        }
    }

    /// Waits until the handle is closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is here, so this can't fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Waits for the work, or fails with `Closed` as soon as the handle is closed.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.check_open()?;
        tokio::select! {
            biased;
            () = self.closed() => Err(TransportErrorKind::Closed.into()),
            done = work => done,
        }
    }

    /// Returns the connection for requests.
    pub(crate) async fn asking(&self) -> Result<Arc<Link>, Failure> {
        self.link(&self.asking).await
    }

    /// Returns the connection for writers.
    pub(crate) async fn writing(&self) -> Result<Arc<Link>, Failure> {
        self.link(&self.writing).await
    }

    /// Returns the slot of the connection that readers share.
    pub(crate) fn reading(&self) -> Slot {
        self.reading.clone()
    }

    /// Returns a connection that is alive, and opens one if there is none. Waits for an unreachable
    /// server as long as for an answer.
    pub(crate) async fn link(&self, slot: &Slot) -> Result<Arc<Link>, Failure> {
        let mut retry = Retry::new(self.timeout());
        loop {
            // The lock is mostly free.
            if let Ok(held) = slot.0.try_lock()
                && let Some(link) = held.alive()
            {
                return Ok(Arc::clone(link));
            }
            match self.open_link(slot, retry.left()).await {
                Err(failure) => retry.after(failure).await?,
                linked => return linked,
            }
        }
    }

    /// Opens a connection in a task of its own: a caller that isn't polled for a while must not keep
    /// all others from the connection.
    async fn open_link(&self, slot: &Slot, limit: Duration) -> Result<Arc<Link>, Failure> {
        let (slot, config, closed) =
            (Arc::clone(&slot.0), self.config.clone(), self.closed.subscribe());
        let attempt = async move {
            let mut held = slot.lock_owned().await;
            if let Some(link) = held.alive() {
                return Ok(Arc::clone(link));
            }
            if *closed.borrow() {
                return Err(TransportErrorKind::Closed.into());
            }
            held.open(&config).await
        };
        let opened = tokio::spawn(timeout(limit, attempt)).await;
        let late = Err(TransportErrorKind::TimedOut { after: self.timeout() }.into());
        opened.map_err(lost_by)?.unwrap_or(late)
    }

    /// Counts a writer until the returned value is dropped.
    pub(crate) fn count_writer(self: &Arc<Self>) -> WriterCount {
        self.writers.send_modify(|count| *count += 1);
        WriterCount(Arc::clone(self))
    }

    /// Closes the handle after its writers have finished.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let mut writers = self.writers.subscribe();
        let _ = writers.wait_for(|count| *count == 0).await;
        for slot in [&self.asking, &self.reading, &self.writing] {
            slot.0.lock().await.link = None;
        }
    }
}

/// A writer that the handle waits for when it is closed.
#[derive(Debug)]
pub(crate) struct WriterCount(Arc<Handle>);

impl Drop for WriterCount {
    fn drop(&mut self) {
        self.0.writers.send_modify(|count| *count -= 1);
    }
}
