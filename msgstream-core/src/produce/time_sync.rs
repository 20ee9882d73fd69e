//! Ticks of many producers on the same channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::record::Timestamp;

/// Merges the progress of many producers into the ticks of the channels that they share.
///
/// A channel has one authority for its ticks. Each producer, named by the id of its
/// [session](super::SessionConfig), reports a time once everything it wrote up to that time is
/// acknowledged; the least of the reports is the tick. A producer that falls silent holds the tick
/// back until it is fenced: it might still write.
///
/// This is a pure state machine: the caller brings the clock, writes the ticks and
/// [fences](super::fence) the producers.
///
/// ```
/// use std::time::{Duration, Instant};
/// use msgstream_core::{Timestamp, produce::TimeSync};
///
/// let now = Instant::now();
/// let mut sync = TimeSync::new(Duration::from_secs(10));
/// sync.join("billing-1", now);
/// sync.join("billing-2", now);
/// sync.report("billing-1", Timestamp(50), now)?;
/// assert_eq!(sync.tick(), None);
/// sync.report("billing-2", Timestamp(30), now)?;
/// assert_eq!(sync.tick(), Some(Timestamp(30)));
///
/// // The second one falls silent; the tick waits until it can't write any more.
/// let later = now + Duration::from_secs(11);
/// sync.report("billing-1", Timestamp(90), later)?;
/// assert_eq!(sync.expire(later), ["billing-2".into()]);
/// assert_eq!(sync.tick(), None);
/// sync.fenced("billing-2");
/// assert_eq!(sync.tick(), Some(Timestamp(90)));
/// # Ok::<(), msgstream_core::produce::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimeSync {
    expire_after: Duration,
    producers: BTreeMap<Arc<str>, Progress>,
    last: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    reported: Option<Timestamp>,
    heard: Instant,
    expired: bool,
}

impl TimeSync {
    /// Creates a `TimeSync` without producers. A producer that doesn't report for longer than
    /// `expire_after` expires.
    #[must_use]
    pub const fn new(expire_after: Duration) -> Self {
        Self { expire_after, producers: BTreeMap::new(), last: None }
    }

    /// Starts above the last tick on the channels, so that no tick goes back after a restart.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use msgstream_core::{Timestamp, produce::TimeSync};
    /// let mut sync = TimeSync::new(Duration::from_secs(10)).starting_after(Timestamp(7));
    /// assert_eq!(sync.join("billing-1", Instant::now()), Some(Timestamp(7)));
    /// ```
    #[must_use]
    pub const fn starting_after(mut self, last: Timestamp) -> Self {
        self.last = Some(last);
        self
    }

    /// Adds a producer and returns the last tick. What the producer writes from now on must be
    /// after that tick, and the next tick waits for its first report.
    ///
    /// Joining again is a new start, also for a producer that had expired: it must have fenced its
    /// earlier self, as opening a session does.
    pub fn join(&mut self, producer: impl Into<Arc<str>>, now: Instant) -> Option<Timestamp> {
        let reported = self.last;
        self.producers.insert(producer.into(), Progress { reported, heard: now, expired: false });
        self.last
    }

    /// Takes a producer's report that everything it wrote up to a time is acknowledged, and that it
    /// writes nothing more at or before that time. A report that goes back only counts as a sign of
    /// life.
    ///
    /// [`Producer::promise`](crate::Producer::promise) makes the producer keep to it.
    ///
    /// # Errors
    /// [`SyncError`] for a producer that didn't join or that expired: it must stop writing, and
    /// join again.
    pub fn report(
        &mut self,
        producer: &str,
        upto: Timestamp,
        now: Instant,
    ) -> Result<(), SyncError> {
        let Some(progress) = self.producers.get_mut(producer) else {
            return Err(SyncError::Unknown { producer: producer.into() });
        };
        if progress.expired {
            return Err(SyncError::Expired { producer: producer.into() });
        }
        // Every reader refuses a tick at the end of time.
        progress.reported = progress.reported.max(Some(upto.min(Timestamp(u64::MAX - 1))));
        progress.heard = now;
        Ok(())
    }

    /// Removes a producer that has ended: everything it wrote is acknowledged, and it writes
    /// nothing more. Its last report no longer holds the tick back.
    ///
    /// Returns false for a producer that isn't there or that expired: it has to be fenced all the
    /// same.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use msgstream_core::{Timestamp, produce::TimeSync};
    /// let mut sync = TimeSync::new(Duration::from_secs(10));
    /// sync.join("billing-1", Instant::now());
    /// assert!(sync.leave("billing-1"));
    /// assert!(!sync.leave("billing-1"));
    /// ```
    pub fn leave(&mut self, producer: &str) -> bool {
        let was = self.producers.get(producer).is_some_and(|progress| !progress.expired);
        if was {
            self.producers.remove(producer);
        }
        was
    }

    /// Expires producers that were silent for too long. Returns all that have expired: they hold
    /// the tick back until they are fenced on their channels and [`TimeSync::fenced`] says so.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use msgstream_core::{Timestamp, produce::TimeSync};
    /// let now = Instant::now();
    /// let mut sync = TimeSync::new(Duration::from_secs(10));
    /// sync.join("billing-1", now);
    /// assert!(sync.expire(now).is_empty());
    /// for silent in sync.expire(now + Duration::from_secs(11)) {
    ///     // Fence it on its channels, and then:
    ///     sync.fenced(&silent);
    /// }
    /// ```
    pub fn expire(&mut self, now: Instant) -> Vec<Arc<str>> {
        for progress in self.producers.values_mut() {
            progress.expired |= now.saturating_duration_since(progress.heard) > self.expire_after;
        }
        self.producers.iter().filter(|(_, p)| p.expired).map(|(id, _)| id.clone()).collect()
    }

    /// Removes an expired producer that was fenced on all its channels: nothing of it follows, and
    /// it no longer holds the tick back.
    pub fn fenced(&mut self, producer: &str) {
        if self.producers.get(producer).is_some_and(|progress| progress.expired) {
            self.producers.remove(producer);
        }
    }

    /// Returns the tick to write now, the least of all reports; `None` if it hasn't moved. Without
    /// producers nothing moves it.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use msgstream_core::{Timestamp, produce::TimeSync};
    /// let mut sync = TimeSync::new(Duration::from_secs(10));
    /// sync.join("billing-1", Instant::now());
    /// sync.report("billing-1", Timestamp(5), Instant::now())?;
    /// assert_eq!(sync.tick(), Some(Timestamp(5)));
    /// assert_eq!(sync.tick(), None);
    /// # Ok::<(), msgstream_core::produce::SyncError>(())
    /// ```
    pub fn tick(&mut self) -> Option<Timestamp> {
        let least = self.producers.values().map(|progress| progress.reported).min()??;
        (Some(least) > self.last).then(|| *self.last.insert(least))
    }

    /// Returns the last tick, `None` before the first.
    #[must_use]
    pub const fn last(&self) -> Option<Timestamp> {
        self.last
    }
}

/// Why [`TimeSync`] refused a producer's report.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use msgstream_core::{Timestamp, produce::TimeSync};
/// let mut sync = TimeSync::new(Duration::from_secs(10));
/// let refused = sync.report("billing-1", Timestamp(5), Instant::now()).unwrap_err();
/// assert_eq!(refused.to_string(), "producer `billing-1` didn't join: join before writing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The producer didn't join.
    #[error("producer `{producer}` didn't join: join before writing")]
    Unknown {
        /// The producer.
        producer: Arc<str>,
    },
    /// The producer was silent for too long and is being fenced.
    #[error(
        "producer `{producer}` expired and is being fenced: stop writing, open a new session, and join again"
    )]
    Expired {
        /// The producer.
        producer: Arc<str>,
    },
}

#[cfg(test)]
mod tests;
