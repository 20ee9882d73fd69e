//! Time ticks of a single producer.

use std::time::Duration;

use crate::record::Timestamp;

/// Decides which time tick is due, for a producer that is the only one on its channels.
///
/// Ticks are multiples of an interval, more than a fixed delay behind the greatest time observed,
/// of messages or of a clock. So a message exactly as late as the delay is still in time, and
/// without a delay, messages of one time may follow each other. Write the tick that is due with
/// [`Producer::submit_tick`](crate::Producer::submit_tick), or with
/// [`Producer::tick`](crate::Producer::tick), which waits until the messages before it are stored.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::{Timestamp, TimestampError, produce::TimeTicker};
///
/// let mut ticker = TimeTicker::new(Duration::from_secs(10)).with_delay(Duration::from_secs(5));
/// let second = |s: i64| Timestamp::from_unix_millis(s * 1000);
/// assert_eq!(ticker.observe(second(12)?), Some(second(0)?));
/// assert_eq!(ticker.observe(second(14)?), None);
/// assert_eq!(ticker.observe(second(27)?), Some(second(20)?));
/// assert!(ticker.is_late(second(20)?) && !ticker.is_late(second(21)?));
/// # Ok::<(), TimestampError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTicker {
    interval: u64,
    delay: u64,
    greatest: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl TimeTicker {
    /// Creates a ticker that ticks at multiples of an interval, in whole milliseconds. An interval
    /// below 1 ms counts as 1 ms.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        let interval = Timestamp::span(interval.max(Duration::from_millis(1)));
        Self { interval, delay: 0, greatest: None, last: None }
    }

    /// Sets how far ticks stay behind the greatest time observed: how late a message may be.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::{Timestamp, produce::TimeTicker};
    ///
    /// let mut ticker = TimeTicker::new(Duration::from_secs(1)).with_delay(Duration::from_secs(5));
    /// let now = Timestamp::from_unix_millis(60_000)?;
    /// assert_eq!(ticker.observe(now), Some(Timestamp::from_unix_millis(54_000)?));
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = Timestamp::span(delay);
        self
    }

    /// Starts above the last tick on the channel, so that no tick goes back after a restart.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::{Timestamp, produce::TimeTicker};
    ///
    /// let last = Timestamp::from_unix_millis(60_000)?;
    /// let mut ticker = TimeTicker::new(Duration::from_secs(1)).starting_after(last);
    /// assert_eq!(ticker.observe(Timestamp::from_unix_millis(59_000)?), None);
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    #[must_use]
    pub const fn starting_after(mut self, last: Timestamp) -> Self {
        self.last = Some(last);
        self
    }

    /// Observes the time of a message that was produced, or of a clock. Returns the tick that is
    /// due now, if one is.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::{Timestamp, produce::TimeTicker};
    /// let mut ticker = TimeTicker::new(Duration::from_secs(1));
    /// let second = |s: i64| Timestamp::from_unix_millis(s * 1000);
    /// assert_eq!(ticker.observe(second(5)?), Some(second(4)?));
    /// assert_eq!(ticker.observe(second(5)?), None, "it was returned before");
    /// # Ok::<(), msgstream_core::TimestampError>(())
    /// ```
    pub fn observe(&mut self, ts: Timestamp) -> Option<Timestamp> {
        let greatest = self.greatest.map_or(ts, |greatest| greatest.max(ts));
        self.greatest = Some(greatest);
        let behind = greatest.0.checked_sub(self.delay)?.checked_sub(1)?;
        self.moves_to(Timestamp(behind - behind % self.interval))
    }

    /// Returns the tick after everything observed, for a producer that ends: the greatest time
    /// observed, if the last tick is before it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::{Timestamp, produce::TimeTicker};
    ///
    /// let mut ticker = TimeTicker::new(Duration::from_secs(1));
    /// ticker.observe(Timestamp(7));
    /// assert_eq!(ticker.finish(), Some(Timestamp(7)));
    /// assert_eq!(ticker.last(), Some(Timestamp(7)));
    /// ```
    pub fn finish(&mut self) -> Option<Timestamp> {
        self.moves_to(self.greatest?)
    }

    fn moves_to(&mut self, tick: Timestamp) -> Option<Timestamp> {
        // Every reader refuses a tick at the end of time.
        let tick = tick.min(Timestamp(u64::MAX - 1));
        (Some(tick) > self.last).then(|| *self.last.insert(tick))
    }

    /// Returns the last tick, `None` before the first.
    #[must_use]
    pub const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Returns whether a message of this time would be late: at or before the last tick.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use msgstream_core::{Timestamp, produce::TimeTicker};
    ///
    /// let mut ticker = TimeTicker::new(Duration::from_secs(1));
    /// ticker.observe(Timestamp(7));
    /// ticker.finish();
    /// assert!(ticker.is_late(Timestamp(7)) && !ticker.is_late(Timestamp(8)));
    /// ```
    #[must_use]
    pub fn is_late(&self, ts: Timestamp) -> bool {
        self.last.is_some_and(|last| ts <= last)
    }
}

#[cfg(test)]
mod tests;
