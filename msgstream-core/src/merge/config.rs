//! How a merge behaves.

use crate::dedup::ProducerLimits;
use crate::error::{Error, Result};
use crate::record::Timestamp;

/// How a [`Merge`](super::Merge) behaves.
///
/// ```
/// use msgstream_core::merge::LatePolicy;
/// use msgstream_core::merge::MergeConfig;
/// let config = MergeConfig::default().with_late(LatePolicy::Deliver).with_budget(16 << 20);
/// assert_eq!(config.budget, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeConfig {
    /// What happens to records that come after a tick had promised that they wouldn't.
    pub late: LatePolicy,
    /// Packs end at multiples of this many timestamp units (see [`Timestamp::span`]) instead of at
    /// every tick. 1 is every tick.
    pub grid: u64,
    /// The memory for what is read and not handed out yet, in bytes of
    /// [`Record::footprint`](crate::record::Record::footprint), reads in flight included. One
    /// record per channel may exceed it.
    pub budget: usize,
    /// How many producers with sessions a channel may have, and how long they are remembered.
    pub producers: ProducerLimits,
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
            late: LatePolicy::Error,
            grid: 1,
            budget: 64 << 20,
            producers: ProducerLimits::default(),
            max_span: 10_000_000,
        }
    }
}

impl MergeConfig {
    /// The same with another policy for late records.
    #[must_use]
    pub const fn with_late(mut self, late: LatePolicy) -> Self {
        self.late = late;
        self
    }

    /// The same with packs that end at multiples of `grid` timestamp units.
    #[must_use]
    pub const fn with_grid(mut self, grid: u64) -> Self {
        self.grid = grid;
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

    pub(super) fn check(&self) -> Result<()> {
        if self.grid == 0 {
            return Err(Error::Config { reason: "the grid is 0; 1 cuts at every tick".into() });
        }
        if self.budget == 0 {
            return Err(Error::Config { reason: "the memory budget is 0 bytes".into() });
        }
        Ok(())
    }

    /// The boundary that a tick stands for.
    pub(super) const fn boundary(&self, tick: Timestamp) -> Timestamp {
        Timestamp(tick.0 - tick.0 % self.grid)
    }

    /// The first boundary at or after a time; the time itself where none fits.
    pub(super) fn boundary_after(&self, ts: Timestamp) -> Timestamp {
        let next = ts.0.checked_next_multiple_of(self.grid);
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
    /// record the channel ticks at the greatest timestamp seen so far, less a delay, cut to a grid;
    /// both in timestamp units, see [`Timestamp::span`]. Ticks that are written are honoured too.
    Synthetic {
        /// How far behind the greatest timestamp a record may still be in time.
        delay: u64,
        /// Ticks are multiples of this; 0 is taken as 1.
        grid: u64,
    },
}

impl TickSource {
    /// The tick that a greatest timestamp gives.
    pub(super) const fn derive(self, greatest: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Written => None,
            Self::Synthetic { delay, grid } => match greatest.0.checked_sub(delay) {
                Some(tick) => Some(Timestamp(tick - tick % if grid == 0 { 1 } else { grid })),
                None => None,
            },
        }
    }
}
