//! What `msgstream replay` takes.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::args::{Late, duration, number};
use crate::time::TimeFormat;

/// Replays CSV files through channels, and reads them back as packs aligned in event time.
///
/// Each row becomes a message in one of N channels, by the hash of its key. After a row whose time
/// is more than --max-delay past a multiple of --tick, every channel gets that multiple as a time
/// tick. Packs end at the ticks; a row that comes after a tick at or past its time is late.
///
/// The summary goes to stderr, and with --json to stdout.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example: msgstream replay orders.csv --time-column at --key-column customer --channels 4 --tick 1h --verify"
)]
pub(crate) struct ReplayArgs {
    /// CSV files with a header each, plain or gzip, read in this order
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The column with a row's time
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: String,

    /// How times are written: rfc3339, unix (seconds), unix-ms, or a format as of strftime; a time
    /// without a zone is in UTC
    #[arg(long, value_name = "FORMAT", default_value = "rfc3339")]
    pub(crate) time_format: TimeFormat,

    /// The column with a row's key, which its record gets, and whose hash decides the channel
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key_column: String,

    /// How many channels to create; they are deleted at the end
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroU32>)]
    pub(crate) channels: NonZeroU32,

    /// The interval of the time ticks, such as 1h or 500ms
    #[arg(long, value_name = "DURATION", value_parser = duration::interval)]
    pub(crate) tick: Duration,

    /// How far a row's time may be behind the greatest time before it
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::whole_ms)]
    pub(crate) max_delay: Duration,

    /// What becomes of a late row: the run stops, the row is delivered and flagged, or it is
    /// dropped and counted
    #[arg(long, value_enum, default_value_t = Late::Error)]
    pub(crate) late: Late,

    /// Where the channels are
    #[arg(long, default_value = "mem://")]
    pub(crate) url: String,

    /// Write the packs as NDJSON, a line a row, to a file, or with `-` to stdout; without it only
    /// the summary is written
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Set rows that can't be parsed aside, as CSV with file, line, reason and raw text, instead of
    /// stopping at the first
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_rows: Option<PathBuf>,

    /// Read the files again after the run, and compare rows, intervals and order with what was
    /// written to --output, where that is a file, else with what was consumed
    #[arg(long)]
    pub(crate) verify: bool,

    /// Write the summary to stdout, as a JSON object; the rows go to a file then, if anywhere
    #[arg(long)]
    pub(crate) json: bool,
}
