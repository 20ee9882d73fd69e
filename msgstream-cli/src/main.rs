//! The command line tool `msgstream`: channels and streams at any broker, by URL.
//!
//! ```text
//! msgstream COMMAND URL [CHANNEL...] [--options]
//! ```
//!
//! Exit codes: 0 done, 1 failed or found something, 2 wrong usage, 3 the broker can't be reached.

mod args;
mod asked;
mod channels;
mod conformance;
mod copy;
mod doctor;
mod error;
mod home;
mod input;
mod interrupt;
mod judge;
mod output;
mod parts;
mod produce;
mod repair_ticks;
mod replay;
mod row;
mod settings;
mod shell;
mod tail;
mod time;
mod top;
mod words;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::error::{Error, Result};

fn main() -> ExitCode {
    let args = Args::read();
    words::set(args.color, args.quiet, args.verbose);
    let (runtime, result) = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run(args));
            (Some(runtime), result)
        }
        Err(source) => (None, Err(Error::Runtime { source })),
    };
    if let Err(error) = &result
        && !matches!(error, Error::OutputClosed)
    {
        words::say_error(&error::chain(error));
    }
    if let Some(runtime) = runtime {
        // A thread that is stuck in a read or a write must not keep the process.
        runtime.shutdown_background();
    }
    result.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}

async fn run(args: Args) -> Result<()> {
    settings::load(args.config.as_deref())?;
    match args.command {
        Command::Channels(args) => channels::run(&args).await,
        Command::Completions(args) => shell::completions(&args),
        Command::Conformance(args) => conformance::run(&args).await,
        Command::Copy(args) => copy::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Man(args) => shell::man(&args),
        Command::Produce(args) => produce::run(&args).await,
        Command::RepairTicks(args) => repair_ticks::run(&args).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Tail(args) => tail::run(&args).await,
        Command::Top(args) => top::run(&args).await,
    }
}
