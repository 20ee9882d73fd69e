//! Times, and what is said of several.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of all threads of the process so far, the kernel's included.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The clock starts at 0 with the process.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The middle of several values, and how far they spread.
///
/// ```
/// use msgstream_bench::clock::Median;
/// let median = Median::of(vec![9.0, 1.0, 4.0, 2.0]);
/// assert_eq!((median.least, median.median, median.greatest), (1.0, 3.0, 9.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Median {
    /// The least value.
    pub least: f64,
    /// The middle one, or what is half way between the two in the middle.
    pub median: f64,
    /// The greatest value.
    pub greatest: f64,
}

impl Median {
    /// Of these values, in any order; zeros where there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { least: at(0), median, greatest: at(last) }
    }
}
