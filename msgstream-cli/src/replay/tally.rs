//! What a run has done, counted by its threads and printed at its end.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::time::seconds;

/// Counts that several threads move.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) read: AtomicU64,
    pub(crate) bad: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) duplicates: AtomicU64,
}

/// What became of the rows of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) read: u64,
    pub(crate) delivered: u64,
    /// Rows that came after a tick at or past their time, delivered or dropped.
    pub(crate) late: u64,
    pub(crate) dropped: u64,
    pub(crate) bad: u64,
    /// Deliveries of a row that was delivered before.
    pub(crate) duplicates: u64,
    pub(crate) packs: u64,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub(crate) elapsed: Duration,
    /// The most that was buffered when a pack was formed, in bytes.
    #[serde(rename = "peak_buffered_bytes")]
    pub(crate) peak: usize,
}

impl Summary {
    /// The counts of the threads.
    pub(crate) fn of(tally: &Tally) -> Self {
        Self {
            read: tally.read.load(Relaxed),
            bad: tally.bad.load(Relaxed),
            delivered: tally.delivered.load(Relaxed),
            duplicates: tally.duplicates.load(Relaxed),
            ..Self::default()
        }
    }

    /// Whether every row of a run that came to its end is accounted for, once.
    pub(crate) const fn check(&self) -> Result<()> {
        let Self { read, delivered, dropped, bad, duplicates, .. } = *self;
        if duplicates == 0 && delivered + dropped + bad == read {
            return Ok(());
        }
        Err(Error::Unbalanced { read, delivered, dropped, bad, duplicates })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.read as f64 / seconds } else { 0.0 };
        writeln!(f, "rows read            {:>12}", self.read)?;
        writeln!(f, "delivered            {:>12}", self.delivered)?;
        writeln!(f, "late                 {:>12}", self.late)?;
        writeln!(f, "dropped              {:>12}", self.dropped)?;
        writeln!(f, "bad                  {:>12}", self.bad)?;
        writeln!(f, "duplicates           {:>12}", self.duplicates)?;
        writeln!(f, "packs                {:>12}", self.packs)?;
        writeln!(f, "rows/s               {rate:>12.0}")?;
        write!(f, "peak buffered bytes  {:>12}", self.peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_must_be_accounted_for_once() {
        let good = Summary { read: 6, delivered: 3, dropped: 2, bad: 1, ..Summary::default() };
        assert!(good.check().is_ok());
        assert!(Summary { delivered: 2, ..good }.check().is_err());
        assert!(Summary { delivered: 4, ..good }.check().is_err());
        assert!(Summary { delivered: 3, duplicates: 1, ..good }.check().is_err());
    }
}
