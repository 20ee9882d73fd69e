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

pub(crate) use self::args::CopyArgs;
use self::copier::Copier;
pub(crate) use self::error::CopyError;
pub(crate) use self::place::PLACE;
use crate::error::{Error, Result};
use crate::interrupt::interrupt;
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
    let mut copier = tokio::select! {
        biased;
        _ = &mut stop => return Err(interrupted()),
        copier = Copier::begin(source, destination, &channels, args) => copier?,
    };
    let begun = Instant::now();
    let copied = copier.run(&mut stop).await;
    say(&copier.summary(begun.elapsed()));
    let complete = copied?;
    let ends = copier.finish().await?;
    if !complete {
        return Err(interrupted());
    }
    if args.verify {
        let verified = verify::verify(source, destination, &ends, args.skip_unreadable);
        let summary = tokio::select! {
            biased;
            _ = &mut stop => return Err(Error::Interrupted),
            verified = verified => verified?,
        };
        say(&summary);
    }
    Ok(())
}

fn interrupted() -> Error {
    say("the copy isn't complete: the same command goes on where it stopped");
    Error::Interrupted
}
