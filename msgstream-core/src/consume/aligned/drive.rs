//! Reads and merges until there is a pack.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Aligned;
use super::input::{Done, Event, Input};
use crate::error::Result;
use crate::merge::Slot;
use crate::message::MsgPack;
use crate::planted::{Bug, planted};
use crate::record::{Timestamp, TimestampError};
use crate::transport::{Limit, ReadBatch, TransportError};

/// After how long without a pack a warning is logged.
const PATIENCE: Duration = Duration::from_secs(10);

impl Aligned {
    /// Reads until a pack can be formed; `None` once every channel has ended.
    pub(super) async fn drive(&mut self) -> Result<Option<MsgPack>> {
        loop {
            if let Some(pack) = self.merge.advance()? {
                return Ok(Some(pack));
            }
            if self.merge.is_finished() {
                return Ok(None);
            }
            self.retry_refused()?;
            self.start_reads()?;
            match self.reads.next().await {
                Some(Event::Read(done)) => self.take(done)?,
                Some(Event::Rested { slot, generation }) => {
                    // Otherwise the channel was removed.
                    if self.input(slot, generation).is_some() {
                        self.park(slot);
                    }
                }
                // Nothing can be read because records were refused: those are tried again.
                None => {
                    self.recheck = true;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Starts a read on every channel that may be read.
    fn start_reads(&mut self) -> Result<()> {
        let mut index = if std::mem::take(&mut self.recheck) { 0 } else { self.checked };
        self.checked = 0;
        while let Some(&slot) = self.parked.get(index) {
            if self.start_read(slot)? {
                self.parked.swap_remove(index);
            } else {
                index += 1;
            }
        }
        self.checked = self.parked.len();
        Ok(())
    }

    /// Starts a read on a channel if it may be read. Returns whether it no longer waits for that.
    fn start_read(&mut self, slot: Slot) -> Result<bool> {
        let Some(input) = &mut self.inputs[slot.index()] else { return Ok(true) };
        if input.refused.is_some() {
            return Ok(false);
        }
        let mut bytes = self.merge.reserve(slot);
        while bytes == 0 {
            if !self.merge.blocks(slot) {
                // Paused: neither the time of a silence nor that of an outage counts.
                if let Some(input) = &mut self.inputs[slot.index()] {
                    input.silent_since = None;
                    input.tries.rest();
                }
                return Ok(false);
            }
            // A channel that packs wait for only waits for its turn, and a read will find out
            // whether something came meanwhile. If its silence was forgotten, it might never become
            // idle.
            match self.merge.relieve(slot) {
                Ok(Some(eviction)) => {
                    let Some(evicted) = &mut self.inputs[eviction.slot.index()] else { continue };
                    evicted.back_to = Some(eviction.from);
                    evicted.discard = evicted.reader.is_none();
                    evicted.refused = None;
                }
                Ok(None) => {}
                Err(error) => {
                    self.recheck = true;
                    return Err(error);
                }
            }
            bytes = self.merge.reserve(slot);
            if bytes == 0 && self.reads.in_flight() > 0 {
                // There will be room when reads in flight are done.
                self.recheck = true;
                return Ok(false);
            }
        }
        let Some(input) = &mut self.inputs[slot.index()] else { return Ok(true) };
        let Some(reader) = input.reader.take() else { return Ok(true) };
        let mut limit =
            Limit::default().with_records(self.config.max_records).with_wait(self.config.wait);
        limit.bytes = bytes;
        if let (Some(idle), Some(since)) = (self.config.idle_after, input.silent_since) {
            // Returns in time to find that the channel is idle.
            let left = since.saturating_add(idle).saturating_sub(self.reads.polled());
            limit.wait = limit.wait.min(left.max(Duration::from_millis(1)));
        }
        let back_to = input.back_to.take();
        self.reads.start(slot, input.generation, reader, back_to, limit);
        Ok(true)
    }

    /// Handles a read that is done.
    fn take(&mut self, done: Done) -> Result<()> {
        let slot = done.slot;
        // There is no input if the channel was removed.
        let Some(input) = self.input(slot, done.generation) else { return Ok(()) };
        input.reader = Some(done.reader);
        let discard = std::mem::take(&mut input.discard);
        if !discard {
            input.back_to = done.back_to;
        }
        self.merge.release(slot);
        let taken = match done.batch {
            Ok(batch) => {
                self.succeeded(slot);
                let taken = if discard { Ok(()) } else { self.push(slot, batch) };
                self.park(slot);
                taken
            }
            Err(error) => self.failed(slot, error),
        };
        self.warn_of_silence();
        taken
    }

    fn succeeded(&mut self, slot: Slot) {
        if let (Some(input), Some(name)) = (&mut self.inputs[slot.index()], self.merge.name(slot)) {
            input.tries.succeeded(name);
        }
    }

    /// Reads the channel again after a pause, if the error is temporary and there is time left.
    fn failed(&mut self, slot: Slot, error: TransportError) -> Result<()> {
        let (now, limit) = (self.reads.polled(), self.config.retry_for);
        let (Some(input), Some(name)) = (&mut self.inputs[slot.index()], self.merge.name(slot))
        else {
            return Ok(());
        };
        // It is no longer known to be caught up.
        input.silent_since = None;
        match input.tries.failed(name, error, now, limit) {
            Ok(pause) => {
                self.reads.rest(slot, input.generation, pause);
                Ok(())
            }
            Err(error) => {
                self.park(slot);
                Err(error.into())
            }
        }
    }

    fn input(&mut self, slot: Slot, generation: u64) -> Option<&mut Input> {
        let input = self.inputs.get_mut(slot.index()).and_then(Option::as_mut);
        input.filter(|input| input.generation == generation)
    }

    fn push(&mut self, slot: Slot, mut batch: ReadBatch) -> Result<()> {
        let Some(input) = &mut self.inputs[slot.index()] else { return Ok(()) };
        let polled = self.reads.polled();
        if !batch.records.is_empty() {
            input.heard = Instant::now();
            input.silent_since = None;
        }
        if batch.caught_up && !planted(Bug::LostCaughtUp) {
            input.silent_since = input.silent_since.or(Some(polled));
        } else {
            input.silent_since = None;
        }
        let idle =
            |since| self.config.idle_after.is_some_and(|idle| polled.saturating_sub(since) >= idle);
        let silent = batch.records.is_empty() && input.silent_since.is_some_and(idle);
        if silent {
            // From here on a new silence begins: the next reads wait as long as any other.
            input.silent_since = None;
        }
        if let Some(ahead) = self.config.max_tick_ahead {
            self.merge.set_tick_limit(clock_plus(ahead));
        }
        if let Err(error) = self.merge.push(slot, &mut batch.records, batch.next) {
            if let Some(input) = &mut self.inputs[slot.index()] {
                input.refused = Some((batch.records, batch.next));
            }
            self.refused = true;
            return Err(error);
        }
        if silent && self.merge.set_idle(slot)? {
            tracing::debug!(channel = self.merge.name(slot).map(|n| &**n), "the channel is idle");
        }
        Ok(())
    }

    /// Queues the channel for another read, unless it has ended.
    fn park(&mut self, slot: Slot) {
        if self.merge.is_ended(slot) {
            if let Some(input) = &mut self.inputs[slot.index()] {
                input.reader = None;
            }
            return;
        }
        self.parked.push(slot);
    }

    /// Pushes the records again that the merge refused.
    fn retry_refused(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.refused) {
            return Ok(());
        }
        (self.recheck, self.checked) = (true, 0);
        let mut first = None;
        for slot in std::mem::take(&mut self.parked) {
            let input = self.inputs[slot.index()].as_mut();
            let refused = input.and_then(|input| input.refused.take());
            let retried = refused
                .map(|(records, next)| self.push(slot, ReadBatch::new(records, next, false)));
            self.park(slot);
            if let Some(Err(error)) = retried {
                first = first.or(Some(error));
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn warn_of_silence(&mut self) {
        if !self.warned && self.last_pack.elapsed() > PATIENCE {
            self.warned = true;
            tracing::warn!("{}", self.status());
        }
    }
}

fn clock_plus(ahead: Duration) -> Timestamp {
    let limit = SystemTime::now().checked_add(ahead);
    // Past the end of time there is no bound, and a clock before 1970 accepts no tick.
    limit.map_or(Timestamp::MAX, |limit| match Timestamp::from_system_time(limit) {
        Ok(limit) => limit,
        Err(TimestampError::BeforeEpoch { .. }) => Timestamp::MIN,
        Err(_) => Timestamp::MAX,
    })
}
