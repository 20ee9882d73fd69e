//! What `msgstream produce` takes.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};

use crate::args::{Late, duration, number};
use crate::time::TimeFormat;

/// Writes rows of files, or of stdin, to channels.
///
/// Each row becomes a message. A time tick promises that nothing at or before its time follows;
/// consumers see a message once a tick at or after its time is on every channel. Where the input
/// ends, a last tick covers all rows; --tick and --tick-clock write ticks before that.
///
/// Only one program should tick on a channel at a time.
///
/// With --session, a run that was killed and is started again, with the same input and the same
/// options, goes on where it was, and each row is there once.
///
/// The summary goes to stderr, and with --json to stdout.
#[derive(Debug, Parser)]
#[command(
    group = ArgGroup::new("ticks").args(["tick", "tick_clock"]),
    after_help = "Examples:
  msgstream produce file:///var/lib/shop orders-0 orders-1 --input orders.csv --time-column at --key-column customer --tick 2s --max-delay 1s
  tail -F app.log | msgstream produce file:///var/lib/shop logs --tick-clock 200ms"
)]
pub(crate) struct ProduceArgs {
    /// Where the channels are
    pub(crate) url: String,

    /// Their names
    #[arg(required = true, value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,

    /// A file to read, plain or gzip, or with `-` stdin; may be given several times, and is read in
    /// that order
    #[arg(long = "input", value_name = "FILE", default_value = "-")]
    pub(crate) inputs: Vec<PathBuf>,

    /// What is in the input; by the name of each file unless given: csv for .csv, ndjson for .ndjson
    /// and .jsonl, else lines
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Fail if a channel is missing, instead of creating it
    #[arg(long)]
    pub(crate) no_create: bool,

    /// The column, or the member of a JSON object, with a row's time; the time at which it is read
    /// unless given
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: Option<String>,

    /// How times are written: rfc3339, unix (seconds), unix-ms, or a format as of strftime; a time
    /// without a zone is in UTC
    #[arg(long, value_name = "FORMAT", default_value = "rfc3339", requires = "time_column")]
    pub(crate) time_format: TimeFormat,

    /// The column with a row's key, which its record gets, and whose hash decides the channel; one
    /// channel after the other unless given
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key_column: Option<String>,

    /// Tick at multiples of this interval that the rows' times have passed
    #[arg(long, value_name = "DURATION", value_parser = duration::interval)]
    pub(crate) tick: Option<Duration>,

    /// Tick each time that this long has passed on the clock, just before the greatest time so far
    #[arg(long, value_name = "DURATION", value_parser = duration::interval)]
    pub(crate) tick_clock: Option<Duration>,

    /// How far ticks stay behind the greatest time so far: how late a row may be
    #[arg(long, value_name = "DURATION", default_value = "0s", requires = "ticks",
          value_parser = duration::whole_ms)]
    pub(crate) max_delay: Duration,

    /// What becomes of a row at or before the last tick: the run stops, the row is written all the
    /// same, or it is left out and counted
    #[arg(long, value_enum, default_value_t = Late::Error)]
    pub(crate) late: Late,

    /// End the channels: nothing can be written to them afterwards
    #[arg(long)]
    pub(crate) end: bool,

    /// Write each row exactly once under this name, over all runs with the same input and options: 1
    /// to 64 letters, digits, `.`, `_` and `-`
    #[arg(long, value_name = "ID", value_parser = session_id)]
    pub(crate) session: Option<String>,

    /// The channel that decides which of two runs of a session is the newer one; `ID.home` unless
    /// given
    #[arg(long, value_name = "CHANNEL", requires = "session")]
    pub(crate) home: Option<String>,

    /// Write the summary to stdout, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Write so many rows a second at most
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroU32>)]
    pub(crate) rate: Option<NonZeroU32>,
}

/// Reads what may name a session.
fn session_id(text: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(known) {
        true => Ok(text.to_owned()),
        false => Err("a session's name is 1 to 64 letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A header line with the names of the columns, and then rows
    Csv,
    /// A JSON value a line
    Ndjson,
    /// Text; the column of a line is called `line`
    Lines,
}
