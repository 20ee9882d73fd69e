//! How long to wait before the next attempt.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(10);

/// Pauses between attempts: each is twice as long as the one before, up to a limit, less a random
/// part of up to a half, so that clients that lost the same broker don't come back in step.
///
/// The randomness is the age of this value in nanoseconds at each failure, which no two programs
/// share. On a paused clock it is the same in every run, so simulations stay repeatable.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    born: Instant,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Returns pauses that grow from 10 ms up to this long.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { born: Instant::now(), longest, failures: 0 }
    }

    /// Returns the pause after another failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        let age = self.born.elapsed();
        let nanos = age.as_secs().wrapping_mul(1 << 30) + u64::from(age.subsec_nanos());
        let bits = mix(nanos ^ u64::from(self.failures) << 48);
        self.failures = self.failures.saturating_add(1);
        whole - whole / 2 / 1024 * (bits & 1023) as u32
    }

    /// Starts anew after a success: the next pause is a first one.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Mixes the bits, so that each influences all (the last steps of splitmix64).
const fn mix(bits: u64) -> u64 {
    let z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::time::advance;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_the_longest_and_start_anew() {
        let mut backoff = Backoff::new(LONGEST);
        for _ in 0..2 {
            for whole in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
                let whole = Duration::from_millis(whole);
                let pause = backoff.pause();
                assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
                advance(pause).await;
            }
            backoff.reset();
        }
        // However many there were.
        backoff.failures = u32::MAX;
        assert!(backoff.pause() <= LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_fail_together_come_back_one_by_one() {
        let mut firsts = BTreeSet::new();
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(Backoff::new(LONGEST));
            advance(Duration::from_nanos(1)).await;
        }
        firsts.extend(all.iter_mut().map(Backoff::pause));
        assert!(firsts.len() > 80, "{} different first pauses of 100", firsts.len());
        // They use what room there is.
        let (least, most) = (firsts.first().copied(), firsts.last().copied());
        assert!(least < Some(Duration::from_micros(5_500)), "{least:?}");
        assert!(most > Some(Duration::from_micros(9_500)), "{most:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_gives_the_same_pauses_again() {
        let run = async || {
            let (mut backoff, mut pauses) = (Backoff::new(LONGEST), Vec::new());
            for _ in 0..20 {
                pauses.push(backoff.pause());
                advance(Duration::from_millis(7)).await;
            }
            pauses
        };
        let first = run().await;
        advance(Duration::from_secs(3)).await;
        assert_eq!(first, run().await);
        let last: BTreeSet<_> = first.iter().skip(10).collect();
        assert_eq!(last.len(), 10, "{first:?}");
    }
}
