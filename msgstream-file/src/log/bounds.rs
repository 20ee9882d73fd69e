//! What must be durable beside the segments.

use serde::{Deserialize, Serialize};

use super::{Held, Log, read_sealed, replace_sealed};
use crate::error::Result;

/// What `bounds` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// The first offset that is left.
    pub(super) first: u64,
    /// After a restart of the machine no offset before this one is given out again, because records
    /// that were published but not synced may have had it.
    pub(super) reserved: u64,
}

impl Log {
    pub(super) fn bounds(&self) -> Result<Bounds> {
        read_sealed(&*self.disk, &self.path("bounds"))
    }

    /// Replaces the bounds durably.
    pub(super) fn set_bounds(&self, _held: &Held, bounds: Bounds) -> Result<()> {
        replace_sealed(&*self.disk, &self.folder, "bounds", &bounds)
    }
}
