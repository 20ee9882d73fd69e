//! Decisions that are the same for the same seed, on every machine and in every version.

/// A source of decisions (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x6a09_e667_f3bc_c908)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a source of its own, so that what one part draws doesn't shift what another gets.
    pub(super) const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Returns true with this probability.
    pub(super) fn chance(&mut self, rate: f64) -> bool {
        const STEPS: f64 = (1_u64 << 53) as f64;
        rate > 0.0 && ((self.next() >> 11) as f64) / STEPS < rate
    }

    /// Returns a number less than `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Returns a number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.index(N)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seeds are in bug reports: the numbers must never change.
    #[test]
    fn a_seed_gives_these_numbers_for_ever() {
        let mut rng = Rng::new(1);
        assert_eq!([0; 4].map(|_| rng.below(1000)), [389, 859, 31, 236]);
    }

    #[test]
    fn ranges_and_rates_are_kept() {
        let mut rng = Rng::new(2);
        for _ in 0..1000 {
            assert!((5..=8).contains(&rng.between(5, 8)));
            assert!(!rng.chance(0.0) && rng.chance(1.0));
        }
        assert_eq!((rng.between(5, 5), rng.below(0)), (5, 0));
    }
}
