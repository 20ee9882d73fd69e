//! What a transport handle shares with its writers, readers and subscriptions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Retry;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::NatsConfig;
use crate::error::lost;
use crate::link::Link;

/// The connections, and whether the handle is closed.
///
/// There are three, so that neither acknowledgements nor requests queue up behind what readers get,
/// and so that a message over which the client library ends the readers' connection ends no other.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: NatsConfig,
    /// The greatest message that the server took when the handle was opened, in bytes.
    pub(crate) max_payload: usize,
    asking: Slot,
    reading: Slot,
    writing: Slot,
    closed: watch::Sender<bool>,
    /// How many writers have something in flight, or may have.
    writers: watch::Sender<usize>,
}

/// Where one connection is, for all who use it.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    link: Option<Arc<Link>>,
    /// For whom; `None` where losing it is nothing to tell.
    users: Option<&'static str>,
    /// It was lost, and that was told.
    is_lost: bool,
}

impl Slot {
    fn of(users: Option<&'static str>, link: Option<Link>) -> Self {
        Self(Arc::new(Mutex::new(Held { link: link.map(Arc::new), users, is_lost: false })))
    }

    /// For a reader of messages over which the client library ends the connection, again and again.
    pub(crate) fn apart() -> Self {
        Self::of(None, None)
    }
}

impl Held {
    fn alive(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| link.is_alive())
    }

    async fn open(&mut self, config: &NatsConfig) -> Result<Arc<Link>, TransportErrorKind> {
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

/// Addresses, in which there is nothing secret.
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
    /// Connects once. A server that isn't there is told at once.
    pub(crate) async fn open(config: NatsConfig) -> Result<Arc<Self>, TransportErrorKind> {
        let link = Link::open(&config).await?;
        if !link.client.is_server_compatible(2, 10, 0) {
            let reason = format!(
                "the server has version {}, and 2.10 is the oldest that works",
                link.client.server_info().version
            );
            return Err(TransportErrorKind::Config { reason });
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

    pub(crate) fn check_open(&self) -> Result<(), TransportErrorKind> {
        match *self.closed.borrow() {
            true => Err(TransportErrorKind::Closed),
            false => Ok(()),
        }
    }

    /// Waits until the handle is closed.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is here, so this can't fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Does something that waits, unless the handle is closed or gets closed meanwhile.
    pub(crate) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, TransportErrorKind>>,
    ) -> Result<T, TransportErrorKind> {
        self.check_open()?;
        tokio::select! {
            biased;
            () = self.closed() => Err(TransportErrorKind::Closed),
            done = work => done,
        }
    }

    /// The connection for requests.
    pub(crate) async fn asking(&self) -> Result<Arc<Link>, TransportErrorKind> {
        self.link(&self.asking).await
    }

    /// The connection for writers.
    pub(crate) async fn writing(&self) -> Result<Arc<Link>, TransportErrorKind> {
        self.link(&self.writing).await
    }

    /// Where the connection of the readers is that have none of their own.
    pub(crate) fn reading(&self) -> Slot {
        self.reading.clone()
    }

    /// A connection that lives, opened where there is none. A server that is away is waited for,
    /// as long as for an answer.
    pub(crate) async fn link(&self, slot: &Slot) -> Result<Arc<Link>, TransportErrorKind> {
        let mut retry = Retry::new(self.timeout());
        loop {
            // Mostly nobody holds it.
            if let Ok(held) = slot.0.try_lock()
                && let Some(link) = held.alive()
            {
                return Ok(Arc::clone(link));
            }
            match self.open_link(slot, retry.left()).await {
                Err(kind) => retry.after(kind).await?,
                linked => return linked,
            }
        }
    }

    /// Opens a connection, in a task of its own: a caller that nobody polls for a while, such as a
    /// read of a stream that acknowledges, must not keep all others from the connection.
    async fn open_link(
        &self,
        slot: &Slot,
        limit: Duration,
    ) -> Result<Arc<Link>, TransportErrorKind> {
        let (slot, config, closed) =
            (Arc::clone(&slot.0), self.config.clone(), self.closed.subscribe());
        let attempt = async move {
            let mut held = slot.lock_owned().await;
            if let Some(link) = held.alive() {
                return Ok(Arc::clone(link));
            }
            if *closed.borrow() {
                return Err(TransportErrorKind::Closed);
            }
            held.open(&config).await
        };
        let opened = tokio::spawn(timeout(limit, attempt)).await;
        let late = Err(TransportErrorKind::TimedOut { after: self.timeout() });
        opened.map_err(|_| lost())?.unwrap_or(late)
    }

    /// Counts a writer until what it returns is dropped.
    pub(crate) fn count_writer(self: &Arc<Self>) -> WriterCount {
        self.writers.send_modify(|count| *count += 1);
        WriterCount(Arc::clone(self))
    }

    /// Ends the handle: its writers finish first.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let mut writers = self.writers.subscribe();
        let _ = writers.wait_for(|count| *count == 0).await;
        for slot in [&self.asking, &self.reading, &self.writing] {
            slot.0.lock().await.link = None;
        }
    }
}

/// One of the writers for which closing the handle waits.
#[derive(Debug)]
pub(crate) struct WriterCount(Arc<Handle>);

impl Drop for WriterCount {
    fn drop(&mut self) {
        self.0.writers.send_modify(|count| *count -= 1);
    }
}
