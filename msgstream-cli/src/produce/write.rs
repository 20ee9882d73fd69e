//! Rows to channels.

use std::collections::VecDeque;
use std::time::Duration;

use indicatif::ProgressBar;
use msgstream::message::Message;
use msgstream::produce::PackReceipt;
use msgstream::{Producer, Timestamp};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::args::ProduceArgs;
use super::pace::Pace;
use super::plan::Plan;
use super::rows::InputRow;
use crate::error::Result;

/// So many batches may wait to be stored. While they do, rows gather for the next one, so that
/// batches are large where storing takes long.
const IN_FLIGHT: usize = 8;

/// Writes rows to channels, with the ticks between them.
pub(super) struct Writer<'a, S> {
    pub(super) producer: Producer<S>,
    pub(super) plan: Plan<'a>,
    pace: Pace,
    clock: Option<Duration>,
    in_flight: VecDeque<PackReceipt>,
}

impl<'a, S> Writer<'a, S> {
    pub(super) fn new(producer: Producer<S>, plan: Plan<'a>, args: &ProduceArgs) -> Self {
        Self {
            producer,
            plan,
            pace: Pace::new(args.rate),
            clock: args.tick_clock,
            in_flight: VecDeque::new(),
        }
    }

    /// Writes rows until no more come.
    pub(super) async fn run(
        &mut self,
        rows: &mut Receiver<Result<InputRow>>,
        bar: &ProgressBar,
    ) -> Result<()> {
        let mut clock = self.clock.map(|every| {
            let mut clock = interval(every);
            clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
            clock
        });
        let mut taken = Vec::new();
        loop {
            let count = tokio::select! {
                biased;
                () = passed(&mut clock) => {
                    if let Some(tick) = self.plan.times.by_clock() {
                        self.tick(tick).await?;
                    }
                    continue;
                }
                count = self.pace.take(rows, &mut taken) => count,
            };
            if count == 0 {
                return Ok(());
            }
            self.write(taken.drain(..)).await?;
            bar.set_message(format!("{} rows", self.plan.tally.submitted));
        }
    }

    /// Writes the last tick, and ends or closes the channels.
    pub(super) async fn finish(mut self, end: bool) -> Result<()> {
        if end {
            return Ok(self.producer.end(self.plan.times.end()).await?);
        }
        if let Some(tick) = self.plan.times.finish() {
            self.tick(tick).await?;
        }
        Ok(self.producer.close().await?)
    }

    async fn write(&mut self, rows: impl Iterator<Item = Result<InputRow>>) -> Result<()> {
        let mut messages = Vec::new();
        for row in rows {
            match row.and_then(|row| self.plan.admit(row)) {
                Ok((message, tick)) => {
                    messages.extend(message);
                    if let Some(tick) = tick {
                        self.submit(&mut messages).await?;
                        self.tick(tick).await?;
                    }
                }
                Err(error) => {
                    self.submit(&mut messages).await?;
                    return Err(error);
                }
            }
        }
        self.submit(&mut messages).await
    }

    async fn submit(&mut self, messages: &mut Vec<Message>) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        if self.in_flight.len() >= IN_FLIGHT
            && let Some(first) = self.in_flight.pop_front()
        {
            first.await?;
        }
        self.producer.ready().await?;
        let rows = messages.len();
        self.in_flight.push_back(self.producer.submit(std::mem::take(messages))?);
        self.plan.tally.submitted += rows as u64;
        self.pace.wrote(rows);
        Ok(())
    }

    async fn tick(&mut self, ts: Timestamp) -> Result<()> {
        // Everything before it is stored then.
        self.producer.tick(ts).await?;
        self.in_flight.clear();
        Ok(())
    }
}

/// Waits until the interval has passed; for ever if there is none.
async fn passed(clock: &mut Option<Interval>) {
    match clock {
        Some(clock) => drop(clock.tick().await),
        None => std::future::pending().await,
    }
}
