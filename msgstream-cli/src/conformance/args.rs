//! What `msgstream conformance` takes.

use std::num::NonZeroUsize;

use clap::Parser;

use crate::args::number;

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

    /// Write a JSON object a line: what became of each scenario, or with --list its name
    #[arg(long)]
    pub(crate) json: bool,

    /// How many scenarios run at a time; four for each core unless given
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroUsize>)]
    pub(crate) threads: Option<NonZeroUsize>,
}
