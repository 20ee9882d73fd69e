//! How a time-aligned stream behaves.

use std::time::Duration;

use super::outage::RETRY_FOR;
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::LatePolicy;
use crate::merge::MergeConfig;
use crate::record::Timestamp;

/// How a [`TtMsgStream`](super::TtMsgStream) behaves.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::merge::LatePolicy;
/// use msgstream_core::consume::ConsumerConfig;
/// let config = ConsumerConfig::default()
///     .with_late_policy(LatePolicy::Deliver)
///     .with_idle_after(Duration::from_secs(30))
///     .with_budget_bytes(256 << 20);
/// assert_eq!(config.idle_after, Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// What happens to late records. An error unless set.
    pub late_policy: LatePolicy,
    /// Packs end at multiples of this duration instead of at every tick: for channels whose ticks
    /// don't line up. Off unless set.
    pub align_to: Option<Duration>,
    /// Memory for what is read ahead, in bytes, see [`MergeConfig::budget_bytes`]. 64 MiB unless set.
    pub budget_bytes: usize,
    /// How many producers with sessions a channel may have, and how long they are remembered, see
    /// [`MergeConfig::producer_limits`].
    pub producer_limits: ProducerLimits,
    /// How many records a checkpoint may hold back, see [`MergeConfig::max_span`]. 10 million
    /// unless set.
    pub max_span: u64,
    /// A channel that is caught up and silent for so long no longer holds packs back. Off unless
    /// set: the stream waits.
    pub idle_after: Option<Duration>,
    /// A tick further ahead of the system's clock is refused. Off unless set: replaying needs no
    /// clock.
    pub max_tick_ahead: Option<Duration>,
    /// For how long temporary errors of a channel are tried again before they are returned: by
    /// [`consume`](super::TtMsgStream::consume), and at each step of opening and acknowledging. 60
    /// seconds unless set; with zero they are returned at once.
    pub retry_for: Duration,
    /// At most so many records in one read. 1,024 unless set.
    pub max_records: usize,
    /// How long one read waits at the end of a channel. 1 second unless set.
    pub wait: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        let merge = MergeConfig::default();
        Self {
            late_policy: merge.late_policy,
            align_to: None,
            budget_bytes: merge.budget_bytes,
            producer_limits: merge.producer_limits,
            max_span: merge.max_span,
            idle_after: None,
            max_tick_ahead: None,
            retry_for: RETRY_FOR,
            max_records: 1024,
            wait: Duration::from_secs(1),
        }
    }
}

impl ConsumerConfig {
    /// The same with another policy for late records.
    #[must_use]
    pub const fn with_late_policy(mut self, late: LatePolicy) -> Self {
        self.late_policy = late;
        self
    }

    /// The same with packs that end at multiples of a duration of 1 ms or more.
    #[must_use]
    pub const fn with_align_to(mut self, interval: Duration) -> Self {
        self.align_to = Some(interval);
        self
    }

    /// The same with another budget, in bytes.
    #[must_use]
    pub const fn with_budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// The same with other limits for producers.
    #[must_use]
    pub const fn with_producer_limits(mut self, producers: ProducerLimits) -> Self {
        self.producer_limits = producers;
        self
    }

    /// The same with another span that a checkpoint may hold back, in records.
    #[must_use]
    pub const fn with_max_span(mut self, records: u64) -> Self {
        self.max_span = records;
        self
    }

    /// The same with channels that may be idle. Late records must be delivered or dropped then.
    #[must_use]
    pub const fn with_idle_after(mut self, after: Duration) -> Self {
        self.idle_after = Some(after);
        self
    }

    /// The same with ticks refused that are further ahead of the clock.
    #[must_use]
    pub const fn with_max_tick_ahead(mut self, ahead: Duration) -> Self {
        self.max_tick_ahead = Some(ahead);
        self
    }

    /// The same with another time for which temporary errors are tried again.
    #[must_use]
    pub const fn with_retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// The same with another number of records in one read.
    #[must_use]
    pub const fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// The same with another wait at the end of a channel.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    pub(super) fn merge(&self) -> Result<MergeConfig> {
        if self.idle_after.is_some() && self.late_policy == LatePolicy::Error {
            let reason = "idle channels go with late records delivered or dropped, not refused: what an idle channel brings later may be late by no fault of its producer";
            return Err(Error::Config { reason: reason.into() });
        }
        if let Some(interval) = self.align_to.filter(|interval| Timestamp::span(*interval) == 0) {
            let reason = format!("packs can't be aligned at {interval:?}: the least is 1 ms");
            return Err(Error::Config { reason });
        }
        Ok(MergeConfig::default()
            .with_late_policy(self.late_policy)
            .with_align_to(self.align_to.map_or(1, Timestamp::span))
            .with_budget_bytes(self.budget_bytes)
            .with_producer_limits(self.producer_limits)
            .with_max_span(self.max_span))
    }
}
