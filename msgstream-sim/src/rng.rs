//! Random decisions that are the same for the same seed, on every machine and in every version.

use std::ops::Range;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng};

/// A source of decisions. The methods are our own: a library's distributions may change with its
/// version, and a seed in a bug report must not.
///
/// ```
/// use msgstream_sim::Rng;
/// let (mut one, mut other) = (Rng::new(7), Rng::new(7));
/// assert_eq!(one.below(1000), other.below(1000));
/// ```
#[derive(Clone, Debug)]
pub struct Rng(Pcg64Mcg);

impl Rng {
    /// Returns the decisions of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// Returns a source of its own, so that what one part of a run draws doesn't shift what another
    /// gets.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, rate: f64) -> bool {
        const STEPS: f64 = (1_u64 << 53) as f64;
        ((self.0.next_u64() >> 11) as f64) / STEPS < rate
    }

    /// Returns a number less than `end`, or 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: every number as likely as any other, but for 1 in 2^64.
        ((u128::from(self.0.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// Returns an index less than `len`, or 0 if that is 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns a number of a range, or its start if the range is empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// Returns a time of a range, in whole milliseconds, or its start if the range is empty.
    pub fn time(&mut self, range: &Range<Duration>) -> Duration {
        let ms = |d: Duration| d.as_millis() as u64;
        Duration::from_millis(self.range(ms(range.start)..ms(range.end)))
    }

    /// Returns one of several, or `None` if there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seeds are in bug reports: the numbers must never change.
    #[test]
    fn a_seed_gives_these_numbers_for_ever() {
        let mut rng = Rng::new(1);
        assert_eq!([0; 4].map(|_| rng.below(1000)), [856, 137, 470, 726]);
    }

    #[test]
    fn ranges_and_rates_are_kept() {
        let mut rng = Rng::new(2);
        for _ in 0..1000 {
            assert!((5..8).contains(&rng.range(5..8)));
            assert!(!rng.chance(0.0) && rng.chance(1.0));
        }
        assert_eq!((rng.range(5..5), rng.below(0), rng.pick::<u8>(&[])), (5, 0, None));
        let often = (0..10_000).filter(|_| rng.chance(0.3)).count();
        assert!((2_500..3_500).contains(&often), "{often}");
    }
}
