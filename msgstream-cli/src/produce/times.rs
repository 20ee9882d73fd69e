//! The times of rows, and the ticks between them.

use std::time::{Duration, SystemTime};

use msgstream::Timestamp;
use msgstream::produce::TimeTicker;

use super::args::ProduceArgs;

/// Gives each row its time, and decides which tick is due.
#[derive(Debug)]
pub(super) struct Times {
    ticker: TimeTicker,
    when: When,
    greatest: Option<Timestamp>,
    /// The last tick that is on all channels.
    sent: Option<Timestamp>,
    /// The last tick that is on any of them.
    last: Option<Timestamp>,
}

/// When ticks are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// After a row that moves them.
    Rows,
    /// When a time has passed on the clock; `true` if the rows' times are the clock's.
    Clock(bool),
    /// Once, where the input ends.
    End,
}

/// What earlier runs of a session ticked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticked {
    /// On all channels.
    pub(super) all: Option<Timestamp>,
    /// On any of them.
    pub(super) any: Option<Timestamp>,
}

impl Times {
    pub(super) fn new(args: &ProduceArgs, ticked: Ticked) -> Self {
        let when = match (args.tick, args.tick_clock) {
            (Some(_), _) => When::Rows,
            (None, Some(_)) => When::Clock(args.time_column.is_none()),
            (None, None) => When::End,
        };
        let interval = args.tick.unwrap_or(Duration::from_millis(1));
        Self {
            ticker: TimeTicker::new(interval).with_delay(args.max_delay),
            when,
            greatest: None,
            sent: ticked.all,
            last: ticked.any,
        }
    }

    /// Returns the time of a row: that of its column, or of the clock, which never goes back and is
    /// never late.
    pub(super) fn of_row(&self, column: Option<Timestamp>) -> Timestamp {
        column.unwrap_or_else(|| {
            let least = self.last.map_or(Timestamp::MIN, Timestamp::next);
            now().max(self.greatest.unwrap_or_default()).max(least)
        })
    }

    /// Returns the tick at or after a time, if there was one already, in this run or an earlier one.
    pub(super) fn late_for(&self, ts: Timestamp) -> Option<Timestamp> {
        self.last.filter(|tick| ts <= *tick)
    }

    /// Returns whether a time is late for a tick that the rows before it led to, in every run with
    /// the same rows.
    pub(super) fn is_late_by_rows(&self, ts: Timestamp) -> bool {
        self.ticker.is_late(ts)
    }

    /// Observes the time of a row. Returns the tick that is due after it.
    pub(super) fn observe(&mut self, ts: Timestamp) -> Option<Timestamp> {
        self.greatest = self.greatest.max(Some(ts));
        let due = (self.when == When::Rows).then(|| self.ticker.observe(ts));
        due.flatten().and_then(|tick| self.send(tick))
    }

    /// Returns the tick that is due by the clock.
    pub(super) fn by_clock(&mut self) -> Option<Timestamp> {
        let greatest = match self.when {
            When::Clock(true) => self.greatest.max(Some(now())),
            _ => self.greatest,
        };
        let due = self.ticker.observe(greatest?)?;
        self.send(due)
    }

    /// Returns the tick after all rows.
    pub(super) fn finish(&mut self) -> Option<Timestamp> {
        // Every reader refuses a tick at the end of time.
        let greatest = self.greatest?.min(Timestamp(u64::MAX - 1));
        self.send(greatest)
    }

    /// Returns the time at which channels end.
    pub(super) fn end(&self) -> Timestamp {
        self.last.max(self.greatest).unwrap_or_default().min(Timestamp(u64::MAX - 1))
    }

    fn send(&mut self, tick: Timestamp) -> Option<Timestamp> {
        if Some(tick) <= self.sent {
            return None;
        }
        self.last = self.last.max(Some(tick));
        Some(*self.sent.insert(tick))
    }
}

fn now() -> Timestamp {
    // A clock before 1970 stands still at its beginning.
    Timestamp::from_system_time(SystemTime::now()).unwrap_or_default()
}
