//! [`Consumer`]: many channels as one stream of packs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;

use super::aligned::Aligned;
use super::builder::{ConsumerBuilder, Ticks};
use super::{CommitCounts, Committer, ConsumerStatus};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::transport::{Start, Transport};

/// Reads many channels as one stream of packs that are aligned in event time.
///
/// A pack holds exactly the messages of one interval, of every channel, and is the same in every
/// run. See [`merge`](crate::merge) for the rules.
///
/// ```
/// # use std::sync::Arc;
/// # use msgstream_core::{Producer, Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let orders = || Producer::builder(broker.clone()).channels(["orders-0"]).create_missing().open();
/// # let order = msgstream_core::message::TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0]);
/// # let mut producer = orders().await?;
/// # producer.send(order).await?;
/// # producer.end(Timestamp(9)).await?;
/// use msgstream_core::Consumer;
///
/// let mut packs = Consumer::builder(broker).channels(["orders-0"]).subscription("count").open().await?;
/// let mut orders = 0;
/// while let Some(pack) = packs.next_pack().await? {
///     orders += pack.msgs.len();
///     packs.ack(&pack.end).await?;
/// }
/// assert_eq!(orders, 1);
/// # Ok(()) }
/// ```
///
/// # Exactly once
///
/// With a [store](ConsumerBuilder::store) the consumer saves its place together with the state that
/// the packs led to. After a crash before a commit, the pack comes again, to the state from before
/// it; after a crash later, the next pack follows.
///
/// ```
/// # use std::sync::Arc;
/// # use msgstream_core::{Producer, Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let orders = || Producer::builder(broker.clone()).channels(["orders-0"]).create_missing().open();
/// # let order = msgstream_core::message::TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0]);
/// # let mut producer = orders().await?;
/// # producer.send(order).await?;
/// # producer.end(Timestamp(9)).await?;
/// use msgstream_core::Consumer;
/// use msgstream_core::checkpoint::{CheckpointStore, MemoryStore};
///
/// let store: Arc<dyn CheckpointStore> = Arc::new(MemoryStore::default());
/// let (mut packs, mut orders) =
///     Consumer::builder(broker).channels(["orders-0"]).store(store).open_with(|| 0).await?;
/// while let Some(pack) = packs.next_pack().await? {
///     orders += pack.msgs.len();
///     packs.commit(&pack, &orders).await?;
/// }
/// assert_eq!(orders, 1);
/// # Ok(()) }
/// ```
///
/// A program with a database of its own saves [`MsgPack::end`] in the same transaction as the
/// results of the pack, [resumes](ConsumerBuilder::resume) from it, and calls
/// [`ack`](Consumer::ack) after the transaction.
///
/// A consumer with a store has no `ack`, since what is acknowledged before it is saved may be lost.
/// Committing acknowledges:
///
/// ```compile_fail,E0599
/// # use msgstream_core::consume::Saved;
/// # use msgstream_core::{Consumer, Error, MsgPack};
/// # async fn f(mut packs: Consumer<Saved<u64>>, pack: MsgPack) -> Result<(), Error> {
/// packs.ack(&pack.end).await
/// # }
/// ```
///
/// Nor can it seek away from what is saved, and without a store there is nothing to commit to:
///
/// ```compile_fail,E0599
/// # use msgstream_core::{Checkpoint, Consumer, Error, consume::Saved};
/// # async fn f(mut packs: Consumer<Saved<u64>>, checkpoint: Checkpoint) -> Result<(), Error> {
/// packs.seek(&checkpoint).await
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # use msgstream_core::{Consumer, Error, MsgPack};
/// # async fn f(mut packs: Consumer, pack: MsgPack) -> Result<(), Error> {
/// packs.commit(&pack, &0_u64).await
/// # }
/// ```
pub struct Consumer<C = ByHand> {
    pub(super) aligned: Aligned,
    subscription: Option<String>,
    ticks: Ticks,
    commits: C,
}

/// The state of a [`Consumer`] without a store: the program saves checkpoints itself, or not at
/// all.
#[derive(Clone, Copy, Debug)]
pub struct ByHand;

/// The state of a [`Consumer`] that saves checkpoints in a store, together with a value of type
/// `S`.
pub struct Saved<S> {
    committer: Committer,
    state: PhantomData<fn(S)>,
}

impl<S> Saved<S> {
    pub(super) const fn new(committer: Committer) -> Self {
        Self { committer, state: PhantomData }
    }
}

impl<S> fmt::Debug for Saved<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.committer.fmt(f)
    }
}

impl Consumer {
    /// Returns a builder of a consumer on this transport.
    pub fn builder(transport: Arc<dyn Transport>) -> ConsumerBuilder {
        ConsumerBuilder::new(transport)
    }

    /// Moves the subscription's cursors to a checkpoint. Save the checkpoint first: the broker may
    /// delete what is before a cursor. Channels that are no longer read are skipped. Without a
    /// subscription this does nothing. A cursor alone is at-least-once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, Producer, Timestamp};
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().open().await?;
    /// # producer.end(Timestamp(5)).await?;
    /// let mut packs = Consumer::builder(broker).channels(["orders"]).subscription("totals").open().await?;
    /// while let Some(pack) = packs.next_pack().await? {
    ///     // Save the results and `pack.end` in one transaction, and then:
    ///     packs.ack(&pack.end).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Transport`]; a temporary error after it was retried for
    /// [`retry_for`](ConsumerBuilder::retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call some of the cursors have moved.
    pub async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.aligned.ack(checkpoint).await
    }

    /// Moves to a checkpoint: its channels, at their marks, replace those that are read. Seeking to
    /// [`MsgPack::start`] repeats a pack, to [`MsgPack::end`] continues after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, Producer, Timestamp};
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().open().await?;
    /// # producer.end(Timestamp(5)).await?;
    /// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// let pack = packs.next_pack().await?.expect("the end of the channel");
    /// packs.seek(&pack.start).await?;
    /// let again = packs.next_pack().await?.expect("the same pack");
    /// assert_eq!(again.end_ts, pack.end_ts);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for a checkpoint without channels. [`Error::Transport`], also for a
    /// channel that was deleted and created again, or whose records were deleted; a temporary error
    /// after it was retried for [`retry_for`](ConsumerBuilder::retry_for). The consumer hasn't
    /// moved then.
    ///
    /// # Cancel safety
    /// After a cancelled call the consumer hasn't moved. Subscriptions may have been created.
    pub async fn seek(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if checkpoint.channels.is_empty() {
            return Err(Error::Config {
                reason: "the checkpoint has no channels: seek to one of a pack".to_owned(),
            });
        }
        self.aligned.resume(self.subscription.as_deref(), checkpoint, &self.ticks).await
    }
}

impl<S: Serialize> Consumer<Saved<S>> {
    /// Saves the checkpoint after a pack together with the program's state, in one step. Once both
    /// are durable, moves the subscription's cursors there. Not every pack needs a commit: after a
    /// crash, what wasn't committed is consumed again.
    ///
    /// # Errors
    /// [`Error::TakenOver`] if another consumer opened the store: stop. [`Error::Store`] if it
    /// isn't known whether the checkpoint is saved: commit again, this pack or a later one, and
    /// that call finds out. [`Error::State`] for a state that JSON can't hold: nothing was saved.
    /// [`Error::Transport`] if acknowledging failed: the checkpoint is saved, and the next commit
    /// moves the cursors.
    ///
    /// # Cancel safety
    /// After a cancelled call the checkpoint may be saved or not; the next commit finds out. No
    /// cursor has moved past what is saved.
    pub async fn commit(&mut self, pack: &MsgPack, state: &S) -> Result<()> {
        let state = serde_json::to_vec(state).map_err(|source| {
            let type_name = std::any::type_name::<S>();
            Error::State { operation: "written", type_name, source }
        })?;
        self.commits.committer.save(&pack.end, Bytes::from(state)).await?;
        self.aligned.ack(&pack.end).await
    }

    /// Returns how many commits there were so far.
    #[must_use]
    pub const fn commit_counts(&self) -> CommitCounts {
        self.commits.committer.counts()
    }
}

impl<C> Consumer<C> {
    pub(super) const fn new(
        aligned: Aligned,
        subscription: Option<String>,
        ticks: Ticks,
        commits: C,
    ) -> Self {
        Self { aligned, subscription, ticks, commits }
    }

    /// Returns the next pack; `None` once every channel has ended and all packs were returned.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, Producer, Timestamp};
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().open().await?;
    /// # producer.end(Timestamp(5)).await?;
    /// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
    /// while let Some(pack) = packs.next_pack().await? {
    ///     println!("{} messages up to {}", pack.msgs.len(), pack.end_ts);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`],
    /// [`Error::TooManyProducers`], [`Error::SpanTooLong`], and [`Error::Transport`] of one
    /// channel: a permanent error at once, a temporary one after it was retried for
    /// [`retry_for`](ConsumerBuilder::retry_for) while the other channels were read. Meanwhile it
    /// is in [`status`](Self::status), and a warning is logged.
    ///
    /// Nothing is lost: the next call tries again, and succeeds after
    /// [`set_late_policy`](Self::set_late_policy), [`ignore_tick`](Self::ignore_tick),
    /// [`set_budget_bytes`](Self::set_budget_bytes),
    /// [`set_producer_limits`](Self::set_producer_limits) or [`set_max_span`](Self::set_max_span).
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was retried stays counted. Time
    /// in which nobody polls doesn't count.
    pub async fn next_pack(&mut self) -> Result<Option<MsgPack>> {
        self.aligned.next_pack().await
    }

    /// Returns the packs as a [`Stream`](futures::Stream). It ends with the last pack or after an
    /// error. Dropping it loses nothing: another one continues.
    ///
    /// ```
    /// # use msgstream_core::{Consumer, Error};
    /// use futures::TryStreamExt;
    /// async fn count(consumer: &mut Consumer) -> Result<usize, Error> {
    ///     consumer.packs().try_fold(0, async |n, pack| Ok(n + pack.msgs.len())).await
    /// }
    /// ```
    pub fn packs(&mut self) -> BoxStream<'_, Result<MsgPack>>
    where
        C: Send,
    {
        futures::stream::try_unfold(self, async |consumer| {
            Ok(consumer.next_pack().await?.map(|pack| (pack, consumer)))
        })
        .boxed()
    }

    /// Adds a channel: from the next pack on, packs hold its messages. Messages at or before the
    /// end of the last pack are in no pack, and counted as "before join".
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::{Start, TransportExt}};
    /// # broker.create("orders-0").await?;
    /// # broker.create("orders-1").await?;
    /// let mut packs = Consumer::builder(broker).channels(["orders-0"]).open().await?;
    /// packs.add_channel("orders-1", Start::Earliest).await?;
    /// assert_eq!(packs.status().merge.channels.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that is read already, [`Error::Transport`].
    ///
    /// # Cancel safety
    /// After a cancelled call the channel was not added. Its subscription may have been created.
    pub async fn add_channel(&mut self, channel: &str, start: Start) -> Result<()> {
        let subscription = self.subscription.as_deref();
        self.aligned.add(subscription, &[channel], start, &self.ticks).await
    }

    /// Removes a channel: the next pack has nothing of it. Returns a checkpoint of this one
    /// channel, from which another consumer can continue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::TransportExt};
    /// # broker.create("orders-0").await?;
    /// # broker.create("orders-1").await?;
    /// # let mut packs = Consumer::builder(broker).channels(["orders-0"]).open().await?;
    ///
    /// use msgstream_core::transport::Start;
    /// packs.add_channel("orders-1", Start::Earliest).await?;
    /// let checkpoint = packs.remove_channel("orders-1")?;
    /// assert_eq!(packs.status().merge.channels.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotConsumed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Checkpoint> {
        self.aligned.remove(channel)
    }

    /// Returns what the consumer is doing. Costs O(channels).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # use msgstream_core::{Consumer, transport::TransportExt};
    /// # broker.create("orders-0").await?;
    /// # broker.create("orders-1").await?;
    /// # let mut packs = Consumer::builder(broker).channels(["orders-0"]).open().await?;
    ///
    /// for channel in packs.status().merge.blocking() {
    ///     println!("the next pack waits for a tick on {}", channel.channel);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.aligned.status()
    }

    /// Returns the bytes that are read and not returned yet. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.aligned.buffered_bytes()
    }

    /// Returns the checkpoint after the last pack.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.aligned.checkpoint()
    }
}

impl<C: fmt::Debug> fmt::Debug for Consumer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("aligned", &self.aligned)
            .field("subscription", &self.subscription)
            .field("commits", &self.commits)
            .finish_non_exhaustive()
    }
}
