//! [`Consumer`]: many channels as one stream of packs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;

use super::aligned::Aligned;
use super::builder::{ConsumerBuilder, Ticks};
use super::{CommitCounts, Committer, ConsumerStatus};
use crate::checkpoint::Checkpoint;
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::LatePolicy;
use crate::message::MsgPack;
use crate::record::Position;
use crate::transport::{Start, Transport};

/// Reads many channels as one stream of packs that are aligned in event time: a pack holds exactly
/// the messages of one interval, of every channel, and is the same on every run. An open consumer
/// works: there is nothing to start. See [`merge`](crate::merge) for the rules.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::message::InsertMsg;
/// use msgstream_core::transport::Transport;
/// use msgstream_core::{Consumer, Error};
///
/// async fn count(broker: Arc<dyn Transport>) -> Result<usize, Error> {
///     let mut packs =
///         Consumer::builder(broker).channels(["rows-0", "rows-1"]).subscription("count").open().await?;
///     let mut rows = 0;
///     while let Some(pack) = packs.next_pack().await? {
///         for insert in pack.decode::<InsertMsg>() {
///             rows += insert?.value.body().rows();
///         }
///         packs.ack(&pack.end).await?;
///     }
///     Ok(rows)
/// }
/// ```
///
/// # Exactly once
///
/// With a [store](ConsumerBuilder::store) the consumer keeps its place together with what the packs
/// led to. A crash before a commit gives the pack again, to the state of before; a crash after it
/// goes on with the next pack.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::checkpoint::CheckpointStore;
/// # use msgstream_core::message::InsertMsg;
/// # use msgstream_core::transport::Transport;
/// # use msgstream_core::{Consumer, Error};
///
/// async fn total(broker: Arc<dyn Transport>, store: Arc<dyn CheckpointStore>) -> Result<usize, Error> {
///     let (mut packs, mut rows) =
///         Consumer::builder(broker).channels(["rows-0"]).store(store).open_with(|| 0).await?;
///     while let Some(pack) = packs.next_pack().await? {
///         for insert in pack.decode::<InsertMsg>() {
///             rows += insert?.value.body().rows();
///         }
///         packs.commit(&pack, &rows).await?;
///     }
///     Ok(rows)
/// }
/// ```
///
/// A program with a database of its own saves [`MsgPack::end`] in the transaction that has what the
/// pack led to, [resumes](ConsumerBuilder::resume) from it, and calls [`ack`](Consumer::ack) after
/// the transaction.
///
/// A consumer with a store acknowledges by committing alone, for what is acknowledged before it is
/// saved may be lost:
///
/// ```compile_fail,E0599
/// # use msgstream_core::consume::Saved;
/// # use msgstream_core::{Consumer, Error, MsgPack};
/// # async fn f(mut packs: Consumer<Saved<u64>>, pack: MsgPack) -> Result<(), Error> {
/// packs.ack(&pack.end).await
/// # }
/// ```
pub struct Consumer<C = ByHand> {
    aligned: Aligned,
    subscription: Option<String>,
    ticks: Ticks,
    commits: C,
}

/// A [`Consumer`] whose checkpoints the program keeps, or nobody.
#[derive(Clone, Copy, Debug)]
pub struct ByHand;

/// A [`Consumer`] that keeps checkpoints in a store, together with a state of this type.
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

    /// Moves the subscription's cursors to a checkpoint, which must be durable by then: what is
    /// before it may be deleted. Channels that are no longer read are passed over, and without a
    /// subscription nothing is done. A cursor alone gives at-least-once.
    ///
    /// # Errors
    /// [`Error::Transport`], temporary ones after they were tried again for
    /// [`retry_for`](ConsumerBuilder::retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call some of the cursors have moved.
    pub async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.aligned.ack(checkpoint).await
    }

    /// Goes to a checkpoint: its channels, at their marks, take the place of those that are read.
    /// [`MsgPack::start`] gives a pack again, [`MsgPack::end`] what follows it.
    ///
    /// # Errors
    /// [`Error::Config`] for a checkpoint without channels. [`Error::Transport`], among them a
    /// channel that was deleted and created again, or whose records are gone; temporary ones after
    /// they were tried again for [`retry_for`](ConsumerBuilder::retry_for). The consumer is where it
    /// was then.
    ///
    /// # Cancel safety
    /// After a cancelled call the consumer is where it was. New subscriptions may be there.
    pub async fn seek(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if checkpoint.channels.is_empty() {
            return Err(Error::Config { reason: "the checkpoint has no channels".to_owned() });
        }
        self.aligned.resume(self.subscription.as_deref(), checkpoint, &self.ticks).await
    }
}

impl<S: Serialize> Consumer<Saved<S>> {
    /// Saves where the consumer stands after a pack, together with what the packs led to, in one
    /// step. Once that is durable, moves the subscription's cursors up to it. Not every pack needs a
    /// commit: what wasn't committed is consumed again.
    ///
    /// # Errors
    /// [`Error::TakenOver`]: another consumer goes on, so stop. [`Error::Store`]: whether the
    /// checkpoint is saved is not known; commit again, this pack or a later one, and that call finds
    /// out. [`Error::State`] for a state that JSON can't hold: nothing was saved. [`Error::Transport`]
    /// comes from acknowledging: the checkpoint is saved, and the next commit moves the cursors as
    /// well.
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

    /// Returns what was committed so far.
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

    /// Returns the next pack; `None` once every channel has ended and all of it was handed out.
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::TickTooFar`], [`Error::WindowTooLarge`],
    /// [`Error::TooManyProducers`], [`Error::SpanTooLong`], and [`Error::Transport`] of one
    /// channel: one that time can't mend at once, a temporary one after it was tried again for
    /// [`retry_for`](ConsumerBuilder::retry_for) while the other channels were read. Until then
    /// [`status`](Self::status) tells of it, and the log has a warning.
    ///
    /// Nothing is lost: the next call tries again, with success after
    /// [`set_late_policy`](Self::set_late_policy), [`ignore_tick`](Self::ignore_tick),
    /// [`set_budget_bytes`](Self::set_budget_bytes),
    /// [`set_producer_limits`](Self::set_producer_limits) or [`set_max_span`](Self::set_max_span).
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was tried stays counted. Time in
    /// which nobody polls doesn't count.
    pub async fn next_pack(&mut self) -> Result<Option<MsgPack>> {
        self.aligned.next_pack().await
    }

    /// Returns the packs as a [`Stream`](futures::Stream). It ends with the last pack or after an
    /// error; dropping it loses nothing, and another goes on.
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

    /// Adds a channel: from the next pack on, packs hold its messages. Those at or before the last
    /// pack's end belong to none; they are counted as "before join".
    ///
    /// # Errors
    /// [`Error::Config`] for a channel that is read already, [`Error::Transport`].
    ///
    /// # Cancel safety
    /// After a cancelled call the channel was not added. A new subscription may be there.
    pub async fn add_channel(&mut self, channel: &str, start: Start) -> Result<()> {
        let subscription = self.subscription.as_deref();
        self.aligned.add(subscription, &[channel], start, &self.ticks).await
    }

    /// Takes a channel out: the next pack has nothing of it. Returns a checkpoint of this one
    /// channel, from which another consumer can go on.
    ///
    /// # Errors
    /// [`Error::NotConsumed`].
    pub fn remove_channel(&mut self, channel: &str) -> Result<Checkpoint> {
        self.aligned.remove(channel)
    }

    /// Returns what the consumer is doing. Costs O(channels).
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.aligned.status()
    }

    /// Returns what is read and not handed out, in bytes. Costs O(1).
    #[must_use]
    pub const fn buffered_bytes(&self) -> usize {
        self.aligned.buffered_bytes()
    }

    /// Returns where the consumer stands after the last pack.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.aligned.checkpoint()
    }

    /// Sets what happens to late messages, after [`Error::Late`].
    ///
    /// # Errors
    /// [`Error::Config`] for [`LatePolicy::Error`] if channels may be idle.
    pub fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        self.aligned.set_late_policy(late)
    }

    /// Sets how far a tick may be ahead of the system's clock, after [`Error::TickTooFar`]; `None` is
    /// any.
    pub fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.aligned.set_max_tick_ahead(ahead);
    }

    /// Makes the tick at this position do nothing, after [`Error::TickTooFar`]. A consumer that
    /// resumes from before it must be told again.
    ///
    /// # Errors
    /// [`Error::NotConsumed`].
    pub fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        self.aligned.ignore_tick(channel, position)
    }

    /// Sets the memory for what is read ahead, in bytes, after [`Error::WindowTooLarge`]; 0 is taken
    /// as 1.
    pub fn set_budget_bytes(&mut self, bytes: usize) {
        self.aligned.set_budget_bytes(bytes);
    }

    /// Sets how many producers with sessions a channel may have and how long they are remembered,
    /// after [`Error::TooManyProducers`].
    pub fn set_producer_limits(&mut self, limits: ProducerLimits) {
        self.aligned.set_producer_limits(limits);
    }

    /// Sets how many records a checkpoint may hold back, after [`Error::SpanTooLong`].
    pub fn set_max_span(&mut self, records: u64) {
        self.aligned.set_max_span(records);
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
