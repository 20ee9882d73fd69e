//! Which fault happens when.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use msgstream_core::transport::Fate;

use crate::Rng;
use crate::trace::Trace;

/// Something that goes wrong in a simulated broker, or on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A batch was stored, and its writer doesn't hear of it.
    LostAck,
    /// The records of a batch were stored, or not, or will be later: nobody knows.
    UnknownOutcome,
    /// The first records of a batch were stored, the rest was not.
    PartialBatch,
    /// A batch was stored twice.
    Duplicate,
    /// Records were stored long after they were sent, perhaps after their writer was gone.
    LateWrite,
    /// A channel couldn't be reached for a while; its writers failed.
    Disconnect,
    /// A channel answered slowly for a while.
    Slow,
    /// A channel gave no sign of life for a while.
    Stuck,
    /// A reader saw an earlier end of its channel for a while.
    StaleRead,
    /// A read gave less than there was.
    ShortRead,
    /// A call took effect, and its caller got an error.
    LostAnswer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How often each fault happens, from 0 to 1 per batch, read or call, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub(crate) latency: Range<Duration>,
    pub(crate) lost_ack: f64,
    pub(crate) unknown: f64,
    pub(crate) partial: f64,
    pub(crate) duplicate: f64,
    pub(crate) late: Range<Duration>,
    pub(crate) disconnect: (f64, Range<Duration>),
    pub(crate) slow: (f64, Range<Duration>),
    pub(crate) stuck: (f64, Range<Duration>),
    pub(crate) stale: (f64, Range<Duration>),
    pub(crate) short_read: f64,
    pub(crate) gap: f64,
}

impl Default for Rates {
    /// Nothing goes wrong, and nothing takes time.
    fn default() -> Self {
        let never = || (0.0, Duration::ZERO..Duration::ZERO);
        Self {
            latency: Duration::ZERO..Duration::ZERO,
            lost_ack: 0.0,
            unknown: 0.0,
            partial: 0.0,
            duplicate: 0.0,
            late: Duration::ZERO..Duration::ZERO,
            disconnect: never(),
            slow: never(),
            stuck: never(),
            stale: never(),
            short_read: 0.0,
            gap: 0.0,
        }
    }
}

/// The dice: rates, the source of decisions, and what came of them.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) rates: Rates,
    pub(crate) rng: Rng,
    pub(crate) counts: BTreeMap<Fault, u64>,
    pub(crate) trace: Trace,
    /// The virtual time since the beginning.
    pub(crate) now: Duration,
    pub(crate) healed: bool,
}

/// What becomes of a batch that arrives at its channel. Records are named by their indexes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// What is stored now, in this order.
    pub(crate) now: Vec<usize>,
    /// What is stored later, and how much later.
    pub(crate) later: Vec<(Duration, Vec<usize>)>,
    /// So many records are acknowledged; the rest has the fate.
    pub(crate) acked: usize,
    pub(crate) rest: Option<Fate>,
}

impl Dice {
    pub(crate) fn new(rates: Rates, rng: Rng, trace: Trace) -> Self {
        let counts = BTreeMap::new();
        Self { rates, rng, counts, trace, now: Duration::ZERO, healed: false }
    }

    /// From now on nothing goes wrong; latency and gaps stay.
    pub(crate) fn heal(&mut self) {
        let Rates { latency, gap, .. } = self.rates.clone();
        self.rates = Rates { latency, gap, ..Rates::default() };
        self.healed = true;
    }

    pub(crate) fn note(&mut self, event: fmt::Arguments<'_>) {
        self.trace.note(self.now, event);
    }

    pub(crate) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
        self.note(format_args!("fault {fault}"));
    }

    pub(crate) fn happens(&mut self, rate: f64, fault: Fault) -> bool {
        let yes = self.rng.chance(rate);
        if yes {
            self.count(fault);
        }
        yes
    }

    pub(crate) fn latency(&mut self) -> Duration {
        self.rng.time(&self.rates.latency)
    }

    pub(crate) fn gap(&mut self) -> u64 {
        if self.rng.chance(self.rates.gap) { self.rng.range(1..4) } else { 0 }
    }

    /// What becomes of a batch. `broken` if its connection is, or if a batch before it
    /// failed: then none of it is acknowledged.
    pub(crate) fn arrival(&mut self, len: usize, broken: bool) -> Arrival {
        if broken {
            return self.failed(len, 0);
        }
        if self.happens(self.rates.lost_ack, Fault::LostAck) {
            return Arrival {
                now: (0..len).collect(),
                rest: Some(Fate::Unknown),
                ..Arrival::default()
            };
        }
        if self.happens(self.rates.unknown, Fault::UnknownOutcome) {
            return self.failed(len, 0);
        }
        if len > 0 && self.happens(self.rates.partial, Fault::PartialBatch) {
            let acked = self.rng.index(len);
            return self.failed(len, acked);
        }
        let mut arrival = Arrival { now: (0..len).collect(), acked: len, ..Arrival::default() };
        if self.happens(self.rates.duplicate, Fault::Duplicate) {
            // All of it or its end, as a client sends again that missed an acknowledgement.
            let again: Vec<_> = (self.rng.index(len)..len).collect();
            if self.rng.chance(0.5) {
                arrival.now.extend(again);
            } else {
                arrival.later.push((self.later(), again));
            }
        }
        arrival
    }

    /// A batch of which the first records are stored and the rest is not, or not for certain.
    fn failed(&mut self, len: usize, acked: usize) -> Arrival {
        let mut arrival = Arrival { now: (0..acked).collect(), acked, ..Arrival::default() };
        if self.rng.chance(0.3) {
            arrival.rest = Some(Fate::NotStored);
            return arrival;
        }
        arrival.rest = Some(Fate::Unknown);
        // With holes: what was in flight may go in without what was before it.
        let share = [0.0, 0.5, 1.0][self.rng.index(3)];
        let stored: Vec<_> = (acked..len).filter(|_| self.rng.chance(share)).collect();
        if self.rng.chance(0.5) {
            arrival.now.extend(stored);
        } else if !stored.is_empty() {
            let later = self.later();
            arrival.later.push((later, stored));
        }
        arrival
    }

    fn later(&mut self) -> Duration {
        self.count(Fault::LateWrite);
        self.rng.time(&self.rates.late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(seed: u64) -> Dice {
        let rates = Rates {
            lost_ack: 0.2,
            unknown: 0.2,
            partial: 0.2,
            duplicate: 0.3,
            late: Duration::from_millis(1)..Duration::from_millis(9),
            ..Rates::default()
        };
        Dice::new(rates, Rng::new(seed), Trace::new(false))
    }

    // What the contract of `ChannelWriter::submit` allows, and no more.
    #[test]
    fn acknowledged_records_are_stored_and_refused_ones_never_are() {
        for seed in 0..2_000 {
            let mut dice = dice(seed);
            let (len, broken) = (dice.rng.index(6), dice.rng.chance(0.2));
            let arrival = dice.arrival(len, broken);
            let acked: Vec<_> = (0..arrival.acked).collect();
            assert!(arrival.now.starts_with(&acked), "{arrival:?}");
            assert!(!broken || arrival.acked == 0, "{arrival:?}");
            let mut rest = arrival.now.iter().chain(arrival.later.iter().flat_map(|l| &l.1));
            match arrival.rest {
                None => assert_eq!(arrival.acked, len),
                Some(Fate::NotStored) => assert!(rest.all(|i| *i < arrival.acked), "{arrival:?}"),
                Some(Fate::Unknown) => assert!(rest.all(|i| *i < len), "{arrival:?}"),
            }
        }
    }

    #[test]
    fn healed_nothing_goes_wrong() {
        let mut dice = dice(1);
        dice.heal();
        for len in 0..100 {
            let whole = Arrival { now: (0..len).collect(), acked: len, ..Arrival::default() };
            assert_eq!(dice.arrival(len, false), whole);
        }
        assert_eq!(dice.counts, BTreeMap::new());
    }
}
