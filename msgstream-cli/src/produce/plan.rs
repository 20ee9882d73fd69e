//! What becomes of each row.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use msgstream::Timestamp;
use msgstream::message::{Message, hash_str};
use serde::Serialize;

use super::args::ProduceArgs;
use super::route::Route;
use super::rows::{Input, InputRow};
use super::times::{Ticked, Times};
use crate::args::Late;
use crate::error::{Error, Result};
use crate::time::Time;
use crate::words::plural;

/// Decides what becomes of each row, and which ticks there are between them.
pub(super) struct Plan<'a> {
    input: &'a Input,
    route: Route,
    pub(super) times: Times,
    late: Late,
    pub(super) tally: Tally,
}

/// What became of the rows.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Tally {
    channels: usize,
    #[serde(rename = "rows")]
    pub(super) submitted: u64,
    /// Rows that an earlier run of the session wrote.
    written_before: u64,
    late: u64,
    dropped: u64,
}

impl<'a> Plan<'a> {
    /// Begins with the first row. `last` has the session's last sequence number on each channel.
    pub(super) fn new(
        args: &ProduceArgs,
        input: &'a Input,
        last: &BTreeMap<Arc<str>, u64>,
        ticked: Ticked,
    ) -> Self {
        Self {
            input,
            route: Route::new(&args.channels, last),
            times: Times::new(args, ticked),
            late: args.late,
            tally: Tally { channels: args.channels.len(), ..Tally::default() },
        }
    }

    /// Returns the message of a row, unless it is there already or left out, and the tick after it.
    ///
    /// What becomes of a row depends on the rows before it, on the session's last numbers, and with
    /// `--late error` on earlier ticks: never on the clock, so that each run of a session counts the
    /// same rows.
    pub(super) fn admit(&mut self, row: InputRow) -> Result<(Option<Message>, Option<Timestamp>)> {
        let InputRow { place, parsed } = row;
        let hash = parsed.key.as_deref().map(hash_str);
        let channel = self.route.next(hash).map_err(msgstream::Error::from)?;
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
                _ => return Err(Error::LateRowBefore { path, line, ts: Time(ts), tick }),
            }
        }
        // The key decides the channel modulo their number.
        let hash_key = u32::try_from(channel).unwrap_or(u32::MAX);
        let message = parsed.row.into_message(place, ts, hash_key, parsed.key)?;
        Ok((Some(message.into()), self.times.observe(ts)))
    }

    /// Checks at the end of the input that it has all that the session wrote before.
    pub(super) fn check(&self, channels: &[String], session: &str) -> Result<()> {
        self.route.check(channels, session)
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
