//! The command line tool `msgstream`: shows the library at work on real input.
//!
//! ```text
//! msgstream replay FILE... --time-column C --key-column K --channels N --tick 1h
//! ```
//!
//! Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage.

mod args;
mod error;
mod replay;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let Args { command: Command::Replay(args) } = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match &runtime {
        Ok(runtime) => runtime.block_on(replay::run(&args)),
        Err(error) => Err(Error::Runtime { reason: error.to_string() }),
    };
    if let Err(error) = &result {
        say(&format!("error: {}", error::chain(error)));
    }
    if let Ok(runtime) = runtime {
        // A thread that is stuck in a read or a write must not keep the process.
        runtime.shutdown_background();
    }
    result.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}

/// Writes a line to stderr. Where that is closed there is nobody to tell.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
