//! `msgstream conformance`: the suite against a user's own server.

mod args;
mod harness;

use std::sync::Arc;

use msgstream_conformance::{Arguments, Scenario, run_with};
use tokio::task::spawn_blocking;

pub(crate) use self::args::ConformanceArgs;
use self::harness::Server;
use crate::error::{Error, Result};
use crate::output::Lines;
use crate::settings::connect;
use crate::words::say;

/// Runs the command. The channels that the scenarios made are deleted at the end.
pub(crate) async fn run(args: &ConformanceArgs) -> Result<()> {
    let names = Scenario::all().map(Scenario::name).filter(|name| match &args.filter {
        Some(filter) if args.exact => name == filter,
        Some(filter) => name.contains(filter.as_str()),
        None => true,
    });
    let names: Vec<_> = names.collect();
    if let (true, Some(filter)) = (names.is_empty(), &args.filter) {
        return Err(Error::NoScenario { filter: filter.clone() });
    }
    if args.list {
        let mut lines = Lines::stdout();
        names.iter().try_for_each(|name| lines.text(name))?;
        return lines.flush();
    }
    // Tells what is wrong with the URL, or the server, before any scenario does.
    let broker = connect(&args.url).await?;
    let server = Arc::new(Server::new(args.url.clone()));
    let arguments = Arguments {
        filter: args.filter.clone(),
        exact: args.exact,
        test_threads: args.threads.map(std::num::NonZero::get),
        ..Arguments::default()
    };
    let own = Arc::clone(&server);
    let done = spawn_blocking(move || run_with(own, arguments)).await;
    let done = done.map_err(|e| Error::Runtime { reason: e.to_string() })?;
    for channel in server.channels() {
        // Most scenarios have deleted theirs.
        drop(broker.delete(&channel).await);
    }
    broker.close().await?;
    match done {
        Ok(conclusion) if conclusion.has_failed() => {
            Err(Error::Found { count: conclusion.num_failed, what: "scenario" })
        }
        Ok(conclusion) => {
            say(&format!("{} scenarios passed", conclusion.num_passed));
            Ok(())
        }
        Err(failure) => Err(Error::Suite { reason: failure.to_string() }),
    }
}
