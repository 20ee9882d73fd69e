//! What `msgstream doctor` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::args::duration::whole_ms;

/// Finds out why a stream has stopped, or is about to
///
/// Looks at the last records of each channel, the ticks, the sessions, the subscriptions and a checkpoint,
/// and says what is wrong, since when, and what to do. Nothing is written. Exit codes: 1 if an error was
/// found, 0 otherwise.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example: msgstream doctor file:///var/lib/shop orders-0 orders-1 --checkpoint total"
)]
pub(crate) struct DoctorArgs {
    /// Where the channels are
    pub(crate) url: String,
    /// The channels of one stream; unless given, those of the checkpoint, or all. Packs don't wait for the
    /// home channels of sessions
    #[arg(value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,
    /// The checkpoint of a consumer, as its `FileStore` keeps it
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A subscription to look at, instead of all; may be given several times
    #[arg(long = "subscription", value_name = "NAME")]
    pub(crate) subscriptions: Vec<String>,
    /// Read all records of the channels, not just the last ones
    #[arg(long)]
    pub(crate) scan: bool,
    /// Write each finding as a JSON object on a line, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// How far a channel, a subscription or the checkpoint may be behind
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = whole_ms)]
    pub(crate) max_lag: Duration,
    /// How far a tick or a message may be ahead of the clock
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = whole_ms)]
    pub(crate) max_ahead: Duration,
}
