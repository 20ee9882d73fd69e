//! Decides when to try again, and when to give up.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::adapter::Backoff;
use crate::transport::{TransportError, TransportErrorKind};

const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The furthest deadline: an `Instant` can't hold arbitrarily many years.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Pauses between tries, from 10 ms to 1 s.
#[derive(Debug)]
pub(super) struct Retry {
    backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self { backoff: Backoff::new(LONGEST_PAUSE) }
    }
}

impl Retry {
    /// Waits before the next try.
    ///
    /// # Errors
    /// The error, if trying again can't help or the deadline would pass.
    pub(super) async fn pause(
        &mut self,
        error: TransportError,
        deadline: Instant,
    ) -> Result<(), TransportError> {
        let pause = self.backoff.pause();
        if is_final(&error) || Instant::now() + pause >= deadline {
            return Err(error);
        }
        sleep(pause).await;
        Ok(())
    }
}

pub(super) fn deadline(from: Instant, time: Duration) -> Instant {
    from + time.min(YEAR)
}

/// Returns whether neither time nor another writer can help.
fn is_final(error: &TransportError) -> bool {
    match error.kind() {
        // These concern one writer, not the channel.
        TransportErrorKind::Poisoned
        | TransportErrorKind::Closed
        | TransportErrorKind::Protocol { .. } => false,
        _ => !error.is_temporary(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn unavailable() -> TransportError {
        let kind = TransportErrorKind::Unavailable { reason: "test".to_owned() };
        TransportError::new("submit", kind)
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_before_the_deadline() {
        let begin = Instant::now();
        let deadline = deadline(begin, Duration::from_secs(5));
        let (mut retry, mut pauses) = (Retry::default(), Vec::new());
        let mut before = begin;
        while retry.pause(unavailable(), deadline).await.is_ok() {
            pauses.push(before.elapsed());
            before = Instant::now();
        }
        for (pause, whole) in pauses.iter().zip([10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]) {
            let whole = Duration::from_millis(whole);
            assert!(whole / 2 <= *pause && *pause <= whole, "{pause:?} of {whole:?}");
        }
        assert!(pauses.len() >= 10, "{pauses:?}");
        let left = deadline - Instant::now();
        assert!(!left.is_zero() && left <= LONGEST_PAUSE, "{left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cant_succeed_is_not_tried_again() {
        let begin = Instant::now();
        for kind in
            [TransportErrorKind::NotFound, TransportErrorKind::TooLarge { bytes: 2, limit: 1 }]
        {
            let error = TransportError::new("writer", kind.clone());
            let error =
                Retry::default().pause(error, deadline(begin, Duration::MAX)).await.unwrap_err();
            assert_eq!((error.kind(), begin.elapsed()), (&kind, Duration::ZERO));
        }
    }
}
