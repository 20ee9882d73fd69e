//! What a transport handle shares with its writers, readers and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::transport::{Retry, TransportErrorKind};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::NatsConfig;
use crate::error::lost;
use crate::link::Link;

/// The connections, and whether the handle is closed.
///
/// There are two connections, so that acknowledgements don't queue up behind what readers get.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: NatsConfig,
    /// The greatest message that the server took when the handle was opened, in bytes.
    pub(crate) max_payload: usize,
    asking: Slot,
    writing: Slot,
    closed: watch::Sender<bool>,
    /// How many writers have something in flight, or may have.
    writers: watch::Sender<usize>,
}

type Slot = Arc<Mutex<Option<Arc<Link>>>>;

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
            asking: Arc::new(Mutex::new(Some(Arc::new(link)))),
            writing: Slot::default(),
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

    /// The connection for requests and readers.
    pub(crate) async fn asking(&self) -> Result<Arc<Link>, TransportErrorKind> {
        self.link(&self.asking).await
    }

    /// The connection for writers.
    pub(crate) async fn writing(&self) -> Result<Arc<Link>, TransportErrorKind> {
        self.link(&self.writing).await
    }

    /// A connection that lives, opened where there is none. A server that is away is waited for,
    /// as long as for an answer.
    async fn link(&self, slot: &Slot) -> Result<Arc<Link>, TransportErrorKind> {
        let mut retry = Retry::new(self.timeout());
        loop {
            // Mostly nobody holds it.
            if let Ok(slot) = slot.try_lock()
                && let Some(link) = slot.as_ref().filter(|link| link.is_alive())
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
            (Arc::clone(slot), self.config.clone(), self.closed.subscribe());
        let attempt = async move {
            let mut slot = slot.lock_owned().await;
            if let Some(link) = slot.as_ref().filter(|link| link.is_alive()) {
                return Ok(Arc::clone(link));
            }
            *slot = None;
            if *closed.borrow() {
                return Err(TransportErrorKind::Closed);
            }
            let link = Arc::new(Link::open(&config).await?);
            *slot = Some(Arc::clone(&link));
            Ok(link)
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
        *self.asking.lock().await = None;
        *self.writing.lock().await = None;
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
