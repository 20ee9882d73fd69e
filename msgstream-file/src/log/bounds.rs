//! What must be durable beside the segments.

use serde::{Deserialize, Serialize};

use super::{Held, Log, read_sealed, replace_sealed};
use crate::error::Result;
use crate::format::published::Published;

/// What `bounds` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// The first offset that is left.
    pub(super) first: u64,
    /// After a restart of the machine no offset before this one is given out again, because records
    /// that were published but not synced may have had it.
    pub(super) reserved: u64,
    /// Whether the log was ever repaired: records between the first and the end may be given up.
    #[serde(default)]
    pub(super) repaired: bool,
}

impl Log {
    pub(super) fn bounds(&self) -> Result<Bounds> {
        read_sealed(&*self.disk, &self.path("bounds"))
    }

    /// Returns how many records are left, `None` if that isn't known: after a repair, or if segments
    /// are removed just then.
    pub(crate) fn count(&self, published: &Published) -> Option<u64> {
        if self.bounds().ok()?.repaired {
            return None;
        }
        let mut count = published.end - published.first;
        let later = |first: &u64| *first > published.first && *first <= published.segment;
        for first in self.segments().ok()?.into_iter().filter(later) {
            // Offsets may have been left out in front of it.
            let before = self.header(first).ok()?.previous_end.max(published.first);
            count = count.checked_sub(first.checked_sub(before)?)?;
        }
        Some(count)
    }

    /// Replaces the bounds durably.
    pub(super) fn set_bounds(&self, _held: &Held, bounds: Bounds) -> Result<()> {
        replace_sealed(&*self.disk, &self.folder, "bounds", &bounds)
    }
}
