//! Opening a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::aligned::Aligned;
use super::consumer::{ByHand, Consumer, Saved};
use super::{Committer, ConsumerConfig};
use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::{LatePolicy, TickSource};
use crate::produce::distinct;
use crate::transport::{Start, Transport};

/// Returns where a channel's ticks come from.
pub(super) type Ticks = Box<dyn Fn(&str) -> TickSource + Send + Sync>;

/// Configures and opens a [`Consumer`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::transport::TransportExt;
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # broker.create("orders-0").await?;
/// use msgstream_core::{Consumer, LatePolicy};
/// let consumer = Consumer::builder(broker)
///     .channels(["orders-0"])
///     .subscription("billing")
///     .late_policy(LatePolicy::Deliver)
///     .open()
///     .await?;
/// assert_eq!(consumer.status().merge.channels.len(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `open`"]
pub struct ConsumerBuilder<C = ByHand> {
    transport: Arc<dyn Transport>,
    channels: Vec<String>,
    subscription: Option<String>,
    start: Start,
    from: Option<Checkpoint>,
    ticks: Ticks,
    config: ConsumerConfig,
    commits: C,
}

impl ConsumerBuilder {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            channels: Vec::new(),
            subscription: None,
            start: Start::Earliest,
            from: None,
            ticks: Box::new(|_| TickSource::Written),
            config: ConsumerConfig::default(),
            commits: ByHand,
        }
    }

    /// Resumes from a checkpoint: the first pack is the one after it. With `None` the consumer
    /// begins at [`start`](Self::start), as in the first run of a program.
    ///
    /// If [`channels`](Self::channels) are set, only those are read: channels that the checkpoint
    /// doesn't have join, and those of the checkpoint that aren't among them are left out, with a
    /// warning in the log. Otherwise the checkpoint's channels are read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::transport::TransportExt;
    /// # broker.create("orders-0").await?;
    /// use msgstream_core::Consumer;
    /// let checkpoint = Consumer::builder(broker.clone()).channels(["orders-0"]).open().await?.checkpoint();
    /// let consumer = Consumer::builder(broker).channels(["orders-0"]).resume(checkpoint).open().await?;
    /// # Ok(()) }
    /// ```
    pub fn resume(mut self, checkpoint: impl Into<Option<Checkpoint>>) -> Self {
        self.from = checkpoint.into();
        self
    }

    /// Saves checkpoints in a store, together with the program's state, with [`Consumer::commit`]. A
    /// checkpoint given to [`resume`](Self::resume) counts only as long as the store has none, as
    /// for a program that kept its own before.
    ///
    /// From then on the consumer is opened with the state, by [`open_with`](ConsumerBuilder::open_with):
    ///
    /// ```compile_fail,E0599
    /// # use msgstream_core::{Consumer, checkpoint::CheckpointStore, consume::ConsumerBuilder};
    /// # async fn f(builder: ConsumerBuilder, store: impl CheckpointStore) {
    /// builder.store(store).open().await;
    /// # }
    /// ```
    pub fn store(self, store: impl CheckpointStore) -> ConsumerBuilder<Arc<dyn CheckpointStore>> {
        let Self { transport, channels, subscription, start, from, ticks, config, commits: ByHand } =
            self;
        let commits: Arc<dyn CheckpointStore> = Arc::new(store);
        ConsumerBuilder { transport, channels, subscription, start, from, ticks, config, commits }
    }

    /// Opens the consumer.
    ///
    /// # Errors
    /// [`Error::Config`] for no channel, one named twice, or a configuration that contradicts
    /// itself. [`Error::Transport`], such as for a channel that doesn't exist, and with a
    /// checkpoint for one that was deleted and created again, or whose records were deleted;
    /// temporary errors are retried for [`retry_for`](Self::retry_for).
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. New subscriptions may be there.
    pub async fn open(self) -> Result<Consumer> {
        let from = self.from.clone();
        self.open_at(from, |ByHand| ByHand).await
    }
}

impl ConsumerBuilder<Arc<dyn CheckpointStore>> {
    /// Opens the consumer at the store's checkpoint, and returns the state that was saved with it,
    /// or `initial()` if nothing was saved yet. From now on no consumer that opened the store
    /// before can commit.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use std::sync::Arc;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::transport::TransportExt;
    /// # broker.create("orders-0").await?;
    /// use msgstream_core::Consumer;
    /// use msgstream_core::checkpoint::{CheckpointStore, MemoryStore};
    ///
    /// let store: Arc<dyn CheckpointStore> = Arc::new(MemoryStore::default());
    /// let builder = Consumer::builder(broker).channels(["orders-0"]);
    /// let (consumer, total) = builder.store(store).open_with(|| 0_u64).await?;
    /// assert_eq!(total, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`ConsumerBuilder::open`]. [`Error::Store`] if the store fails, and
    /// [`Error::State`] if its state can't be read as an `S`.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. The store may be taken over from an earlier
    /// consumer.
    pub async fn open_with<S: Serialize + DeserializeOwned>(
        mut self,
        initial: impl FnOnce() -> S,
    ) -> Result<(Consumer<Saved<S>>, S)> {
        let (committer, stored) = Committer::open(self.commits.clone()).await?;
        let state = match &stored.checkpoint {
            Some(_) => serde_json::from_slice(&stored.state).map_err(|source| {
                let type_name = std::any::type_name::<S>();
                Error::State { operation: "read", type_name, source }
            })?,
            None => initial(),
        };
        let from = stored.checkpoint.or(self.from.take());
        let consumer = self.open_at(from, |_| Saved::new(committer)).await?;
        Ok((consumer, state))
    }
}

impl<C> ConsumerBuilder<C> {
    /// Sets the channels to read.
    ///
    /// ```
    /// # use msgstream_core::{Consumer};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).channels((0..4).map(|n| format!("orders-{n}")));
    /// ```
    pub fn channels<N: Into<String>>(mut self, channels: impl IntoIterator<Item = N>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets where reading begins. [`Start::Earliest`] unless set.
    ///
    /// It applies to channels that aren't in the checkpoint and whose subscription was never
    /// acknowledged.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, transport::Start};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).start(Start::Latest);
    /// ```
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets the subscription: the broker's durable cursor on each channel, created if it is
    /// missing. Reading begins where it was acknowledged. The broker may delete what is before it.
    ///
    /// ```
    /// # use msgstream_core::Consumer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).channels(["orders-0"]).subscription("billing");
    /// ```
    pub fn subscription(mut self, name: impl Into<String>) -> Self {
        self.subscription = Some(name.into());
        self
    }

    /// Sets where the time ticks of each channel come from. [`TickSource::Written`] unless set: its
    /// producers write them.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, TickSource};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).ticks(|channel| {
    ///     match channel.starts_with("ticked-") {
    ///         true => TickSource::Written,
    ///         false => TickSource::Synthetic { delay: 1_000, interval: 100 },
    ///     }
    /// });
    /// ```
    pub fn ticks(mut self, ticks: impl Fn(&str) -> TickSource + Send + Sync + 'static) -> Self {
        self.ticks = Box::new(ticks);
        self
    }

    /// Sets how late messages are handled. [`LatePolicy::Error`] unless set.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, LatePolicy};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).late_policy(LatePolicy::Drop);
    /// ```
    pub const fn late_policy(mut self, late: LatePolicy) -> Self {
        self.config.late_policy = late;
        self
    }

    /// Ends packs at multiples of an interval of 1 ms or more, instead of at every tick: for
    /// channels whose ticks don't line up. Every tick unless set.
    ///
    /// ```
    /// # use msgstream_core::{Consumer};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).align_to(std::time::Duration::from_secs(1));
    /// ```
    pub const fn align_to(mut self, interval: Duration) -> Self {
        self.config.align_to = Some(interval);
        self
    }

    /// Sets the memory for what is read ahead, in bytes. 64 MiB unless set.
    ///
    /// ```
    /// # use msgstream_core::Consumer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).budget_bytes(256 << 20);
    /// ```
    pub const fn budget_bytes(mut self, bytes: usize) -> Self {
        self.config.budget_bytes = bytes;
        self
    }

    /// Makes a channel idle once it is caught up and silent for this long: packs no longer wait for
    /// it. Unless set, they do. Late messages must be delivered or dropped then.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, LatePolicy};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker)
    ///     .idle_after(std::time::Duration::from_secs(30))
    ///     .late_policy(LatePolicy::Deliver);
    /// ```
    pub const fn idle_after(mut self, silence: Duration) -> Self {
        self.config.idle_after = Some(silence);
        self
    }

    /// Refuses ticks that are further ahead of the system's clock than this. Unless set, any tick
    /// is accepted, and no clock is read.
    ///
    /// ```
    /// # use msgstream_core::Consumer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).max_tick_ahead(std::time::Duration::from_secs(60));
    /// ```
    pub const fn max_tick_ahead(mut self, ahead: Duration) -> Self {
        self.config.max_tick_ahead = Some(ahead);
        self
    }

    /// Sets for how long temporary errors of a channel are retried before they are returned. 60
    /// seconds unless set; with zero they are returned at once.
    ///
    /// ```
    /// # use msgstream_core::Consumer;
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).retry_for(std::time::Duration::from_secs(5));
    /// ```
    pub const fn retry_for(mut self, time: Duration) -> Self {
        self.config.retry_for = time;
        self
    }

    /// Sets how many producers with sessions a channel may have, and for how long they are
    /// remembered.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, consume::ProducerLimits};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).producer_limits(ProducerLimits::default().with_max(100));
    /// ```
    pub const fn producer_limits(mut self, limits: ProducerLimits) -> Self {
        self.config.producer_limits = limits;
        self
    }

    /// Sets everything that is in a [`ConsumerConfig`].
    ///
    /// ```
    /// # use msgstream_core::{Consumer, ConsumerConfig};
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let consumer = Consumer::builder(broker).config(ConsumerConfig::default().with_max_records(64));
    /// ```
    pub const fn config(mut self, config: ConsumerConfig) -> Self {
        self.config = config;
        self
    }

    async fn open_at<D>(
        self,
        from: Option<Checkpoint>,
        commits: impl FnOnce(C) -> D,
    ) -> Result<Consumer<D>> {
        let mut aligned = Aligned::new(self.transport, self.config)?;
        let subscription = self.subscription.as_deref();
        let mut joining: Vec<_> = self.channels.iter().map(String::as_str).collect();
        if !joining.is_empty() {
            distinct(joining.iter().copied())?;
        }
        if let Some(mut from) = from {
            if !joining.is_empty() {
                let is_other = |channel: &&Arc<str>| !joining.contains(&&***channel);
                let others: Vec<_> = from.channels.keys().filter(is_other).cloned().collect();
                if !others.is_empty() {
                    tracing::warn!(
                        channels = ?others,
                        "the checkpoint has channels that aren't named: their marks are left out"
                    );
                }
                others.iter().for_each(|channel| drop(from.channels.remove(channel)));
            }
            joining.retain(|channel| !from.channels.contains_key(*channel));
            aligned.resume(subscription, &from, &self.ticks).await?;
        }
        aligned.add(subscription, &joining, self.start, &self.ticks).await?;
        if aligned.is_empty() {
            return Err(Error::Config {
                reason: "no channel is named: name at least one".to_owned(),
            });
        }
        aligned.begin();
        let subscription = self.subscription;
        Ok(Consumer::new(aligned, subscription, self.ticks, commits(self.commits)))
    }
}

impl<C> fmt::Debug for ConsumerBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("transport", &self.transport)
            .field("channels", &self.channels)
            .field("subscription", &self.subscription)
            .field("start", &self.start)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
