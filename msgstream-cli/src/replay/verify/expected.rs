//! What a run must hand out, worked out from the files alone.
//!
//! This is the rule of the ticks once more, in code of its own that shares nothing with the run
//! but the reading of CSV.

use std::time::Duration;

use indicatif::ProgressBar;
use msgstream::Timestamp;
use msgstream::message::hash_str;

use super::seen::hash_row;
use crate::error::Result;
use crate::replay::rows::{Input, RowOrBad, Rows};
use crate::row::Place;

/// What a run over some files must hand out.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// The ends of the packs.
    pub(super) ticks: Vec<Timestamp>,
    /// The rows in the order in which they must come.
    pub(super) rows: Vec<ExpectedRow>,
    pub(super) read: u64,
    pub(super) bad: u64,
    pub(super) late: u64,
    pub(super) dropped: u64,
}

/// A row that must be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExpectedRow {
    pub(super) hash: u64,
    pub(super) ts: Timestamp,
    /// The time at which it counts: its own, or just after the tick that it is late for.
    pub(super) eff: Timestamp,
    /// The number of its channel.
    pub(super) channel: u32,
    pub(super) place: Place,
}

impl ExpectedRow {
    pub(super) fn late(&self) -> bool {
        self.eff > self.ts
    }
}

/// How a run was made.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) tick: Duration,
    pub(crate) max_delay: Duration,
    /// Late rows are dropped.
    pub(crate) drop_late: bool,
    /// The channels, by number.
    pub(crate) channels: Vec<String>,
}

impl Expected {
    pub(super) fn read(input: Input, rule: &Rule) -> Result<Self> {
        let mut rows = Rows::new(input, ProgressBar::hidden())?;
        let mut ticks = Ticks::new(rule);
        let mut this = Self::default();
        let channels = rule.channels.len().max(1);
        while let Some(row) = rows.next()? {
            this.read += 1;
            let RowOrBad::Row(row) = row else {
                this.bad += 1;
                continue;
            };
            let ms = row.ts.physical_ms();
            let watermark = ticks.last;
            if let Some(tick) = ticks.after(ms) {
                this.ticks.push(at(tick));
            }
            let late = watermark.is_some_and(|watermark| ms <= watermark);
            this.late += u64::from(late);
            if late && rule.drop_late {
                this.dropped += 1;
                continue;
            }
            this.rows.push(ExpectedRow {
                hash: hash_row(row.columns.iter().map(String::as_str).zip(row.fields.iter())),
                ts: row.ts,
                eff: watermark.filter(|_| late).map_or(row.ts, |watermark| at(watermark).next()),
                channel: (hash_str(row.key) as usize % channels) as u32,
                place: row.place,
            });
        }
        this.ticks.push(at(ticks.greatest.unwrap_or(0)));
        let name = |row: &ExpectedRow| rule.channels.get(row.channel as usize);
        // Rows of equal time and channel stay in the order of the files.
        this.rows.sort_by(|a, b| a.eff.cmp(&b.eff).then_with(|| name(a).cmp(&name(b))));
        Ok(this)
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp(ms << Timestamp::LOGICAL_BITS)
}

/// The ticks, all in milliseconds.
pub(super) struct Ticks {
    interval: u64,
    delay: u64,
    greatest: Option<u64>,
    last: Option<u64>,
}

impl Ticks {
    pub(super) fn new(rule: &Rule) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            interval: ms(rule.tick).max(1),
            delay: ms(rule.max_delay),
            greatest: None,
            last: None,
        }
    }

    /// The tick that follows a row: the last multiple of the interval that the greatest time is
    /// more than the delay past, where that is a new one.
    pub(super) fn after(&mut self, ms: u64) -> Option<u64> {
        let greatest = self.greatest.map_or(ms, |greatest| greatest.max(ms));
        self.greatest = Some(greatest);
        let before = greatest.checked_sub(self.delay)?.checked_sub(1)?;
        let tick = before / self.interval * self.interval;
        (Some(tick) > self.last).then(|| *self.last.insert(tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_passed_by_more_than_the_delay() {
        let rule = Rule {
            tick: Duration::from_millis(10),
            max_delay: Duration::from_millis(5),
            drop_late: false,
            channels: Vec::new(),
        };
        let mut ticks = Ticks::new(&rule);
        let after = [3, 5, 6, 15, 16, 2, 46].map(|ms| ticks.after(ms));
        assert_eq!(after, [None, None, Some(0), None, Some(10), None, Some(40)]);
    }
}
