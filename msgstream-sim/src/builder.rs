//! How often what goes wrong.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::Timestamp;

use crate::broker::{Broker, State};
use crate::faults::{Dice, Rates};
use crate::trace::Trace;
use crate::{Rng, Sim};

/// The rules of a [`Sim`]. Unless set otherwise nothing goes wrong and nothing takes time.
///
/// A rate is a probability, from 0 to 1: for each batch that arrives, each read, each call. A range
/// is one of virtual times, in whole milliseconds, from which each is drawn.
#[derive(Clone, Debug)]
#[must_use]
pub struct SimBuilder {
    seed: u64,
    rates: Rates,
    clock: Timestamp,
    max_payload: Option<usize>,
    print: bool,
}

impl SimBuilder {
    pub(crate) fn new(seed: u64) -> Self {
        // The year 2020: any, but always the same.
        let clock = Timestamp(1_577_836_800_000 << Timestamp::LOGICAL_BITS);
        Self { seed, rates: Rates::default(), clock, max_payload: None, print: false }
    }

    /// Sets how long one way takes, to the broker or back.
    pub fn latency(mut self, times: Range<Duration>) -> Self {
        self.rates.latency = times;
        self
    }

    /// Adds batches that are stored, and calls that take effect, whose sender doesn't hear of it.
    pub fn lost_acks(mut self, rate: f64) -> Self {
        self.rates.lost_ack = rate;
        self
    }

    /// Adds batches of which nobody knows whether they are stored: all, some, or none; now, or
    /// later.
    pub fn unknown_outcomes(mut self, rate: f64) -> Self {
        self.rates.unknown = rate;
        self
    }

    /// Adds batches whose first records are stored and acknowledged, and the rest isn't, or may be.
    pub fn partial_batches(mut self, rate: f64) -> Self {
        self.rates.partial = rate;
        self
    }

    /// Adds batches that are stored twice, at once or later.
    pub fn duplicates(mut self, rate: f64) -> Self {
        self.rates.duplicate = rate;
        self
    }

    /// Sets how much later late records are stored. Their writer may be gone by then.
    pub fn late_writes(mut self, times: Range<Duration>) -> Self {
        self.rates.late = times;
        self
    }

    /// Adds channels that can't be reached for a while: calls and reads fail after their timeout, and
    /// writers at once.
    pub fn disconnects(mut self, rate: f64, times: Range<Duration>) -> Self {
        self.rates.disconnect = (rate, times);
        self
    }

    /// Adds channels that are slow for a while: 20 times the latency.
    pub fn slow_channels(mut self, rate: f64, times: Range<Duration>) -> Self {
        self.rates.slow = (rate, times);
        self
    }

    /// Adds channels that don't respond for a while: nothing is stored, nothing read.
    pub fn stuck_channels(mut self, rate: f64, times: Range<Duration>) -> Self {
        self.rates.stuck = (rate, times);
        self
    }

    /// Adds readers that see an earlier end of their channel for a while, after they were opened or
    /// lost their connection. They may take it for the end.
    pub fn stale_reads(mut self, rate: f64, times: Range<Duration>) -> Self {
        self.rates.stale = (rate, times);
        self
    }

    /// Adds reads that return less than there is.
    pub fn short_reads(mut self, rate: f64) -> Self {
        self.rates.short_read = rate;
        self
    }

    /// Adds records with unused positions before them.
    pub fn gaps(mut self, rate: f64) -> Self {
        self.rates.gap = rate;
        self
    }

    /// Sets the wall-clock time at the beginning, by which records are found by time. The start of
    /// 2020 unless set.
    pub const fn clock(mut self, at: Timestamp) -> Self {
        self.clock = at;
        self
    }

    /// Sets the largest payload that channels take, in bytes. No limit unless set.
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Prints every event to the standard error.
    pub const fn print(mut self, print: bool) -> Self {
        self.print = print;
        self
    }

    /// Builds the broker. Its time begins now: build it on the runtime that it is used on.
    #[must_use]
    pub fn build(self) -> Sim {
        let dice = Dice::new(self.rates, Rng::new(self.seed), Trace::new(self.print));
        Sim { broker: Arc::new(Broker::new(State::new(dice), self.clock, self.max_payload)) }
    }
}
