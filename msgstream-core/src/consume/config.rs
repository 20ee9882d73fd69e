//! The configuration of consumers.

use std::time::Duration;

use super::outage::RETRY_FOR;
use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::merge::LatePolicy;
use crate::merge::MergeConfig;
use crate::record::Timestamp;

/// Configures a [`TtMsgStream`](crate::TtMsgStream), or with
/// [`ConsumerBuilder::config`](super::ConsumerBuilder::config) a [`Consumer`](crate::Consumer).
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
    /// How late records are handled. [`LatePolicy::Error`] unless set.
    pub late_policy: LatePolicy,
    /// The interval at whose multiples packs end, instead of at every tick: for channels whose
    /// ticks don't line up. Every tick unless set.
    pub align_to: Option<Duration>,
    /// The memory for what is read and not returned yet, in bytes of
    /// [`Record::footprint`](crate::record::Record::footprint), including reads in flight. 64 MiB
    /// unless set. One record per channel may exceed it.
    pub budget_bytes: usize,
    /// How many producers with sessions a channel may have, and for how long they are remembered.
    pub producer_limits: ProducerLimits,
    /// How many records of a channel a checkpoint may hold back, from its mark's
    /// [`resume`](crate::checkpoint::Mark::resume) to its [`cut`](crate::checkpoint::Mark::cut). 10
    /// million unless set. A message with a time far in the future holds `resume` back until then,
    /// and a resumed consumer reads again everything since. A pack whose checkpoint would hold back
    /// more is an error.
    pub max_span: u64,
    /// After which silence a channel that is caught up is idle: packs no longer wait for it. Unless
    /// set, they do.
    pub idle_after: Option<Duration>,
    /// How far a tick may be ahead of the system's clock. Unless set, any tick is accepted, and no
    /// clock is read.
    pub max_tick_ahead: Option<Duration>,
    /// For how long temporary errors of a channel are retried before they are returned: while
    /// consuming, and at each step of opening and acknowledging. 60 seconds unless set; with zero
    /// they are returned at once.
    pub retry_for: Duration,
    /// The most records in one read. 1,024 unless set.
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
    /// Sets how late records are handled.
    ///
    /// ```
    /// # use msgstream_core::{ConsumerConfig, LatePolicy};
    /// let config = ConsumerConfig::default().with_late_policy(LatePolicy::Drop);
    /// assert_eq!(config.late_policy, LatePolicy::Drop);
    /// ```
    #[must_use]
    pub const fn with_late_policy(mut self, late: LatePolicy) -> Self {
        self.late_policy = late;
        self
    }

    /// Ends packs at multiples of an interval of 1 ms or more.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_align_to(Duration::from_secs(1));
    /// assert_eq!(config.align_to, Some(Duration::from_secs(1)));
    /// ```
    #[must_use]
    pub const fn with_align_to(mut self, interval: Duration) -> Self {
        self.align_to = Some(interval);
        self
    }

    /// Sets the memory for what is read ahead, in bytes.
    ///
    /// ```
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_budget_bytes(16 << 20);
    /// assert_eq!(config.budget_bytes, 16 << 20);
    /// ```
    #[must_use]
    pub const fn with_budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// Sets how many producers with sessions a channel may have, and for how long they are
    /// remembered.
    #[must_use]
    pub const fn with_producer_limits(mut self, producers: ProducerLimits) -> Self {
        self.producer_limits = producers;
        self
    }

    /// Sets how many records of a channel a checkpoint may hold back.
    ///
    /// ```
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_max_span(1_000);
    /// assert_eq!(config.max_span, 1_000);
    /// ```
    #[must_use]
    pub const fn with_max_span(mut self, records: u64) -> Self {
        self.max_span = records;
        self
    }

    /// Sets after which silence a channel is idle. Late records must be delivered or dropped then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_idle_after(Duration::from_secs(30));
    /// assert_eq!(config.idle_after, Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub const fn with_idle_after(mut self, after: Duration) -> Self {
        self.idle_after = Some(after);
        self
    }

    /// Sets how far a tick may be ahead of the system's clock.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_max_tick_ahead(Duration::from_secs(60));
    /// assert_eq!(config.max_tick_ahead, Some(Duration::from_secs(60)));
    /// ```
    #[must_use]
    pub const fn with_max_tick_ahead(mut self, ahead: Duration) -> Self {
        self.max_tick_ahead = Some(ahead);
        self
    }

    /// Sets for how long temporary errors are retried.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_retry_for(Duration::ZERO);
    /// assert_eq!(config.retry_for, Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn with_retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// Sets the most records in one read.
    ///
    /// ```
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_max_records(64);
    /// assert_eq!(config.max_records, 64);
    /// ```
    #[must_use]
    pub const fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// Sets how long one read waits at the end of a channel.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::ConsumerConfig;
    /// let config = ConsumerConfig::default().with_wait(Duration::from_millis(100));
    /// assert_eq!(config.wait, Duration::from_millis(100));
    /// ```
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    pub(super) fn merge(&self) -> Result<MergeConfig> {
        if self.idle_after.is_some() && self.late_policy == LatePolicy::Error {
            let reason = "idle channels need a late policy that delivers or drops: what an idle channel brings later may be late through no fault of its producer";
            return Err(Error::Config { reason: reason.into() });
        }
        if let Some(interval) = self.align_to.filter(|interval| Timestamp::span(*interval) == 0) {
            let reason = format!("packs can't be aligned to {interval:?}: set 1 ms or more");
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
