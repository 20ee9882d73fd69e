//! What `msgstream repair-ticks` takes.

use std::time::Duration;

use clap::Parser;
use msgstream::record::Position;

use crate::args::duration::whole_ms;

/// Copies a channel without the ticks of a clock that was wrong, and ends it
///
/// A tick can't be taken back, so the channel itself can't be mended: its records are copied to a new
/// channel, unchanged, except for the ticks that are too far ahead. Then producers and consumers use the new
/// channel. Stop the producers first. It says what it will write, and asks.
#[derive(Debug, Parser)]
#[command(after_help = "Example: msgstream repair-ticks file:///var/lib/shop orders-1")]
pub(crate) struct RepairTicksArgs {
    /// Where the channel is
    pub(crate) url: String,
    /// The channel
    pub(crate) channel: String,
    /// The new channel; `CHANNEL.repaired` unless given, with `-` for each `:`
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) into: Option<String>,
    /// Leave out the tick at this position, too; may be given several times
    #[arg(long = "tick", value_name = "POSITION")]
    pub(crate) ticks: Vec<Position>,
    /// How far a tick may be ahead of the clock
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = whole_ms)]
    pub(crate) max_ahead: Duration,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Write what was done as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}
