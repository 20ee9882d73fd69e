//! Which fault happens when.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use msgstream_core::transport::Fate;

use super::FaultCounts;

/// How often each fault happens, from 0 to 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pub(super) unavailable: f64,
    pub(super) lost_answers: f64,
    pub(super) not_stored: f64,
    pub(super) unknown: f64,
    pub(super) delays: Range<Duration>,
}

/// Rates, the source of decisions, and what came of them.
#[derive(Debug)]
pub(super) struct Dice(Mutex<State>);

#[derive(Debug)]
struct State {
    rates: Rates,
    rng: fastrand::Rng,
    counts: FaultCounts,
}

/// What becomes of a batch. Records are named by their indexes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fall {
    /// What is stored, in order.
    pub(super) stored: Vec<usize>,
    /// So many records are acknowledged; the rest has the fate.
    pub(super) acked: usize,
    pub(super) rest: Option<Fate>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Succeeds,
    /// It has no effect.
    Fails,
    /// It takes effect, and its caller doesn't hear of it.
    LosesAnswer,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let (rates, counts) = (Rates::default(), FaultCounts::default());
        Self(Mutex::new(State { rates, rng, counts }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, set: impl FnOnce(&mut Rates)) {
        self.with(|state| set(&mut state.rates));
    }

    pub(super) fn counts(&self) -> FaultCounts {
        self.with(|state| state.counts)
    }

    /// How long something takes.
    pub(super) fn delay(&self) -> Duration {
        self.with(|State { rates, rng, .. }| {
            let Range { start, end } = rates.delays;
            start + end.saturating_sub(start).mul_f64(rng.f64())
        })
    }

    pub(super) fn call(&self) -> Call {
        self.with(|State { rates, rng, counts }| {
            if rng.f64() < rates.unavailable {
                counts.unavailable += 1;
                Call::Fails
            } else if rng.f64() < rates.lost_answers {
                counts.lost_answers += 1;
                Call::LosesAnswer
            } else {
                Call::Succeeds
            }
        })
    }

    /// Whether a call that has no answer to lose fails.
    pub(super) fn fails(&self) -> bool {
        self.with(|State { rates, rng, counts }| {
            let fails = rng.f64() < rates.unavailable;
            counts.unavailable += u64::from(fails);
            fails
        })
    }

    /// What becomes of a batch; `failed` if one before it failed, so that none of it is
    /// acknowledged.
    pub(super) fn batch(&self, len: usize, failed: bool) -> Fall {
        self.with(|State { rates, rng, counts }| {
            let fate = if failed {
                Some(if rng.f64() < 0.3 { Fate::NotStored } else { Fate::Unknown })
            } else if len > 0 && rng.f64() < rates.not_stored {
                counts.not_stored += 1;
                Some(Fate::NotStored)
            } else if len > 0 && rng.f64() < rates.unknown {
                counts.unknown += 1;
                Some(Fate::Unknown)
            } else {
                None
            };
            let acked = match fate {
                None => len,
                Some(_) if failed || rng.bool() => 0,
                Some(_) => rng.usize(0..len),
            };
            let mut stored: Vec<_> = (0..acked).collect();
            if fate == Some(Fate::Unknown) {
                // With holes: what was in flight may go in without what was before it.
                let share = [0.0, 0.5, 1.0][rng.usize(0..3)];
                stored.extend((acked..len).filter(|_| rng.f64() < share));
            }
            Fall { stored, acked, rest: fate }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What the contract of `ChannelWriter::submit` allows, and no more.
    #[test]
    fn acknowledged_records_are_stored_and_refused_ones_never_are() {
        let dice = Dice::new(1);
        dice.set(|rates| (rates.not_stored, rates.unknown) = (0.3, 0.4));
        for round in 0..10_000 {
            let (len, failed) = (round % 7, round % 5 == 0);
            let Fall { stored, acked, rest } = dice.batch(len, failed);
            assert!(stored.is_sorted() && stored.iter().all(|index| *index < len));
            assert!(stored.iter().take(acked).copied().eq(0..acked));
            match rest {
                None => assert!(acked == len && stored.len() == len && !failed),
                Some(Fate::NotStored) => assert_eq!(stored.len(), acked),
                Some(Fate::Unknown) => assert!(acked == 0 || !failed),
            }
        }
        let counts = dice.counts();
        assert!(counts.not_stored > 1_000 && counts.unknown > 1_000);
    }

    #[test]
    fn a_seed_decides() {
        let falls = |seed| {
            let dice = Dice::new(seed);
            dice.set(|rates| rates.unknown = 0.5);
            [(); 50].map(|()| dice.batch(5, false))
        };
        assert_eq!(falls(1), falls(1));
        assert_ne!(falls(1), falls(2));
    }
}
