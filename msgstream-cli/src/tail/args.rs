//! What `msgstream tail` takes.

use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};

use super::filter::Filter;
use crate::args::{Late, Point, duration, number};

/// Shows the messages of channels, in the order of time.
///
/// Messages come in packs: each holds what is between two time ticks, on all channels together. A
/// message is shown once every channel has a tick at or after its time; --raw shows the records of
/// each channel as they are stored, without waiting for ticks.
///
/// Each line of the output is a JSON object: {"channel","position","ts","type","id","vchannel",
/// "late"}, and of the content one of "row" (what produce and replay wrote, and other messages that the
/// library wrote as JSON), "fields" (the library's own messages, such as inserts), and "payload_base64"
/// (anything else, also JSON that another program wrote without the library).
#[derive(Debug, Parser)]
#[command(
    // What other commands have, this one always does.
    arg = clap::Arg::new("json").long("json").action(ArgAction::SetTrue).hide(true),
    after_help = "Examples:
  msgstream tail file:///var/lib/shop orders-0 orders-1 --follow
  msgstream tail file:///var/lib/shop orders-0 --from 2026-11-01T00:00:00Z --filter type=Row --count 10"
)]
pub(crate) struct TailArgs {
    /// Where the channels are
    pub(crate) url: String,

    /// Their names
    #[arg(required = true, value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,

    /// Where to begin: earliest, latest, a time in RFC 3339 by which it was stored, or of a single
    /// channel a position, as lines have it; earliest unless given. With --checkpoint it counts as long
    /// as the file isn't there
    #[arg(long, value_name = "POINT")]
    pub(crate) from: Option<Point>,

    /// Wait for more at the end, and for channels that aren't there yet; the default if stdout is a
    /// terminal
    #[arg(long, conflicts_with = "until_end")]
    pub(crate) follow: bool,

    /// Stop where the last tick of every channel is at the start, or with --raw the last record; the
    /// default if stdout is no terminal
    #[arg(long)]
    pub(crate) until_end: bool,

    /// Stop after so many lines
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroU64>)]
    pub(crate) count: Option<NonZeroU64>,

    /// Write a line a pack: {"begin","end","messages"}
    #[arg(long, conflicts_with = "raw")]
    pub(crate) packs: bool,

    /// Show each channel by itself: all records in the order in which they are stored, ticks and what
    /// sessions write for themselves included, with their "headers"
    #[arg(long)]
    pub(crate) raw: bool,

    /// What becomes of a late message: the command stops, the message is shown and flagged, or it is
    /// left out
    #[arg(long, value_enum, default_value_t = Late::Error, conflicts_with = "raw")]
    pub(crate) late: Late,

    /// Show only messages of these types (by name or number) and virtual channels, such as
    /// type=Row,type=Insert,vchannel=dml_3_42v0
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) filter: Option<Filter>,

    /// Keep in this file what was shown, and go on after that the next time, with the same channels
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// End packs at multiples of this interval, for channels whose ticks don't line up
    #[arg(long, value_name = "DURATION", value_parser = duration::interval, conflicts_with = "raw")]
    pub(crate) align: Option<Duration>,

    /// For channels without ticks: take it that no message is so far behind the greatest time before
    /// it, or further
    #[arg(long, value_name = "DELAY", value_parser = duration::whole_ms, conflicts_with = "raw")]
    pub(crate) synthetic_ticks: Option<Duration>,
}

impl TailArgs {
    /// Returns where to begin.
    pub(super) fn from(&self) -> Point {
        self.from.unwrap_or(Point::Earliest)
    }

    /// Returns whether to stop at the end that the channels have at the start.
    pub(super) fn stops(&self) -> bool {
        self.until_end || !self.follow && !std::io::stdout().is_terminal()
    }
}
