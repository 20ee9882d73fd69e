//! The transport whose channels are virtual ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions,
    ReaderOptions, Result, Risk, Subscription, Transport, TransportError, TransportErrorKind,
};

use crate::counts::Counts;
use crate::hub::Hub;
use crate::reader::VirtualReader;
use crate::task::in_task;
use crate::view::View;
use crate::writer::{SharedWriter, VirtualWriter};
use crate::{Placement, VirtualCounts};

/// A transport whose channels are virtual ones: each is a part of the records of a channel of another
/// transport, its *physical* channel, where a [`Placement`] says.
///
/// The physical channels must exist. Their own names work too, and are passed on to the transport
/// below: that is how common ticks are written, and where sessions have their home channels.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::record::Record;
/// use msgstream_core::transport::{Limit, Start, Transport, TransportExt};
/// use msgstream_virtual::{Placement, Virtual};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// broker.create("orders_0").await?;
/// let channels = Virtual::over(broker, Placement::hash(1, "orders"));
/// for name in ["customer-1", "customer-2"] {
///     channels.writer(name).await?.submit(vec![Record::default()]).await;
/// }
/// let mut reader = channels.reader("customer-2", Start::Earliest).await?;
/// let batch = reader.read(Limit::default()).await?;
/// assert_eq!(batch.records[0].meta.vchannel.as_deref(), Some("customer-2"));
/// assert_eq!(batch.records.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Virtual {
    transport: Arc<dyn Transport>,
    placement: Placement,
    window_bytes: usize,
    queue_bytes: usize,
    hubs: Mutex<HashMap<String, Weak<Hub>>>,
    counts: Arc<Counts>,
    writers: Arc<Writers>,
    closed: Arc<AtomicBool>,
}

impl Virtual {
    /// Returns the virtual channels of a transport.
    #[must_use]
    pub fn over(transport: Arc<dyn Transport>, placement: Placement) -> Self {
        let closed = Arc::<AtomicBool>::default();
        let writers = Writers {
            transport: transport.clone(),
            closed: closed.clone(),
            shared: tokio::sync::Mutex::default(),
        };
        Self {
            transport,
            placement,
            window_bytes: Self::HUB_BYTES,
            queue_bytes: Self::QUEUE_BYTES,
            hubs: Mutex::default(),
            counts: Arc::default(),
            writers: Arc::new(writers),
            closed,
        }
    }

    /// How many bytes of a physical channel's last records are kept for readers that join, unless it is
    /// set: 8 MiB.
    pub const HUB_BYTES: usize = 8 << 20;
    /// How many bytes a reader may be behind the others, unless it is set: 1 MiB.
    pub const QUEUE_BYTES: usize = 1 << 20;

    /// Sets how many bytes of a physical channel's last records are kept, so that a reader which was
    /// behind joins the others. As much is kept for those who are behind together.
    #[must_use]
    pub const fn with_hub_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// Sets how many bytes a reader may be behind the others of its physical channel. One that is
    /// further behind reads for itself until it has caught up.
    #[must_use]
    pub const fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Returns how its readers fared so far: where many are let go, `queue_bytes` is small for them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use msgstream_virtual::{Placement, Virtual};
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let channels = Virtual::over(broker, Placement::milvus());
    /// assert_eq!(channels.counts().let_go, 0);
    /// ```
    #[must_use]
    pub fn counts(&self) -> VirtualCounts {
        self.counts.now()
    }

    /// Returns the hub of a physical channel. One of another incarnation is left to its readers.
    fn hub(&self, physical: &str, incarnation: Incarnation) -> Arc<Hub> {
        let mut hubs: MutexGuard<'_, _> = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let found = hubs.get(physical).and_then(Weak::upgrade);
        found.filter(|hub| hub.incarnation == incarnation).unwrap_or_else(|| {
            let (window, queue) = (self.window_bytes, self.queue_bytes);
            let transport = self.transport.clone();
            let (name, counts) = (physical.to_owned(), self.counts.clone());
            let hub = Arc::new(Hub::new(transport, name, incarnation, window, queue, counts));
            hubs.insert(physical.to_owned(), Arc::downgrade(&hub));
            hub
        })
    }

    /// Returns the physical channel of a virtual one, if it is one and the transport is open.
    fn part_of(&self, operation: &'static str, channel: &str) -> Result<Option<String>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(TransportError::new(operation, TransportErrorKind::Closed).on(channel));
        }
        Ok(self.placement.physical(channel))
    }

    /// Passes the name of a physical channel; refuses that of a virtual one, which can't have this.
    fn whole(&self, operation: &'static str, channel: &str, capability: Capability) -> Result<()> {
        match self.part_of(operation, channel)? {
            None => Ok(()),
            Some(_) => Err(unsupported(operation, capability).on(channel)),
        }
    }

    /// Returns the channel and the name that a cursor has in the transport.
    fn cursor(
        &self,
        operation: &'static str,
        channel: &str,
        name: &str,
    ) -> Result<(String, String)> {
        Ok(match self.part_of(operation, channel)? {
            None => (channel.to_owned(), name.to_owned()),
            Some(_) if !self.capabilities().subscriptions => {
                return Err(unsupported(operation, Capability::Subscriptions).on(channel));
            }
            Some(physical) => (physical, format!("{}{name}", prefix(channel))),
        })
    }
}

/// Returns what the names of a virtual channel's cursors begin with. The length in front says where
/// the channel's name ends.
fn prefix(channel: &str) -> String {
    format!("{}.{channel}.", channel.len())
}

fn unsupported(operation: &'static str, capability: Capability) -> TransportError {
    TransportError::new(operation, TransportErrorKind::Unsupported { capability })
}

#[async_trait]
impl Transport for Virtual {
    delegate!(self => self.transport, Transport { encode_position, decode_position });

    fn capabilities(&self) -> Capabilities {
        let below = self.transport.capabilities();
        // A cursor of one virtual channel mustn't let go what another one has yet to read.
        let cursors = below.subscriptions && below.ack_keeps;
        let can = below
            .without(Capability::Create)
            .without(Capability::Delete)
            .without(Capability::List)
            .without(Capability::Properties)
            .without(Capability::Trim);
        if cursors { can } else { can.without(Capability::Subscriptions) }
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        self.whole("create", channel, Capability::Create)?;
        self.transport.create_with(channel, options).await
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        self.whole("delete", channel, Capability::Delete)?;
        self.transport.delete(channel).await
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        self.whole("trim", channel, Capability::Trim)?;
        self.transport.trim(channel, before).await
    }

    async fn list(&self, _prefix: &str) -> Result<Vec<String>> {
        self.part_of("list", "")?;
        Err(unsupported("list", Capability::List))
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        match self.part_of("describe", channel)? {
            None => self.transport.describe(channel).await,
            Some(physical) => {
                let info = self.transport.describe(&physical).await;
                Ok(info.map_err(|error| error.on(channel))?.as_part_of(physical))
            }
        }
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let Some(physical) = self.part_of("writer", channel)? else {
            return self.transport.writer(channel).await;
        };
        let shared = self.writers.get(&physical).await.map_err(|error| error.on(channel))?;
        let (private_ticks, writers) = (self.placement.private_ticks, self.writers.clone());
        Ok(Box::new(VirtualWriter::new(channel, physical, private_ticks, writers, shared)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let Some(physical) = self.part_of("reader", channel)? else {
            return self.transport.reader_with(channel, options).await;
        };
        let opening = async {
            let found = self.transport.describe(&physical).await?.incarnation;
            if let Some(expected) = options.incarnation.filter(|expected| *expected != found) {
                if !self.transport.capabilities().incarnations {
                    return Err(unsupported("reader", Capability::Incarnations));
                }
                let kind = TransportErrorKind::WrongIncarnation { expected, found };
                return Err(TransportError::new("reader", kind));
            }
            let view = View::new(&self.placement, channel);
            let hub = self.hub(&physical, found);
            VirtualReader::open(hub, view, options.start, self.closed.clone()).await
        };
        let reader = opening.await.map_err(|error| error.on(channel))?;
        Ok(Box::new(reader))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let (physical, name) = self.cursor("subscription", channel, name)?;
        let opened = self.transport.subscription(&physical, &name).await;
        opened.map_err(|error| error.on(channel))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let (physical, name) = self.cursor("unsubscribe", channel, name)?;
        let removed = self.transport.unsubscribe(&physical, &name).await;
        removed.map_err(|error| error.on(channel))
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let (physical, prefix) = self.cursor("subscriptions", channel, "")?;
        let names = self.transport.subscriptions(&physical).await;
        let names = names.map_err(|error| error.on(channel))?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(&*prefix)).map(str::to_owned).collect())
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        let physical = self.part_of("risks", channel)?;
        let risks = self.transport.risks(physical.as_deref().unwrap_or(channel)).await;
        risks.map_err(|error| error.on(channel))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.transport.close().await
    }
}

/// The writers of physical channels that are in use.
#[derive(Debug)]
pub(crate) struct Writers {
    transport: Arc<dyn Transport>,
    closed: Arc<AtomicBool>,
    shared: tokio::sync::Mutex<HashMap<String, Weak<SharedWriter>>>,
}

impl Writers {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns the writer of a physical channel, another one if a write of the last one failed.
    pub(crate) async fn get(self: &Arc<Self>, physical: &str) -> Result<Arc<SharedWriter>> {
        let (writers, physical) = (self.clone(), physical.to_owned());
        in_task("writer", async move { writers.open(physical).await }).await
    }

    async fn open(&self, physical: String) -> Result<Arc<SharedWriter>> {
        let mut writers = self.shared.lock().await;
        writers.retain(|_, writer| writer.strong_count() > 0);
        let found = writers.get(&physical).and_then(Weak::upgrade);
        if let Some(writer) = found.filter(|writer| writer.is_usable()) {
            return Ok(writer);
        }
        let [writer, checker] =
            [self.transport.writer(&physical).await?, self.transport.writer(&physical).await?];
        let shared = Arc::new(SharedWriter::new(writer, checker));
        writers.insert(physical, Arc::downgrade(&shared));
        Ok(shared)
    }
}
