//! What sessions count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the sessions of a stream did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounts {
    /// Sessions that were opened.
    pub opened: u64,
    /// Fences that were sent, those included that had to be sent again.
    pub fences_sent: u64,
    /// Times that opening read a channel from its beginning, because what it read first told no
    /// number.
    pub scans_restarted: u64,
    /// Bases that were sent: on opening, to confirm, and where no tick told the number for long.
    pub bases_sent: u64,
    /// Batches, or what was left of them, that were sent again.
    pub resent_batches: u64,
    /// Their records.
    pub resent_records: u64,
    /// Batches of an unknown outcome that are stored for certain after they were sent again.
    pub unknown_resolved: u64,
    /// Writers that were opened in place of failed ones.
    pub reopened_writers: u64,
    /// Ticks and bases that waited until what was before them was acknowledged.
    pub held_back: u64,
    /// Channels on which the session gave up.
    pub gave_up: u64,
    /// Times that the session was confirmed.
    pub confirmed: u64,
    /// Times that opening or confirming found a newer epoch.
    pub fenced: u64,
    /// Channels on which the session said goodbye.
    pub goodbyes: u64,
}

/// The counts, shared by all that count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Mutex<SessionCounts>>);

impl Counts {
    pub(crate) fn get(&self) -> SessionCounts {
        *self.lock()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SessionCounts> {
        // Numbers are valid whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
