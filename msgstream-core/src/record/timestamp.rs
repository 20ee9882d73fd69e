//! Hybrid timestamps: physical milliseconds and a logical counter in one `u64`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A hybrid timestamp: 46 bits of Unix milliseconds, then 18 bits of a logical counter.
///
/// The order of the numbers is the order in event time, so a `Timestamp` compares, sorts and is
/// stored as a plain `u64`. The layout is that of Milvus.
///
/// ```
/// use msgstream_core::Timestamp;
///
/// let ts = Timestamp::from_unix_millis(1_700_000_000_000)?;
/// assert_eq!(ts.physical_ms(), 1_700_000_000_000);
/// assert_eq!(ts.logical(), 0);
/// assert!(ts < Timestamp::from_unix_millis(1_700_000_000_001)?);
/// # Ok::<(), msgstream_core::TimestampError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The number of bits of the logical counter.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// assert_eq!(Timestamp(1 << Timestamp::LOGICAL_BITS).physical_ms(), 1);
    /// ```
    pub const LOGICAL_BITS: u32 = 18;
    /// The greatest number of Unix milliseconds that fits, which is in the year 4199.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// let past = Timestamp::MAX_UNIX_MILLIS as i64 + 1;
    /// assert!(Timestamp::from_unix_millis(past).is_err());
    /// ```
    pub const MAX_UNIX_MILLIS: u64 = u64::MAX >> Self::LOGICAL_BITS;
    /// The least timestamp, 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The greatest timestamp. No time tick may carry it, because nothing could follow.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the timestamp of Unix milliseconds, with a logical counter of 0.
    ///
    /// # Errors
    /// Fails with [`TimestampError::BeforeEpoch`] for a time before 1970, and with
    /// [`TimestampError::TooLarge`] for one past [`Timestamp::MAX_UNIX_MILLIS`].
    ///
    /// ```
    /// use msgstream_core::{Timestamp, TimestampError};
    /// assert!(matches!(Timestamp::from_unix_millis(-1), Err(TimestampError::BeforeEpoch { .. })));
    /// ```
    pub fn from_unix_millis(millis: i64) -> Result<Self, TimestampError> {
        let positive = u64::try_from(millis).map_err(|_| TimestampError::BeforeEpoch { millis })?;
        if positive > Self::MAX_UNIX_MILLIS {
            return Err(TimestampError::TooLarge { millis });
        }
        Ok(Self(positive << Self::LOGICAL_BITS))
    }

    /// Returns the timestamp of a system time, cut to whole milliseconds.
    ///
    /// # Errors
    /// Fails like [`Timestamp::from_unix_millis`].
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// assert!(Timestamp::from_system_time(std::time::SystemTime::now()).is_ok());
    /// ```
    pub fn from_system_time(time: SystemTime) -> Result<Self, TimestampError> {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // Rounded away from zero: half a millisecond before 1970 is still before it.
            Err(e) => {
                let nanos = e.duration().as_nanos().div_ceil(1_000_000);
                i64::try_from(nanos).map_or(i64::MIN, |n| -n)
            }
        };
        Self::from_unix_millis(millis)
    }

    /// Returns a duration in units of timestamps, cut to whole milliseconds, or the greatest one if it
    /// doesn't fit.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// let second = Timestamp::span(std::time::Duration::from_secs(1));
    /// assert_eq!(Timestamp::from_unix_millis(1000)?.0, second);
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub fn span(duration: Duration) -> u64 {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        millis.saturating_mul(1 << Self::LOGICAL_BITS)
    }

    /// Sets the logical counter. Only its lower 18 bits count.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// let ts = Timestamp::from_unix_millis(5)?.with_logical(7);
    /// assert_eq!((ts.physical_ms(), ts.logical()), (5, 7));
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub const fn with_logical(self, logical: u32) -> Self {
        let mask = (1 << Self::LOGICAL_BITS) - 1;
        Self(self.0 & !mask | logical as u64 & mask)
    }

    /// Returns the Unix milliseconds.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// assert_eq!(Timestamp::from_unix_millis(5)?.physical_ms(), 5);
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub const fn physical_ms(self) -> u64 {
        self.0 >> Self::LOGICAL_BITS
    }

    /// Returns the logical counter.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// assert_eq!(Timestamp::MIN.next().logical(), 1);
    /// ```
    #[must_use]
    pub const fn logical(self) -> u32 {
        (self.0 & ((1 << Self::LOGICAL_BITS) - 1)) as u32
    }

    /// Returns the next timestamp, or [`Timestamp::MAX`] if there is none.
    ///
    /// ```
    /// use msgstream_core::Timestamp;
    /// assert_eq!(Timestamp(7).next(), Timestamp(8));
    /// assert_eq!(Timestamp::MAX.next(), Timestamp::MAX);
    /// ```
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<u64> for Timestamp {
    fn from(raw: u64) -> Self {
        Self(raw)
    }
}

impl From<Timestamp> for u64 {
    fn from(ts: Timestamp) -> Self {
        ts.0
    }
}

/// Writes the decimal number, as the record header `timestamp` holds it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes the number, with its milliseconds and counter.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} ms + {})", self.0, self.physical_ms(), self.logical())
    }
}

/// The error of a time that no [`Timestamp`] can hold.
///
/// ```
/// use msgstream_core::{Timestamp, TimestampError};
/// assert_eq!(Timestamp::from_unix_millis(-1), Err(TimestampError::BeforeEpoch { millis: -1 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The time is before 1970.
    #[error(
        "{millis} ms is before 1970-01-01T00:00:00Z, the least timestamp; shift the times, or leave the message out"
    )]
    BeforeEpoch {
        /// Unix milliseconds.
        millis: i64,
    },
    /// The time needs more than 46 bits of milliseconds.
    #[error(
        "{millis} ms is past {}, the greatest timestamp in ms; is the unit milliseconds?",
        Timestamp::MAX_UNIX_MILLIS
    )]
    TooLarge {
        /// Unix milliseconds.
        millis: i64,
    },
}

#[cfg(test)]
mod tests;
