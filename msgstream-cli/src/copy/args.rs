//! What `msgstream copy` takes.

use clap::Parser;

/// Copies channels to another broker, each message once.
///
/// The copy has the messages and the ticks that count, with their headers, so that its packs are those
/// of the source. Channels that are missing at the destination are made; those that are there must be
/// empty, or of this copy. After a crash, or Ctrl-C, the same command goes on where it stopped: the
/// place is kept at the destination.
///
/// It ends where the source ended when it began, or with --follow when it is stopped. The summary goes to
/// stderr, and with --json to stdout.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example: msgstream copy nats://localhost kafka://localhost orders-0 orders-1 --verify"
)]
pub(crate) struct CopyArgs {
    /// Where the channels are
    #[arg(value_name = "SRC_URL")]
    pub(crate) source: String,
    /// Where the copy is or will be
    #[arg(value_name = "DST_URL")]
    pub(crate) destination: String,
    /// The channels, which have the same names at the destination. A copy that goes on has the same
    /// channels as before
    #[arg(required = true, value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,
    /// Go on with what is written to the source, until all channels end or Ctrl-C, which is no failure then
    #[arg(long)]
    pub(crate) follow: bool,
    /// Leave out records that can't be read, and say where they are; otherwise they stop the copy
    #[arg(long)]
    pub(crate) skip_unreadable: bool,
    /// Read the source and the copy again, up to where the copy ended, and compare their packs
    #[arg(long)]
    pub(crate) verify: bool,
    /// Write the summary to stdout, as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
