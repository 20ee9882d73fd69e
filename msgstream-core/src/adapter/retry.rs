//! Tries again what a broker can't do for a moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Backoff, Failure};

const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The longest time. An `Instant` can't hold any number of years.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Waits between the attempts of an operation, with pauses that grow from 10 to 250 ms, until no time
/// is left.
///
/// Each pause is shorter by a random part of up to a half, so that clients that lost the same broker
/// don't all come back in the same moment. On tokio's paused clock the pauses are the same in every
/// run.
///
/// Use it for operations that may be done twice without harm: questions, connections, readers. A
/// transport never sends again what it has written.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::adapter::{Failure, Retry};
/// use msgstream_core::transport::TransportErrorKind;
///
/// async fn ask(attempt: u32) -> Result<u32, TransportErrorKind> {
///     match attempt {
///         0 => Err(TransportErrorKind::Unavailable { reason: "the tape rewinds".to_owned() }),
///         _ => Ok(7),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Failure> {
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
    backoff: Backoff,
}

impl Retry {
    /// Returns a retry that ends this long from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_core::adapter::Retry;
    /// let retry = Retry::new(Duration::from_secs(5));
    /// assert!(retry.left() <= Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit.min(YEAR), backoff: Backoff::new(LONGEST_PAUSE) }
    }

    /// Returns how much time is left, for the timeout of the next attempt.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_core::adapter::Retry;
    /// assert!(Retry::new(Duration::ZERO).left().is_zero());
    /// ```
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits before the next attempt.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_core::adapter::Retry;
    /// use msgstream_core::transport::TransportErrorKind;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut retry = Retry::new(Duration::from_secs(5));
    /// // Trying again doesn't help, so the error is returned at once.
    /// assert!(retry.after(TransportErrorKind::NotFound).await.is_err());
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with what the last attempt failed with if that isn't temporary
    /// ([`is_temporary`](Failure::is_temporary)), or if no time is left.
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    pub async fn after(&mut self, error: impl Into<Failure>) -> Result<(), Failure> {
        let failure = error.into();
        let pause = self.backoff.pause();
        if !failure.is_temporary() || pause >= self.left() {
            return Err(failure);
        }
        sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportErrorKind;

    fn away() -> TransportErrorKind {
        TransportErrorKind::Unavailable { reason: "away".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_before_the_deadline() {
        let (mut retry, mut pauses) = (Retry::new(Duration::from_secs(1)), Vec::new());
        let mut before = Instant::now();
        while retry.after(away()).await.is_ok() {
            pauses.push(before.elapsed());
            before = Instant::now();
        }
        for (pause, whole) in pauses.iter().zip([10, 20, 40, 80, 160, 250, 250]) {
            let whole = Duration::from_millis(whole);
            assert!(whole / 2 <= *pause && *pause <= whole, "{pause:?} of {whole:?}");
        }
        assert!(pauses.len() >= 7, "{pauses:?}");
        // The next pause would have taken longer than this.
        assert!(!retry.left().is_zero() && retry.left() <= LONGEST_PAUSE, "{:?}", retry.left());
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_doesnt_help_is_told_at_once() {
        let mut retry = Retry::new(Duration::MAX);
        assert_eq!(
            retry.after(TransportErrorKind::NotFound).await,
            Err(TransportErrorKind::NotFound.into())
        );
        assert_eq!(Retry::new(Duration::ZERO).after(away()).await, Err(away().into()));
        assert_eq!(retry.after(away()).await, Ok(()));
    }
}
