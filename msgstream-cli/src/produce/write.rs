//! Rows to channels.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use indicatif::ProgressBar;
use msgstream::message::Message;
use msgstream::produce::PackReceipt;
use msgstream::{Producer, Timestamp};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::args::ProduceArgs;
use super::pace::Pace;
use super::route::Route;
use super::rows::{Input, InputRow};
use super::times::Times;
use crate::args::Late;
use crate::error::{Error, Result};
use crate::time::Time;

/// So many batches may wait to be stored. While they do, rows gather for the next one, so that
/// batches are large where storing takes long.
const IN_FLIGHT: usize = 8;

/// Writes rows to channels, with the ticks between them.
pub(super) struct Writer<'a, S> {
    pub(super) producer: Producer<S>,
    input: &'a Input,
    route: Route,
    times: Times,
    late: Late,
    pace: Pace,
    clock: Option<Duration>,
    in_flight: VecDeque<PackReceipt>,
    pub(super) tally: Tally,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    channels: usize,
    submitted: u64,
    /// Rows that an earlier run of the session wrote.
    written_before: u64,
    late: u64,
    dropped: u64,
}

impl<'a, S> Writer<'a, S> {
    pub(super) fn new(
        producer: Producer<S>,
        args: &ProduceArgs,
        input: &'a Input,
        route: Route,
        times: Times,
    ) -> Self {
        Self {
            producer,
            input,
            route,
            times,
            late: args.late,
            pace: Pace::new(args.rate),
            clock: args.tick_clock,
            in_flight: VecDeque::new(),
            tally: Tally { channels: args.channels.len(), ..Tally::default() },
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
                    if let Some(tick) = self.times.by_clock() {
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
            bar.set_message(format!("{} rows", self.tally.submitted));
        }
    }

    /// Writes the last tick, and ends or closes the channels.
    pub(super) async fn finish(mut self, end: bool) -> Result<()> {
        if end {
            return Ok(self.producer.end(self.times.end()).await?);
        }
        if let Some(tick) = self.times.finish() {
            self.tick(tick).await?;
        }
        Ok(self.producer.close().await?)
    }

    /// Checks at the end of the input that it has all that the session wrote before.
    pub(super) fn check(&self, channels: &[String], session: &str) -> Result<()> {
        self.route.check(channels, session)
    }

    async fn write(&mut self, rows: impl Iterator<Item = Result<InputRow>>) -> Result<()> {
        let mut messages = Vec::new();
        for row in rows {
            match row.and_then(|row| self.admit(row)) {
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

    /// Returns the message of a row, unless it is there already or left out, and the tick after it.
    ///
    /// What becomes of a row depends on the rows before it, on the session's last numbers, and with
    /// `--late error` on earlier ticks: never on the clock, so that each run of a session counts the
    /// same rows.
    fn admit(&mut self, row: InputRow) -> Result<(Option<Message>, Option<Timestamp>)> {
        let InputRow { place, parsed } = row;
        let channel = self.route.next(parsed.key).map_err(msgstream::Error::from)?;
        let ts = self.times.of_row(parsed.ts);
        if self.late == Late::Drop && self.times.is_late_by_rows(ts) {
            (self.tally.late, self.tally.dropped) = (self.tally.late + 1, self.tally.dropped + 1);
            return Ok((None, None));
        }
        if self.route.is_written(channel) {
            self.tally.written_before += 1;
            return Ok((None, self.times.observe(ts)));
        }
        if let Some(tick) = self.times.late_for(ts) {
            let ((path, line), tick) = (self.input.at(place), Time(tick));
            match self.late {
                Late::Deliver => self.tally.late += 1,
                _ if self.times.is_late_by_rows(ts) => {
                    return Err(Error::LateRow { path, line, ts: Time(ts), tick });
                }
                _ => return Err(Error::LateRowOfSession { path, line, ts: Time(ts), tick }),
            }
        }
        // The key decides the channel modulo their number.
        let hash_key = u32::try_from(channel).unwrap_or(u32::MAX);
        let message = parsed.row.into_message(place, ts, hash_key)?;
        Ok((Some(message.into()), self.times.observe(ts)))
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
        self.tally.submitted += rows as u64;
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

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, submitted, written_before, late, dropped } = self;
        let (rows, of) = (plural(*submitted, "row"), plural(*channels as u64, "channel"));
        write!(f, "wrote {rows} to {of}")?;
        for (count, what) in
            [(written_before, "written before"), (late, "late"), (dropped, "dropped")]
        {
            if *count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

fn plural(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}
