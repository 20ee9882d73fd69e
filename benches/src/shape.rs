//! How much is written to how many channels, and when.

use std::fmt;

use msgstream_core::Timestamp;

/// Messages per channel between two ticks, on average.
pub const MESSAGES_PER_TICK: usize = 100;

/// The shape of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The size of the blob in each message, in bytes.
    pub payload: usize,
    /// How many channels there are. All tick at the same times.
    pub channels: usize,
    /// How the messages are spread over the channels.
    pub rates: Rates,
}

/// How messages are spread over channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rates {
    /// Every channel gets as many.
    Equal,
    /// The second channel gets half of what the first gets, the third a third (Zipf's law), the
    /// sum being the same.
    Skewed,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "equal",
            Self::Skewed => "skewed",
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ch-{}b-{}", self.channels, self.payload, self.rates)
    }
}

impl Shape {
    /// One second in timestamp units: the time between two ticks.
    const INTERVAL: u64 = 1000 << Timestamp::LOGICAL_BITS;

    /// How many ticks it takes for about so many messages; at least one.
    pub(crate) fn ticks(self, messages: usize) -> u64 {
        (messages / (MESSAGES_PER_TICK * self.channels)).max(1) as u64
    }

    /// The time of a tick, the first one being number 0.
    pub(crate) const fn tick(tick: u64) -> Timestamp {
        Timestamp((tick + 2) * Self::INTERVAL)
    }

    /// How many messages each channel gets between two ticks.
    pub(crate) fn counts(self) -> Vec<usize> {
        let whole: f64 = (1..=self.channels).map(|rank| 1.0 / rank as f64).sum();
        let share = |rank: usize| match self.rates {
            Rates::Equal => 1.0 / self.channels as f64,
            Rates::Skewed => 1.0 / rank as f64 / whole,
        };
        let messages = (MESSAGES_PER_TICK * self.channels) as f64;
        (1..=self.channels).map(|rank| (share(rank) * messages).round() as usize).collect()
    }

    /// The time of one of a channel's `count` messages before a tick: they are spread evenly over
    /// the interval, each with a jitter of its own, so that those of different channels mingle.
    pub(crate) const fn time(tick: u64, channel: usize, count: usize, index: usize) -> Timestamp {
        let step = Self::INTERVAL / count as u64;
        let seed = (tick << 40) ^ ((channel as u64) << 20) ^ index as u64;
        let since = index as u64 * step + random(seed) % step;
        Timestamp(Self::tick(tick).0 - Self::INTERVAL + 1 + since)
    }
}

/// A number that looks random, the same for the same seed (SplitMix64's mixing function).
pub(crate) const fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_along_a_channel_and_stay_before_their_tick() {
        for count in [1, 7, 100, 13_000] {
            let times = || (0..count).map(|index| Shape::time(3, 5, count, index));
            assert!(times().is_sorted());
            assert!(times().all(|ts| Shape::tick(2) < ts && ts <= Shape::tick(3)));
        }
    }

    #[test]
    fn skew_changes_the_shares_and_not_the_sum() {
        for channels in [2, 64, 1024] {
            let shape = |rates| Shape { payload: 1, channels, rates };
            assert!(shape(Rates::Equal).counts().iter().all(|n| *n == MESSAGES_PER_TICK));
            let counts = shape(Rates::Skewed).counts();
            let (sum, equal) = (counts.iter().sum::<usize>(), channels * MESSAGES_PER_TICK);
            assert!(sum.abs_diff(equal) * 100 <= equal, "{sum} for {equal}");
            assert!(counts[0] + 1 >= 2 * counts[1] && counts.iter().all(|n| *n > 0));
        }
    }
}
