//! The configuration of a merge.

use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::record::Timestamp;

/// Configures a [`Merge`](super::Merge). [`ConsumerConfig`](crate::ConsumerConfig) has the same for
/// programs.
///
/// ```
/// use msgstream_core::merge::{LatePolicy, MergeConfig};
/// let config =
///     MergeConfig::default().with_late_policy(LatePolicy::Deliver).with_budget_bytes(16 << 20);
/// assert_eq!(config.budget_bytes, 16 << 20);
/// ```
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeConfig {
    /// How late records are handled.
    pub late_policy: LatePolicy,
    /// Packs end at multiples of this many timestamp units (see [`Timestamp::span`]) instead of at
    /// every tick. 1 is every tick.
    pub align_to: u64,
    /// The memory for what is read and not in a pack yet, in bytes of
    /// [`Record::footprint`](crate::record::Record::footprint), including reads in flight. One
    /// record per channel may exceed it.
    pub budget_bytes: usize,
    /// How many producers with sessions a channel may have, and for how long they are remembered.
    pub producer_limits: ProducerLimits,
    /// How many records of a channel a checkpoint may hold back, from its mark's
    /// [`resume`](crate::checkpoint::Mark::resume) to its [`cut`](crate::checkpoint::Mark::cut). A
    /// pack whose checkpoint would hold back more isn't formed.
    pub max_span: u64,
}

impl Default for MergeConfig {
    /// Late records are an error, packs end at every tick, 64 MiB, 10 million records.
    fn default() -> Self {
        Self {
            late_policy: LatePolicy::Error,
            align_to: 1,
            budget_bytes: 64 << 20,
            producer_limits: ProducerLimits::default(),
            max_span: 10_000_000,
        }
    }
}

impl MergeConfig {
    /// Sets how late records are handled.
    #[must_use]
    pub const fn with_late_policy(mut self, late: LatePolicy) -> Self {
        self.late_policy = late;
        self
    }

    /// Ends packs at multiples of `interval` timestamp units.
    #[must_use]
    pub const fn with_align_to(mut self, interval: u64) -> Self {
        self.align_to = interval;
        self
    }

    /// Sets the budget, in bytes.
    #[must_use]
    pub const fn with_budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// Sets how many producers a channel may have, and for how long they are remembered.
    #[must_use]
    pub const fn with_producer_limits(mut self, producers: ProducerLimits) -> Self {
        self.producer_limits = producers;
        self
    }

    /// Sets how many records of a channel a checkpoint may hold back.
    #[must_use]
    pub const fn with_max_span(mut self, records: u64) -> Self {
        self.max_span = records;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.align_to == 0 {
            return Err(Error::Config {
                reason: "packs are aligned to an interval of 0: set 1 for every tick".into(),
            });
        }
        if self.budget_bytes == 0 {
            return Err(Error::Config { reason: "the memory budget is 0 bytes: set more".into() });
        }
        Ok(())
    }

    /// Returns the boundary that a tick stands for.
    pub(super) const fn boundary(&self, tick: Timestamp) -> Timestamp {
        Timestamp(tick.0 - tick.0 % self.align_to)
    }

    /// Returns the first boundary at or after a time; the time itself if there is none.
    pub(super) fn boundary_after(&self, ts: Timestamp) -> Timestamp {
        let next = ts.0.checked_next_multiple_of(self.align_to);
        // Nothing could follow a pack that ends with time.
        next.filter(|next| *next < u64::MAX).map_or(ts, Timestamp)
    }
}

/// How a late record is handled: one whose time is at or before a tick that came before it on its
/// own channel. The producer broke its promise, which is always an error or counted.
///
/// ```
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// use msgstream_core::{Consumer, LatePolicy};
/// let consumer = Consumer::builder(broker).late_policy(LatePolicy::Deliver);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LatePolicy {
    /// [`Error::Late`] is returned instead of the pack that would have the record.
    #[default]
    Error,
    /// The record is in the first pack after the tick that it was late for, and flagged as late.
    Deliver,
    /// The record is dropped and counted.
    Drop,
}

/// Where a channel's time ticks come from.
///
/// ```
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// use std::time::Duration;
/// use msgstream_core::{Consumer, TickSource, Timestamp};
/// let ten_seconds = Timestamp::span(Duration::from_secs(10));
/// let consumer = Consumer::builder(broker)
///     .channels(["someone-elses-topic"])
///     .ticks(move |_| TickSource::Synthetic { delay: ten_seconds, interval: 1 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TickSource {
    /// Its producers write them.
    #[default]
    Written,
    /// They are derived from the data, for a topic whose producers don't tick. After each record
    /// the channel ticks at the greatest timestamp so far, less a delay, rounded down to a multiple
    /// of an interval; both in timestamp units, see [`Timestamp::span`]. Ticks that are written
    /// count, too.
    Synthetic {
        /// How far behind the greatest timestamp a record may be without being late.
        delay: u64,
        /// Ticks are multiples of this interval; 0 counts as 1.
        interval: u64,
    },
}

impl TickSource {
    /// Returns the tick that follows from a greatest timestamp.
    pub(super) const fn derive(self, greatest: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Written => None,
            Self::Synthetic { delay, interval } => match greatest.0.checked_sub(delay) {
                Some(tick) => {
                    Some(Timestamp(tick - tick % if interval == 0 { 1 } else { interval }))
                }
                None => None,
            },
        }
    }
}
