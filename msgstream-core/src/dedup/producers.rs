//! What consumers remember about producers, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::Position;
use crate::record::Timestamp;

/// The state of a producer on one channel, in a [`Mark`](crate::checkpoint::Mark).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProducerState {
    /// Its newest epoch.
    pub epoch: Position,
    /// The sequence number of its last message that was accepted.
    pub last: u64,
    /// It was fenced before anything else of it was read, so `last` isn't known until it writes
    /// more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// A fence began its epoch, and no number of that epoch was read yet. The first one is exact,
    /// even if it is less than `last`, which may have counted void messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
    /// Its session was closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// The first tick after its last record; `None` before that tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
}

impl ProducerState {
    pub(super) const fn new(epoch: Position) -> Self {
        Self { epoch, last: 0, fresh: false, fenced: false, closed: false, heard: None }
    }
}

/// How many producers with sessions a channel may have, and for how long a silent one is
/// remembered.
///
/// Both durations are in event time, and must be longer than any producer keeps sending a record
/// again: what is sent again after its producer was forgotten is delivered twice.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::dedup::ProducerLimits;
/// let limits = ProducerLimits::default().with_silent(Duration::from_secs(3 * 86_400));
/// assert_eq!(limits.max, 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerLimits {
    /// The most producers of one channel. One more is an error.
    pub max: usize,
    /// For how long a producer is remembered after its session was closed.
    pub closed: Duration,
    /// For how long any other silent producer is remembered.
    pub silent: Duration,
}

impl Default for ProducerLimits {
    /// 10,000 producers, an hour, a day.
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { max: 10_000, closed: hour, silent: 24 * hour }
    }
}

impl ProducerLimits {
    /// Sets the most producers of one channel.
    ///
    /// ```
    /// # use msgstream_core::dedup::ProducerLimits;
    /// assert_eq!(ProducerLimits::default().with_max(100).max, 100);
    /// ```
    #[must_use]
    pub const fn with_max(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// Sets for how long a producer is remembered after its session was closed.
    #[must_use]
    pub const fn with_closed(mut self, closed: Duration) -> Self {
        self.closed = closed;
        self
    }

    /// Sets for how long any other silent producer is remembered.
    #[must_use]
    pub const fn with_silent(mut self, silent: Duration) -> Self {
        self.silent = silent;
        self
    }
}
