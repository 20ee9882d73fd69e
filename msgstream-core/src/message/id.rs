//! Ids of messages.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::record::Timestamp;

/// The last id that was returned in this process.
static LAST: AtomicI64 = AtomicI64::new(0);

/// Returns a new message id: greater than every earlier one in this process, and never negative.
///
/// Ids are made from the clock (Unix milliseconds, then 18 bits of a counter), so they also grow over
/// restarts, unless the clock was set back in between. While the process runs, a clock that goes back
/// does no harm.
///
/// ```
/// use msgstream_core::message::next_msg_id;
/// assert!(next_msg_id() < next_msg_id());
/// ```
#[must_use]
pub fn next_msg_id() -> i64 {
    next_msg_ids(1).start
}

/// Returns this many new message ids at once. See [`next_msg_id`].
///
/// ```
/// use msgstream_core::message::next_msg_ids;
/// assert_eq!(next_msg_ids(3).count(), 3);
/// ```
#[must_use]
pub fn next_msg_ids(count: u32) -> Range<i64> {
    // A clock before 1970 counts as 1970: the ids grow all the same.
    let now = Timestamp::from_system_time(std::time::SystemTime::now()).unwrap_or_default();
    take(&LAST, now, count)
}

fn take(last: &AtomicI64, now: Timestamp, count: u32) -> Range<i64> {
    let floor = i64::try_from(now.0).unwrap_or(0);
    let count = i64::from(count);
    let first = |last: i64| last.saturating_add(1).max(floor);
    // The counter is all that is shared; nothing else is ordered by it.
    let before = last
        .update(Ordering::Relaxed, Ordering::Relaxed, |last| first(last).saturating_add(count - 1));
    first(before)..first(before).saturating_add(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_over_a_clock_that_stands_still_goes_back_or_is_absurd() {
        let last = AtomicI64::new(0);
        let mut before = 0;
        for (now, count) in [(50, 1), (50, 3), (10, 2), (u64::MAX, 1), (52, 0), (90, 1)] {
            let ids = take(&last, Timestamp(now), count);
            assert!(ids.start > before, "{ids:?} after {before}");
            assert_eq!(ids.end - ids.start, i64::from(count));
            before = ids.end - 1;
        }
        assert_eq!(before, 90);
    }

    #[test]
    fn threads_get_different_ids() {
        let mut ids: Vec<i64> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| next_msg_ids(500).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|t| t.join().unwrap_or_default()).collect()
        });
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 2_000);
    }
}
