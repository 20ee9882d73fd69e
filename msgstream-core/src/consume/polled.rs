//! A clock for what is only done while somebody waits for it.

use std::time::Duration;

use tokio::time::Instant;

/// How long something was waited for: a clock that stands still while nobody polls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolledClock {
    polled: Duration,
}

impl PolledClock {
    pub(crate) const fn now(&self) -> Duration {
        self.polled
    }

    /// Lets it run until what is returned is dropped, also where the wait was cancelled.
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
