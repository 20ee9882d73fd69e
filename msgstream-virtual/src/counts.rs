//! How the readers of a handle fared.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to the readers of virtual channels, see [`Virtual::counts`](crate::Virtual::counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VirtualCounts {
    /// How often a reader was behind the others by more than `queue_bytes`, and was let go.
    pub let_go: u64,
    /// How often a reader that had been elsewhere joined the others, at what `hub_bytes` kept.
    pub joined: u64,
}

/// The counts of all hubs of a handle.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    let_go: AtomicU64,
    joined: AtomicU64,
}

impl Counts {
    pub(crate) fn let_go(&self, readers: usize) {
        self.let_go.fetch_add(readers as u64, Ordering::Relaxed);
    }

    pub(crate) fn joined(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> VirtualCounts {
        VirtualCounts {
            let_go: self.let_go.load(Ordering::Relaxed),
            joined: self.joined.load(Ordering::Relaxed),
        }
    }
}
