//! Counters that follow counts of somebody else's.

use metrics::{Label, counter};

/// Adds to counters what counts grew by since the last time.
#[derive(Debug)]
pub(crate) struct Counts {
    label: Label,
    last: Vec<u64>,
}

impl Counts {
    pub(crate) const fn new(label: Label) -> Self {
        Self { label, last: Vec::new() }
    }

    /// Adds what these counts, which are the same ones in each call, have grown by. A smaller one
    /// began anew.
    pub(crate) fn add<const N: usize>(&mut self, counts: [(&'static str, u64); N]) {
        self.last.resize(N, 0);
        for ((name, count), last) in counts.into_iter().zip(&mut self.last) {
            let grown = count.checked_sub(*last).unwrap_or(count);
            counter!(name, vec![self.label.clone()]).increment(grown);
            *last = count;
        }
    }
}
