//! `msgstream copy`: channels of one broker to another, each message once.
//!
//! ```text
//! read ~> judge -> session ~> destination, and now and then the place behind it
//! ```
//!
//! Each channel is copied in its own order: what counts of it, as consumers judge. The session's
//! numbers say how much of that is stored, whatever a crash left in doubt. See
//! docs/decisions/0017-exactly-once-copy.md.

mod args;
mod channel;
mod copier;
mod destination;
mod error;
mod place;
mod progress;
mod reading;
mod tally;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use msgstream::transport::Transport;
use serde::Serialize;
use tokio::task::JoinHandle;

pub(crate) use self::args::CopyArgs;
use self::copier::Copier;
pub(crate) use self::error::CopyError;
pub(crate) use self::place::PLACE;
use self::tally::Tally;
use self::verify::Verified;
use crate::asked::Asked;
use crate::error::{Error, Result};
use crate::interrupt::interrupt;
use crate::output::print_json;
use crate::settings::{connect, connect_existing};
use crate::words::say;

/// Runs the command.
pub(crate) async fn run(args: &CopyArgs) -> Result<()> {
    if address(&args.source) == address(&args.destination) {
        return Err(CopyError::OntoItself.into());
    }
    let source = connect_existing(&args.source).await?;
    let destination = connect(&args.destination).await?;
    let done = run_on(&source, &destination, args).await;
    let done = done.map_err(|error| Asked::Copy.of(&args.channels, error));
    let closed = source.close().await.and(destination.close().await);
    done.and(closed.map_err(Error::from))
}

/// Returns a URL without user and options.
fn address(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    (scheme, rest.trim_end_matches('/'))
}

async fn run_on(
    source: &Arc<dyn Transport>,
    destination: &Arc<dyn Transport>,
    args: &CopyArgs,
) -> Result<()> {
    let channels: BTreeSet<Arc<str>> = args.channels.iter().map(|name| (**name).into()).collect();
    // A task of its own, so that a second Ctrl-C ends the process whatever the copy waits for.
    let mut stop = tokio::spawn(interrupt());
    let copier = tokio::select! {
        biased;
        _ = &mut stop => return Err(interrupted()),
        copier = Copier::begin(source, destination, &channels, args) => copier?,
    };
    let mut summary = Summary::default();
    let done = copy(copier, source, destination, args, stop, &mut summary).await;
    // Also if it failed: some of it may be done.
    let told = if args.json { print_json(&summary) } else { Ok(()) };
    done.and(told)
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
struct Summary {
    #[serde(flatten)]
    tally: Tally,
    /// It came to where the source ended, or follows.
    complete: bool,
    verified: Option<Verified>,
}

/// Copies, and then compares what was copied if that is asked for. Says what was done, unless it is to be
/// JSON.
async fn copy(
    mut copier: Copier,
    source: &Arc<dyn Transport>,
    destination: &Arc<dyn Transport>,
    args: &CopyArgs,
    mut stop: JoinHandle<()>,
    summary: &mut Summary,
) -> Result<()> {
    let tell = |text: String| {
        if !args.json {
            say(&text)
        }
    };
    let begun = Instant::now();
    let copied = copier.run(&mut stop).await;
    summary.tally = copier.summary(begun.elapsed());
    tell(summary.tally.to_string());
    let to_the_end = copied?;
    let ends = copier.finish().await?;
    // That is how to end one that follows.
    summary.complete = to_the_end || args.follow;
    if !summary.complete {
        return Err(interrupted());
    }
    if args.verify {
        let verified = verify::verify(source, destination, &ends, args.skip_unreadable);
        let verified = tokio::select! {
            biased;
            // If it came before, another one ends the process.
            _ = &mut stop, if to_the_end => return Err(Error::Interrupted),
            verified = verified => verified?,
        };
        tell(verified.to_string());
        summary.verified = Some(verified);
    }
    Ok(())
}

fn interrupted() -> Error {
    say("the copy isn't complete: the same command goes on where it stopped");
    Error::Interrupted
}
