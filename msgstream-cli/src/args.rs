//! What the command line takes.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use msgstream::consume::LatePolicy;

use crate::replay::TimeFormat;

/// Typed messages in, time-aligned packs out, over any log broker.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(ReplayArgs),
}

/// Replays CSV files through channels, and reads them back as packs aligned in event time.
///
/// Each row becomes a message in one of N channels, by the hash of its key. After a row whose time
/// is more than --max-delay past a multiple of --tick, every channel gets that multiple as a time
/// tick. Packs end at the ticks; a row that comes after a tick at or past its time is late.
///
/// The summary goes to stderr. Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage.
#[derive(Debug, Parser)]
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

    /// The column whose hash decides the channel
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key_column: String,

    /// How many channels to create; they are deleted at the end
    #[arg(long, value_name = "N")]
    pub(crate) channels: NonZeroU32,

    /// The interval of the time ticks, such as 1h or 500ms
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub(crate) tick: Duration,

    /// How far a row's time may be behind the greatest time before it
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = delay)]
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Late {
    Error,
    Deliver,
    Drop,
}

impl From<Late> for LatePolicy {
    fn from(late: Late) -> Self {
        match late {
            Late::Error => Self::Error,
            Late::Deliver => Self::Deliver,
            Late::Drop => Self::Drop,
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = delay(text)?;
    if interval.is_zero() {
        return Err("the interval must be 1ms at least".to_owned());
    }
    Ok(interval)
}

fn delay(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("times are in whole milliseconds".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        assert_eq!(interval("1h").unwrap(), Duration::from_secs(3600));
        assert_eq!(delay("0s").unwrap(), Duration::ZERO);
        for wrong in ["0s", "1us", "1500us", "-1h", "1", ""] {
            assert!(interval(wrong).is_err(), "{wrong:?}");
        }
    }
}
