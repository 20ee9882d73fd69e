//! How fast rows are taken.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

/// At most so many rows are taken at once.
const ROWS: usize = 512;

/// For so long rows that were held up are made up for.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Takes rows at a rate.
#[derive(Debug)]
pub(super) struct Pace {
    /// How long a row takes.
    row: Duration,
    at_once: usize,
    /// When the next row may be taken.
    due: Instant,
}

impl Pace {
    /// Takes so many rows a second; as many as there are with `None`.
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        let row = rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get());
        let often = rate.map_or(ROWS, |rate| usize::try_from(rate.get() / 50).unwrap_or(ROWS));
        Self { row, at_once: often.clamp(1, ROWS), due: Instant::now() }
    }

    /// Waits for rows, and appends those that there are. Returns how many; 0 if no more come.
    /// Cancelling loses none.
    pub(super) async fn take<T>(&self, from: &mut Receiver<T>, rows: &mut Vec<T>) -> usize {
        if !self.row.is_zero() {
            sleep_until(self.due).await;
        }
        from.recv_many(rows, self.at_once).await
    }

    /// Counts rows that were written.
    pub(super) fn wrote(&mut self, rows: usize) {
        let earliest = Instant::now().checked_sub(CATCH_UP).unwrap_or(self.due);
        self.due = self.due.max(earliest) + self.row * u32::try_from(rows).unwrap_or(u32::MAX);
    }
}
