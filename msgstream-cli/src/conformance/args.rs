//! What `msgstream conformance` takes.

use std::num::NonZeroUsize;

use clap::Parser;

/// Runs the conformance suite against a server, and prints what its transport can do.
///
/// The scenarios make channels whose names begin with `conformance-`, and only touch these. Those that
/// need something that the server or its settings don't have are listed as ignored, with the reason.
#[derive(Debug, Parser)]
#[command(after_help = "Example: msgstream conformance file:///tmp/suite start::")]
pub(crate) struct ConformanceArgs {
    /// The server
    pub(crate) url: String,

    /// Only scenarios whose names hold this
    pub(crate) filter: Option<String>,

    /// Only the scenario of exactly that name
    #[arg(long, requires = "filter")]
    pub(crate) exact: bool,

    /// Name the scenarios, and run none
    #[arg(long)]
    pub(crate) list: bool,

    /// How many scenarios run at a time; four for each core unless given
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}
