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
///     .with_late(LatePolicy::Deliver)
///     .with_idle(Duration::from_secs(30))
///     .with_budget(256 << 20);
/// assert_eq!(config.idle, Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// What happens to late records. An error unless set.
    pub late: LatePolicy,
    /// Packs end at multiples of this duration instead of at every tick: for channels whose ticks
    /// don't line up. Off unless set.
    pub align: Option<Duration>,
    /// Memory for what is read ahead, in bytes, see [`MergeConfig::budget`]. 64 MiB unless set.
    pub budget: usize,
    /// How many producers with sessions a channel may have, and how long they are remembered, see
    /// [`MergeConfig::producers`].
    pub producers: ProducerLimits,
    /// How many records a checkpoint may hold back, see [`MergeConfig::max_span`]. 10 million
    /// unless set.
    pub max_span: u64,
    /// A channel that is caught up and silent for so long no longer holds packs back. Off unless
    /// set: the stream waits.
    pub idle: Option<Duration>,
    /// A tick further ahead of the system's clock is refused. Off unless set: replaying needs no
    /// clock.
    pub max_tick_ahead: Option<Duration>,
    /// For how long temporary errors of a channel are tried again before they are returned: by
    /// [`consume`](super::TtMsgStream::consume), and at each step of opening and acknowledging. 60
    /// seconds unless set; with zero they are returned at once.
    pub retry_for: Duration,
    /// At most so many records in one read. 1,024 unless set.
    pub batch: usize,
    /// How long one read waits at the end of a channel. 1 second unless set.
    pub wait: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        let merge = MergeConfig::default();
        Self {
            late: merge.late,
            align: None,
            budget: merge.budget,
            producers: merge.producers,
            max_span: merge.max_span,
            idle: None,
            max_tick_ahead: None,
            retry_for: RETRY_FOR,
            batch: 1024,
            wait: Duration::from_secs(1),
        }
    }
}

impl ConsumerConfig {
    /// The same with another policy for late records.
    #[must_use]
    pub const fn with_late(mut self, late: LatePolicy) -> Self {
        self.late = late;
        self
    }

    /// The same with packs that end at multiples of a duration of 1 ms or more.
    #[must_use]
    pub const fn with_align(mut self, grid: Duration) -> Self {
        self.align = Some(grid);
        self
    }

    /// The same with another budget, in bytes.
    #[must_use]
    pub const fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// The same with other limits for producers.
    #[must_use]
    pub const fn with_producers(mut self, producers: ProducerLimits) -> Self {
        self.producers = producers;
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
    pub const fn with_idle(mut self, after: Duration) -> Self {
        self.idle = Some(after);
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
    pub const fn with_batch(mut self, records: usize) -> Self {
        self.batch = records;
        self
    }

    /// The same with another wait at the end of a channel.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    pub(super) fn merge(&self) -> Result<MergeConfig> {
        if self.idle.is_some() && self.late == LatePolicy::Error {
            let reason = "idle channels go with late records delivered or dropped, not refused: what an idle channel brings later may be late by no fault of its producer";
            return Err(Error::Config { reason: reason.into() });
        }
        if let Some(grid) = self.align.filter(|grid| Timestamp::span(*grid) == 0) {
            let reason = format!("packs can't be aligned at {grid:?}: the least is 1 ms");
            return Err(Error::Config { reason });
        }
        Ok(MergeConfig::default()
            .with_late(self.late)
            .with_grid(self.align.map_or(1, Timestamp::span))
            .with_budget(self.budget)
            .with_producers(self.producers)
            .with_max_span(self.max_span))
    }
}
