//! Trying again what a broker can't do for a moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::TransportErrorKind;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A time that is longer has no end, and an instant doesn't hold any number of years.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Tries again until no time is left, with pauses that grow from 10 to 250 ms. For transports.
///
/// It is for what changes nothing where it is done twice: questions, connections, readers. What was
/// written is never sent again by a transport.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::transport::{Retry, TransportErrorKind};
///
/// async fn ask(attempt: u32) -> Result<u32, TransportErrorKind> {
///     match attempt {
///         0 => Err(TransportErrorKind::Unavailable { reason: "the tape rewinds".to_owned() }),
///         _ => Ok(7),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TransportErrorKind> {
/// let mut retry = Retry::new(Duration::from_secs(5));
/// let mut attempt = 0;
/// let answer = loop {
///     match ask(attempt).await {
///         Ok(answer) => break answer,
///         Err(kind) => retry.after(kind).await?,
///     }
///     attempt += 1;
/// };
/// assert_eq!((answer, attempt), (7, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Retry {
    deadline: Instant,
    pause: Duration,
}

impl Retry {
    /// For as long as this, from now on.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit.min(YEAR), pause: FIRST_PAUSE }
    }

    /// How much time is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// What the last attempt failed with, where time doesn't help
    /// ([`is_temporary`](TransportErrorKind::is_temporary)) or none is left.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn after(&mut self, kind: TransportErrorKind) -> Result<(), TransportErrorKind> {
        if !kind.is_temporary() || self.pause >= self.left() {
            return Err(kind);
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> TransportErrorKind {
        TransportErrorKind::Unavailable { reason: "away".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_before_the_deadline() {
        let (mut retry, mut pauses) = (Retry::new(Duration::from_secs(1)), Vec::new());
        let mut before = Instant::now();
        while retry.after(away()).await.is_ok() {
            pauses.push(before.elapsed().as_millis());
            before = Instant::now();
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 250, 250]);
        assert_eq!(retry.left(), Duration::from_millis(190));
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_doesnt_help_is_told_at_once() {
        let mut retry = Retry::new(Duration::MAX);
        assert_eq!(
            retry.after(TransportErrorKind::NotFound).await,
            Err(TransportErrorKind::NotFound)
        );
        assert_eq!(Retry::new(Duration::ZERO).after(away()).await, Err(away()));
        assert_eq!(retry.after(away()).await, Ok(()));
    }
}
