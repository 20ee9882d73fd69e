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
use crate::transport::{Start, Transport};

/// Says where a channel's ticks come from.
pub(super) type Ticks = Box<dyn Fn(&str) -> TickSource + Send + Sync>;

/// Opens a [`Consumer`], see there.
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

    /// Goes on from a checkpoint: the next pack is the one that followed it. `None` begins anew, as
    /// the first run of a program does.
    ///
    /// The channels are those of [`channels`](Self::channels) where any are given: those that the
    /// checkpoint doesn't have join, and the others of the checkpoint are left out. Else they are the
    /// checkpoint's.
    pub fn resume(mut self, checkpoint: impl Into<Option<Checkpoint>>) -> Self {
        self.from = checkpoint.into();
        self
    }

    /// Keeps checkpoints in a store, together with a state: the crash-safe loop of
    /// [`Consumer::commit`].
    pub fn store(
        self,
        store: impl Into<Arc<dyn CheckpointStore>>,
    ) -> ConsumerBuilder<Arc<dyn CheckpointStore>> {
        let Self { transport, channels, subscription, start, from, ticks, config, commits: ByHand } =
            self;
        let commits = store.into();
        ConsumerBuilder { transport, channels, subscription, start, from, ticks, config, commits }
    }

    /// Opens the consumer.
    ///
    /// # Errors
    /// [`Error::Config`] for no channel, one named twice, or a configuration that contradicts
    /// itself. [`Error::Transport`], such as for a channel that isn't there, and with a checkpoint
    /// for one that was deleted and created again, or whose records are gone; temporary errors are
    /// tried again for [`retry_for`](Self::retry_for).
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. New subscriptions may be there.
    pub async fn open(self) -> Result<Consumer> {
        let from = self.from.clone();
        self.open_at(from, |ByHand| ByHand).await
    }
}

impl ConsumerBuilder<Arc<dyn CheckpointStore>> {
    /// Opens the consumer where the store's checkpoint says, and returns the state that was saved
    /// with it: `initial()` where nothing was saved yet. From now on no consumer that opened the store
    /// before can commit.
    ///
    /// # Errors
    /// As [`ConsumerBuilder::open`]. [`Error::Store`] if the store fails, and
    /// [`Error::State`] if its state can't be read as an `S`.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. The store may be taken from the consumer before.
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
    pub fn channels<N: Into<String>>(mut self, channels: impl IntoIterator<Item = N>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets where channels begin. [`Start::Earliest`] unless set.
    ///
    /// It counts for channels that no checkpoint has and whose subscription was never acknowledged.
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Names a subscription: the broker's durable cursor on each channel, created if it is missing.
    /// Channels begin where it was acknowledged. The broker may delete what is before it.
    pub fn subscription(mut self, name: impl Into<String>) -> Self {
        self.subscription = Some(name.into());
        self
    }

    /// Says where the ticks of each channel come from. [`TickSource::Written`] unless set: its
    /// producers tick.
    pub fn ticks(mut self, ticks: impl Fn(&str) -> TickSource + Send + Sync + 'static) -> Self {
        self.ticks = Box::new(ticks);
        self
    }

    /// Sets what happens to late messages. [`LatePolicy::Error`] unless set.
    pub const fn late_policy(mut self, late: LatePolicy) -> Self {
        self.config.late_policy = late;
        self
    }

    /// Ends packs at multiples of a duration of 1 ms or more, instead of at every tick: for channels
    /// whose ticks don't line up. Off unless set.
    pub const fn align_to(mut self, interval: Duration) -> Self {
        self.config.align_to = Some(interval);
        self
    }

    /// Sets the memory for what is read ahead, in bytes. 64 MiB unless set.
    pub const fn budget_bytes(mut self, bytes: usize) -> Self {
        self.config.budget_bytes = bytes;
        self
    }

    /// Lets a channel that is caught up and silent for so long no longer hold packs back. Off unless
    /// set: the consumer waits. Late messages must be delivered or dropped then.
    pub const fn idle_after(mut self, silence: Duration) -> Self {
        self.config.idle_after = Some(silence);
        self
    }

    /// Refuses ticks that are further ahead of the system's clock. Off unless set: replaying needs no
    /// clock.
    pub const fn max_tick_ahead(mut self, ahead: Duration) -> Self {
        self.config.max_tick_ahead = Some(ahead);
        self
    }

    /// Sets for how long temporary errors of a channel are tried again before they are returned. 60
    /// seconds unless set; with zero they are returned at once.
    pub const fn retry_for(mut self, time: Duration) -> Self {
        self.config.retry_for = time;
        self
    }

    /// Sets how many producers with sessions a channel may have, and how long they are remembered.
    pub const fn producer_limits(mut self, limits: ProducerLimits) -> Self {
        self.config.producer_limits = limits;
        self
    }

    /// Sets all that a [`ConsumerConfig`] has, at once.
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
        if let Some(mut from) = from {
            if !joining.is_empty() {
                from.channels = from
                    .channels
                    .into_iter()
                    .filter(|(channel, _)| joining.contains(&&**channel))
                    .collect();
            }
            joining.retain(|channel| !from.channels.contains_key(*channel));
            aligned.resume(subscription, &from, &self.ticks).await?;
        }
        aligned.add(subscription, &joining, self.start, &self.ticks).await?;
        if aligned.is_empty() {
            return Err(Error::Config { reason: "there must be one channel at least".to_owned() });
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
