//! Kills producers, consumers and brokers while they work, and checks that every message counts
//! once.
//!
//! ```text
//! eval "$(brokers/up nats)"
//! cargo run -p msgstream-crash --features nats -- --url "$MSGSTREAM_NATS_URL" \
//!     rounds --kind broker,consumer,producer --rounds 3
//! cargo run -p msgstream-crash --features nats -- --url "$MSGSTREAM_NATS_URL" restart
//! ```

mod args;
mod broker;
mod check;
mod consumer;
mod error;
mod fault;
mod folder;
mod journal;
mod log;
mod model;
mod output;
mod plan;
mod process;
mod producer;
mod raw;
mod report;
mod round;
mod run;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tokio::time::timeout;

use crate::args::{Arguments, Command};
use crate::error::{Error, Result};
use crate::folder::Folder;

// One thread: a process that is killed has nothing half done beside what it waits for.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { url, command } = Arguments::parse();
    let result = match &command {
        Command::Rounds(args) => run::rounds(&url, args).await.map(Some),
        Command::Restart(args) => run::restart(&url, args).await.map(Some),
        Command::Producer { folder, index } => {
            child(folder, async |folder| producer::run(&url, folder, *index).await).await
        }
        Command::Consumer { folder } => {
            child(folder, async |folder| consumer::run(&url, folder).await).await
        }
    };
    match result {
        Ok(None) => {}
        Ok(Some(table)) => drop(write!(std::io::stdout(), "{table}")),
        Err(error) => {
            say(&format!("error: {}", error::chain(&error)));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The work of a process, which ends in time even if nobody is left to end it.
async fn child<T>(
    folder: &Path,
    work: impl AsyncFnOnce(&Folder) -> Result<()>,
) -> Result<Option<T>> {
    let folder = Folder::new(folder);
    let after = folder.read_plan()?.deadline();
    let late = |_| Error::Deadline { what: "the process".to_owned(), after };
    timeout(after, work(&folder)).await.map_err(late)??;
    Ok(None)
}

/// Writes a line to stderr. Where that is closed there is nobody to tell.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
