//! What consumers remember of producers, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::Position;
use crate::record::Timestamp;

/// Where a producer stands on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProducerState {
    /// Its newest epoch.
    pub epoch: Position,
    /// The number of its last message that was taken.
    pub last: u64,
    /// It was fenced before anything else was heard of it, so `last` is only a guess until it
    /// says more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// A fence began its epoch, and the epoch hasn't told a number yet: the first one that it
    /// tells is exact, also where it is less than `last`, which may have counted void messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
    /// It said goodbye.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// The first tick after it was last heard of; `None` before that tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
}

impl ProducerState {
    pub(super) const fn new(epoch: Position) -> Self {
        Self { epoch, last: 0, fresh: false, fenced: false, closed: false, heard: None }
    }
}

/// How many producers a channel may have, and for how long one is remembered that is silent.
///
/// Both times are event time and must be longer than any producer goes on trying to send a record:
/// what is sent again after its producer was forgotten is delivered again.
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
    /// The most producers that are remembered on one channel. One more is an error.
    pub max: usize,
    /// How long a producer is remembered that said goodbye.
    pub closed: Duration,
    /// How long any other is remembered that is silent.
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
    /// The same with another greatest number of producers.
    #[must_use]
    pub const fn with_max(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The same with another memory for producers that said goodbye.
    #[must_use]
    pub const fn with_closed(mut self, closed: Duration) -> Self {
        self.closed = closed;
        self
    }

    /// The same with another memory for silent producers.
    #[must_use]
    pub const fn with_silent(mut self, silent: Duration) -> Self {
        self.silent = silent;
        self
    }
}
