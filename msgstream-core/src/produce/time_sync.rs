//! Ticks of many producers on the same channels.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::record::Timestamp;

/// A producer among those whose progress [`TimeSync`] merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub u64);

/// Merges the progress of many producers into the ticks of the channels that they share.
///
/// A channel has one authority for its ticks. Each producer reports a time once everything it
/// wrote up to that time is acknowledged; the least of the reports is the tick. A producer that
/// falls silent holds the tick until it has been fenced: it might still write.
///
/// A pure state machine: the caller brings the clock, writes the ticks and does the fencing.
///
/// ```
/// use std::time::{Duration, Instant};
/// use msgstream_core::{Timestamp, produce::{ProducerId, TimeSync}};
///
/// let (a, b, now) = (ProducerId(1), ProducerId(2), Instant::now());
/// let mut sync = TimeSync::new(Duration::from_secs(10));
/// sync.join(a, now);
/// sync.join(b, now);
/// sync.report(a, Timestamp(50), now)?;
/// assert_eq!(sync.tick(), None);
/// sync.report(b, Timestamp(30), now)?;
/// assert_eq!(sync.tick(), Some(Timestamp(30)));
///
/// // b falls silent; the tick waits until b can't write any more.
/// let later = now + Duration::from_secs(11);
/// sync.report(a, Timestamp(90), later)?;
/// assert_eq!(sync.expire(later), [b]);
/// assert_eq!(sync.tick(), None);
/// sync.fenced(b);
/// assert_eq!(sync.tick(), Some(Timestamp(90)));
/// # Ok::<(), msgstream_core::produce::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimeSync {
    patience: Duration,
    producers: BTreeMap<ProducerId, Progress>,
    last: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    reported: Option<Timestamp>,
    heard: Instant,
    expired: bool,
}

impl TimeSync {
    /// No producers yet; one that doesn't report for longer than `patience` expires.
    #[must_use]
    pub const fn new(patience: Duration) -> Self {
        Self { patience, producers: BTreeMap::new(), last: None }
    }

    /// Starts above the last tick on the channels, so that no tick goes back after a restart.
    #[must_use]
    pub const fn starting_after(mut self, last: Timestamp) -> Self {
        self.last = Some(last);
        self
    }

    /// Takes a producer in. What it writes from now on must be after the last tick, which is
    /// returned; the tick waits for its first report. Joining again is a new start, also for one
    /// that had expired: it must have fenced its earlier self.
    pub fn join(&mut self, producer: ProducerId, now: Instant) -> Option<Timestamp> {
        let reported = self.last;
        self.producers.insert(producer, Progress { reported, heard: now, expired: false });
        self.last
    }

    /// A producer says that everything it wrote up to a time is acknowledged, and that it writes
    /// nothing more at or before it. A report that goes back counts as a sign of life only.
    ///
    /// # Errors
    /// [`SyncError`] for a producer that didn't join or that expired: it must stop writing, and
    /// join again.
    pub fn report(
        &mut self,
        producer: ProducerId,
        upto: Timestamp,
        now: Instant,
    ) -> Result<(), SyncError> {
        let progress = self.producers.get_mut(&producer).ok_or(SyncError::Unknown { producer })?;
        if progress.expired {
            return Err(SyncError::Expired { producer });
        }
        // A tick at the end of time is refused by every reader.
        progress.reported = progress.reported.max(Some(upto.min(Timestamp(u64::MAX - 1))));
        progress.heard = now;
        Ok(())
    }

    /// A producer says goodbye: everything it wrote is acknowledged, and it writes nothing more.
    /// Its last report no longer holds the tick. Says whether it was there: one that expired has
    /// to be fenced all the same.
    pub fn leave(&mut self, producer: ProducerId) -> bool {
        let was = self.producers.get(&producer).is_some_and(|progress| !progress.expired);
        if was {
            self.producers.remove(&producer);
        }
        was
    }

    /// Expires producers that were silent for too long; gives all that are to be fenced on their
    /// channels and hold the tick until [`TimeSync::fenced`].
    pub fn expire(&mut self, now: Instant) -> Vec<ProducerId> {
        for progress in self.producers.values_mut() {
            progress.expired |= now.saturating_duration_since(progress.heard) > self.patience;
        }
        self.producers.iter().filter(|(_, p)| p.expired).map(|(id, _)| *id).collect()
    }

    /// An expired producer was fenced on all its channels: nothing of it follows, and it no longer
    /// holds the tick.
    pub fn fenced(&mut self, producer: ProducerId) {
        if self.producers.get(&producer).is_some_and(|progress| progress.expired) {
            self.producers.remove(&producer);
        }
    }

    /// The tick to write now, where it moved: the least of all reports. Without producers there is
    /// none to move it.
    pub fn tick(&mut self) -> Option<Timestamp> {
        let least = self.producers.values().map(|progress| progress.reported).min()??;
        (Some(least) > self.last).then(|| *self.last.insert(least))
    }

    /// The last tick.
    #[must_use]
    pub const fn last(&self) -> Option<Timestamp> {
        self.last
    }
}

/// A producer's report was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The producer didn't join.
    #[error("producer {} didn't join: join before writing", producer.0)]
    Unknown {
        /// The producer.
        producer: ProducerId,
    },
    /// The producer was silent for too long and is being fenced.
    #[error("producer {} expired and is being fenced: stop writing, open a new session, and join again", producer.0)]
    Expired {
        /// The producer.
        producer: ProducerId,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_joiner_holds_the_tick_and_starts_above_it() {
        let (a, b, now) = (ProducerId(1), ProducerId(2), Instant::now());
        let mut sync = TimeSync::new(Duration::from_secs(1)).starting_after(Timestamp(5));
        assert_eq!(sync.join(a, now), Some(Timestamp(5)));
        sync.report(a, Timestamp(9), now).unwrap();
        assert_eq!(sync.tick(), Some(Timestamp(9)));
        assert_eq!(sync.join(b, now), Some(Timestamp(9)));
        sync.report(a, Timestamp(20), now).unwrap();
        assert_eq!(sync.tick(), None);
        sync.report(b, Timestamp(11), now).unwrap();
        assert_eq!(sync.tick(), Some(Timestamp(11)));
        assert!(sync.leave(b));
        assert_eq!(sync.tick(), Some(Timestamp(20)));
    }

    #[test]
    fn an_expired_producer_is_refused_until_it_joins_again() {
        let (a, now) = (ProducerId(1), Instant::now());
        let mut sync = TimeSync::new(Duration::from_secs(1));
        assert_eq!(sync.report(a, Timestamp(1), now), Err(SyncError::Unknown { producer: a }));
        sync.join(a, now);
        let later = now + Duration::from_secs(2);
        assert_eq!(sync.expire(later), [a]);
        assert_eq!(sync.report(a, Timestamp(1), later), Err(SyncError::Expired { producer: a }));
        assert!(!sync.leave(a));
        assert_eq!(sync.expire(later), [a], "it is to be fenced until it is");
        sync.join(a, later);
        assert_eq!(sync.expire(later), []);
        sync.fenced(a);
        assert_eq!(sync.report(a, Timestamp(1), later), Ok(()));
    }
}
