//! Retrying temporary errors: a channel that can't be reached for a while.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::adapter::{Backoff, with_causes};
use crate::transport::{Result, TransportError};

/// For how long temporary errors are retried, unless set.
pub(crate) const RETRY_FOR: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A channel that can't be read at the moment and is being retried.
///
/// ```
/// # use msgstream_core::Consumer;
/// # fn report(consumer: &Consumer) {
/// for outage in consumer.status().outages {
///     eprintln!("{outage}");
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outage {
    /// The channel.
    pub channel: Arc<str>,
    /// For how long it couldn't be read.
    pub since: Duration,
    /// How many attempts have failed.
    pub failures: u32,
    /// The error of the last attempt, with its causes.
    pub error: String,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, since, failures, error } = self;
        let attempts = if *failures == 1 { "attempt" } else { "attempts" };
        let since = since.as_secs_f64();
        write!(
            f,
            "channel `{channel}` could not be read for {since:.1} s ({failures} {attempts}): {error}"
        )
    }
}

/// The attempts on one channel: which errors are retried, for how long, and with which pauses.
#[derive(Debug)]
pub(crate) struct Tries {
    backoff: Backoff,
    trouble: Option<Trouble>,
}

/// What is known from a first failure until the next success.
#[derive(Debug)]
struct Trouble {
    began: Instant,
    /// Since when it is retried, on the caller's clock. It starts anew once the error was returned.
    tried_since: Option<Duration>,
    failures: u32,
    error: String,
    gave_up: bool,
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self { backoff: Backoff::new(LONGEST_PAUSE), trouble: None }
    }

    pub(crate) fn succeeded(&mut self, channel: &str) {
        if let Some(Trouble { began, failures, .. }) = self.trouble.take() {
            self.backoff.reset();
            tracing::info!(
                channel,
                failures,
                "the channel can be read again after {:?}",
                began.elapsed()
            );
        }
    }

    /// Returns how long to wait before the next try.
    ///
    /// # Errors
    /// The error, if it is permanent or was retried for `limit`, on the clock that shows `now`.
    pub(crate) fn failed(
        &mut self,
        channel: &str,
        error: TransportError,
        now: Duration,
        limit: Duration,
    ) -> Result<Duration> {
        let cause: &(dyn StdError + 'static) = &error;
        if !error.is_temporary() {
            if self.trouble.take().is_some() {
                self.backoff.reset();
                tracing::warn!(
                    channel,
                    error = cause,
                    "the channel failed temporarily, and now fails permanently"
                );
            }
            return Err(error);
        }
        if limit.is_zero() {
            return Err(error);
        }
        if self.trouble.is_none() {
            tracing::warn!(
                channel,
                error = cause,
                "the channel can't be read; retrying for {limit:?}"
            );
        } else {
            tracing::debug!(channel, error = cause, "the channel still can't be read");
        }
        let trouble = self.trouble.get_or_insert_with(Trouble::new);
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.error = with_causes(error.to_string(), error.source());
        let since = *trouble.tried_since.get_or_insert(now);
        let left = limit.saturating_sub(now.saturating_sub(since));
        let pause = self.backoff.pause();
        if pause < left {
            return Ok(pause);
        }
        trouble.tried_since = None;
        self.backoff.reset();
        if !std::mem::replace(&mut trouble.gave_up, true) {
            tracing::warn!(
                channel,
                error = cause,
                "the channel can't be read; returning the error"
            );
        }
        Err(error)
    }

    /// Stops the clock: the channel isn't tried at the moment.
    pub(crate) fn rest(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.tried_since = None;
        }
    }

    /// Returns the channel's outage, if it has one.
    pub(crate) fn outage(&self, channel: &Arc<str>) -> Option<Outage> {
        let Trouble { began, failures, error, .. } = self.trouble.as_ref()?;
        let (channel, error) = (channel.clone(), error.clone());
        Some(Outage { channel, since: began.elapsed(), failures: *failures, error })
    }
}

impl Trouble {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            tried_since: None,
            failures: 0,
            error: String::new(),
            gave_up: false,
        }
    }
}

/// Retries an operation on a channel while it fails with temporary errors, for this long from its
/// first failure on.
pub(crate) async fn with_retries<T, F>(
    retry_for: Duration,
    channel: &str,
    mut operation: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (begin, mut tries) = (Instant::now(), Tries::new());
    loop {
        match operation().await {
            Ok(done) => {
                tries.succeeded(channel);
                return Ok(done);
            }
            Err(error) => sleep(tries.failed(channel, error, begin.elapsed(), retry_for)?).await,
        }
    }
}
