//! Changes of the configuration after which a consumer continues after an error.

use std::time::Duration;

use super::Aligned;
use crate::dedup::ProducerLimits;
use crate::error::Result;
use crate::merge::LatePolicy;
use crate::record::Position;
use crate::record::Timestamp;

impl Aligned {
    /// Sets how late records are handled.
    pub(crate) fn set_late_policy(&mut self, late: LatePolicy) -> Result<()> {
        let config = self.config.with_late_policy(late);
        config.merge()?;
        self.config = config;
        self.merge.set_late_policy(late);
        Ok(())
    }

    /// Sets how far a tick may be ahead of the system's clock; `None` accepts any tick.
    pub(crate) fn set_max_tick_ahead(&mut self, ahead: Option<Duration>) {
        self.config.max_tick_ahead = ahead;
        self.merge.set_tick_limit(Timestamp::MAX);
    }

    /// Sets the memory budget, in bytes; 0 counts as 1.
    pub(crate) fn set_budget_bytes(&mut self, bytes: usize) {
        let bytes = bytes.max(1);
        self.config.budget_bytes = bytes;
        self.merge.set_budget_bytes(bytes);
        self.recheck = true;
    }

    /// Sets how many producers with sessions a channel may have, and for how long they are
    /// remembered.
    pub(crate) fn set_producer_limits(&mut self, producers: ProducerLimits) {
        self.config.producer_limits = producers;
        self.merge.set_producer_limits(producers);
    }

    /// Sets how many records of a channel a checkpoint may hold back.
    pub(crate) fn set_max_span(&mut self, records: u64) {
        self.config.max_span = records;
        self.merge.set_max_span(records);
    }

    /// Ignores the tick at this position.
    pub(crate) fn ignore_tick(&mut self, channel: &str, position: Position) -> Result<()> {
        let slot = self.slot(channel)?;
        self.merge.ignore_tick(slot, position);
        Ok(())
    }
}
