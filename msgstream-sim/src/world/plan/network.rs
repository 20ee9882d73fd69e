//! What goes wrong between programs and the broker, and how often.

use std::time::Duration;

use super::ms;
use crate::{Rng, SimBuilder};

#[derive(Clone, Debug)]
pub(super) struct Network {
    latency: u64,
    rates: [f64; 9],
    /// How much later late copies come, at most.
    late: Duration,
    gaps: bool,
}

impl Network {
    /// Each kind of fault is there or not, more or less often: what never happens together would
    /// else never be seen alone either. With `copies`, batches are stored twice in any case.
    pub(super) fn new(rng: &mut Rng, copies: bool) -> Self {
        let much = [0.0, 0.3, 1.0, 1.0][rng.index(4)];
        let most = [0.05, 0.05, 0.05, 0.08, 0.03, 0.02, 0.02, 0.5, 0.3];
        let mut rates = most.map(|most| if rng.chance(0.6) { most * much } else { 0.0 });
        if copies {
            rates[3] = 0.1;
        }
        let late = ms([9_000, 9_000, 30_000][rng.index(3)]);
        Self { latency: [1, 5, 60][rng.index(3)], rates, late, gaps: rng.chance(0.5) }
    }

    pub(super) fn rules(&self, sim: SimBuilder) -> SimBuilder {
        let [lost, unknown, partial, twice, cut_off, slow, stuck, stale, short] = self.rates;
        sim.latency(ms(0)..ms(self.latency))
            .lost_acks(lost)
            .unknown_outcomes(unknown)
            .partial_batches(partial)
            .duplicates(twice)
            .late_writes(ms(1)..self.late)
            .disconnects(cut_off, ms(1)..ms(8_000))
            .slow_channels(slow, ms(1)..ms(3_000))
            .stuck_channels(stuck, ms(1)..ms(6_000))
            .stale_reads(stale, ms(1)..ms(4_000))
            .short_reads(short)
            .gaps(if self.gaps { 0.3 } else { 0.0 })
    }
}
