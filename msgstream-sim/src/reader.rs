//! Reading.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportErrorKind,
};
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::timeout_at;

use crate::broker::{Attached, Channel, unavailable};
use crate::faults::{Dice, Fault};

/// Reads from an offset on. It holds no records between calls.
#[derive(Debug)]
pub(crate) struct SimReader {
    at: Attached,
    changed: Arc<Notify>,
    next: u64,
    /// It lost its connection since it last looked.
    cut_off: bool,
    stale: Option<Stale>,
}

/// A reader that is connected to a replica which lags behind.
#[derive(Debug)]
struct Stale {
    until: Duration,
    end: u64,
    /// Whether it takes that end for the end of the channel.
    caught_up: bool,
}

enum Look {
    Found(ReadBatch),
    Nothing {
        caught_up: bool,
        down: bool,
        /// It may be otherwise then, without a write.
        until: Option<Duration>,
    },
}

impl SimReader {
    pub(crate) fn new(at: Attached, changed: Arc<Notify>, next: u64) -> Self {
        // A new connection may be one to a replica that lags behind.
        Self { at, changed, next, cut_off: true, stale: None }
    }

    fn look(&mut self, limit: Limit) -> Result<Look, TransportErrorKind> {
        self.at.handle.check_open()?;
        let at = self.at.clone();
        at.with(|channel, dice| {
            if let Some(until) = channel.down(dice.now) {
                self.cut_off = true;
                return Ok(Look::Nothing { caught_up: false, down: true, until: Some(until) });
            }
            if let Some(until) = channel.stuck(dice.now) {
                return Ok(Look::Nothing { caught_up: false, down: false, until: Some(until) });
            }
            self.reconnect(channel, dice);
            self.take(channel, dice, limit)
        })
    }

    fn reconnect(&mut self, channel: &Channel, dice: &mut Dice) {
        self.stale.take_if(|stale| dice.healed || stale.until <= dice.now);
        let (rate, times) = dice.rates.stale.clone();
        let end = channel.log.end();
        if std::mem::take(&mut self.cut_off) && self.next < end && dice.rng.chance(rate) {
            dice.count(Fault::StaleRead);
            self.stale = Some(Stale {
                until: dice.now + dice.rng.time(&times),
                end: dice.rng.range(self.next..end),
                caught_up: dice.rng.chance(0.5),
            });
        }
    }

    /// What is there now, as far as this reader sees.
    fn take(
        &mut self,
        channel: &Channel,
        dice: &mut Dice,
        mut limit: Limit,
    ) -> Result<Look, TransportErrorKind> {
        let (end, at_end, until) = match &self.stale {
            Some(stale) => (stale.end, stale.caught_up, Some(stale.until)),
            None => (channel.log.end(), true, None),
        };
        if dice.happens(dice.rates.short_read, Fault::ShortRead) {
            limit.records = dice.rng.index(limit.records.min(8)) + 1;
        }
        let (records, next) = channel.log.read(self.next, end, limit)?;
        self.next = next;
        let caught_up = at_end && next >= end;
        if records.is_empty() {
            return Ok(Look::Nothing { caught_up, down: false, until });
        }
        let name = &self.at.name;
        dice.note(format_args!("read {name} {} to {next}, end {caught_up}", records.len()));
        Ok(Look::Found(ReadBatch::new(records, Position::new(next), caught_up)))
    }

    async fn take_or_wait(&mut self, limit: Limit) -> Result<ReadBatch, TransportErrorKind> {
        let broker = self.at.handle.broker.clone();
        let (deadline, there) = self.at.with(|channel, dice| {
            channel.roll_trouble(dice);
            let deadline = dice.now.saturating_add(limit.wait);
            Ok((deadline, dice.now + channel.latency(dice)))
        })?;
        broker.wait_until(there).await;
        let changed = self.changed.clone();
        loop {
            // It hears of everything from here on, so nothing slips in between look and wait.
            let changed = pin!(changed.notified());
            let (caught_up, down, until) = match self.look(limit)? {
                Look::Found(batch) => return Ok(batch),
                Look::Nothing { caught_up, down, until } => (caught_up, down, until),
            };
            if broker.lock().dice.now >= deadline {
                if down {
                    return Err(unavailable());
                }
                return Ok(ReadBatch::new(Vec::new(), Position::new(self.next), caught_up));
            }
            let again = until.map_or(deadline, |until| until.min(deadline));
            // Whether something changed or time went by: it looks again.
            drop(timeout_at(broker.instant(again), changed).await);
        }
    }
}

#[async_trait]
impl ChannelReader for SimReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        coop::consume_budget().await;
        self.take_or_wait(limit).await.map_err(|kind| self.at.error("read", kind))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.at.handle.reach("seek", &self.at.name).await?;
        let next = self.at.with(|channel, _| channel.log.resolve(start));
        self.next = next.map_err(|kind| self.at.error("seek", kind))?;
        let next = self.next;
        self.stale.take_if(|stale| stale.end < next);
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.at.life
    }
}
