//! A clock that only runs while a future is polled.

use std::time::Duration;

use tokio::time::Instant;

/// Measures for how long something was awaited. It stands still while nobody polls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolledClock {
    polled: Duration,
}

impl PolledClock {
    pub(crate) const fn now(&self) -> Duration {
        self.polled
    }

    /// Runs the clock until the returned guard is dropped, also if the wait was cancelled.
    pub(crate) fn run(&mut self) -> Running<'_> {
        Running { since: Instant::now(), polled: &mut self.polled }
    }
}

pub(crate) struct Running<'a> {
    since: Instant,
    polled: &'a mut Duration,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.polled += self.since.elapsed();
    }
}
