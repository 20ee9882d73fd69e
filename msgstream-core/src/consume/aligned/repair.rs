//! What lets a stream go on after an error.

use std::time::Duration;

use super::Aligned;
use crate::dedup::ProducerLimits;
use crate::error::Result;
use crate::merge::LatePolicy;
use crate::record::Position;
use crate::record::Timestamp;

impl Aligned {
    /// Sets what happens to late records, after [`Error::Late`](crate::Error::Late).
    ///
    pub(crate) fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        let config = self.config.with_late_policy(late);
        config.merge()?;
        self.config = config;
        self.merge.set_late_policy(late);
        Ok(())
    }

    /// Changes how far a tick may be ahead of the system's clock, after [`Error::TickTooFar`](crate::Error::TickTooFar);
    /// `None` is any.
    pub(crate) fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.config.max_tick_ahead = ahead;
        self.merge.set_tick_limit(Timestamp::MAX);
    }

    /// Changes the memory budget, in bytes, after [`Error::WindowTooLarge`](crate::Error::WindowTooLarge); 0 is taken as 1.
    pub(crate) fn set_budget_bytes(&mut self, bytes: usize) {
        let bytes = bytes.max(1);
        self.config.budget_bytes = bytes;
        self.merge.set_budget_bytes(bytes);
        self.recheck = true;
    }

    /// Changes how many producers with sessions a channel may have and how long they are
    /// remembered, after [`Error::TooManyProducers`](crate::Error::TooManyProducers).
    pub(crate) fn set_producer_limits(&mut self, producers: ProducerLimits) {
        self.config.producer_limits = producers;
        self.merge.set_producer_limits(producers);
    }

    /// Changes how many records a checkpoint may hold back, after [`Error::SpanTooLong`](crate::Error::SpanTooLong).
    pub(crate) fn set_max_span(&mut self, records: u64) {
        self.config.max_span = records;
        self.merge.set_max_span(records);
    }

    /// Repairs a channel after [`Error::TickTooFar`](crate::Error::TickTooFar): the tick at this position does nothing. A
    /// stream that resumes from before it must be told again.
    ///
    pub(crate) fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        let slot = self.slot(channel)?;
        self.merge.ignore_tick(slot, position);
        Ok(())
    }
}
