//! What `msgstream top` takes.

use clap::Parser;

use crate::args::Point;

/// Shows live what a consumer of channels waits for: a row a channel, the one that holds the others up
/// on top
///
/// It reads by itself, and moves no subscription. Keys: q quits, ? explains the rest.
#[derive(Debug, Parser)]
#[command(after_help = "Example: msgstream top file:///var/lib/shop orders-0 orders-1")]
pub(crate) struct TopArgs {
    /// Where the channels are
    pub(super) url: String,
    /// Their names; all but the home channels of sessions unless given
    #[arg(value_name = "CHANNEL")]
    pub(super) channels: Vec<String>,
    /// Where reading begins: earliest, latest, a position, or a time in RFC 3339 by which the first
    /// record was stored
    #[arg(long, value_name = "POSITION|TIME", default_value = "earliest")]
    pub(super) from: Point,
}
