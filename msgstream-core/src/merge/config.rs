//! How a merge behaves.

use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::record::Timestamp;

/// How a [`Merge`](super::Merge) behaves.
///
/// ```
/// use msgstream_core::merge::LatePolicy;
/// use msgstream_core::timetick::merge::MergeConfig;
/// let config = MergeConfig::default().with_late_policy(LatePolicy::Deliver).with_budget_bytes(16 << 20);
/// assert_eq!(config.budget_bytes, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeConfig {
    /// What happens to records that come after a tick had promised that they wouldn't.
    pub late_policy: LatePolicy,
    /// Packs end at multiples of this many timestamp units (see [`Timestamp::span`]) instead of at
    /// every tick. 1 is every tick.
    pub align_to: u64,
    /// The memory for what is read and not handed out yet, in bytes of
    /// [`Record::footprint`](crate::record::Record::footprint), reads in flight included. One
    /// record per channel may exceed it.
    pub budget_bytes: usize,
    /// How many producers with sessions a channel may have, and how long they are remembered.
    pub producer_limits: ProducerLimits,
    /// How many records of a channel a checkpoint may hold back, from its mark's
    /// [`resume`](crate::checkpoint::Mark::resume) to its [`cut`](crate::checkpoint::Mark::cut). A
    /// message with a time far in the future holds `resume` back until then, and a resumed stream
    /// reads everything since again. A pack whose checkpoint would hold back more isn't formed; a
    /// checkpoint that is there is resumed from, whatever it holds back.
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
    /// The same with another policy for late records.
    #[must_use]
    pub const fn with_late_policy(mut self, late: LatePolicy) -> Self {
        self.late_policy = late;
        self
    }

    /// The same with packs that end at multiples of `interval` timestamp units.
    #[must_use]
    pub const fn with_align_to(mut self, interval: u64) -> Self {
        self.align_to = interval;
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

    pub(super) fn check(&self) -> Result<()> {
        if self.align_to == 0 {
            return Err(Error::Config { reason: "the interval is 0; 1 cuts at every tick".into() });
        }
        if self.budget_bytes == 0 {
            return Err(Error::Config { reason: "the memory budget is 0 bytes".into() });
        }
        Ok(())
    }

    /// The boundary that a tick stands for.
    pub(super) const fn boundary(&self, tick: Timestamp) -> Timestamp {
        Timestamp(tick.0 - tick.0 % self.align_to)
    }

    /// The first boundary at or after a time; the time itself where none fits.
    pub(super) fn boundary_after(&self, ts: Timestamp) -> Timestamp {
        let next = ts.0.checked_next_multiple_of(self.align_to);
        // Nothing could follow a pack that ends with time.
        next.filter(|next| *next < u64::MAX).map_or(ts, Timestamp)
    }
}

/// What happens to a late record: one whose time is at or before a tick that came before it on
/// its own channel. The producer broke its promise; it is never passed over in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LatePolicy {
    /// The stream stops with [`Error::Late`] in place of the pack that would hold the record.
    #[default]
    Error,
    /// The record is in the first pack after the tick it was late for, flagged.
    Deliver,
    /// The record is left out and counted.
    Drop,
}

/// Where a channel's ticks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TickSource {
    /// Its producers write them.
    #[default]
    Written,
    /// It has none, as an ordinary topic of someone else's: they follow from the data. After each
    /// record the channel ticks at the greatest timestamp seen so far, less a delay, cut to a interval;
    /// both in timestamp units, see [`Timestamp::span`]. Ticks that are written are honoured too.
    Synthetic {
        /// How far behind the greatest timestamp a record may still be in time.
        delay: u64,
        /// Ticks are multiples of this; 0 is taken as 1.
        interval: u64,
    },
}

impl TickSource {
    /// The tick that a greatest timestamp gives.
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
