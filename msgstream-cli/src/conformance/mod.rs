//! `msgstream conformance`: the suite against a user's own server.

mod args;
mod harness;
mod report;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use msgstream_conformance::{Arguments, Harness, Scenario, run_with};
use serde::Serialize;
use tokio::task::spawn_blocking;

pub(crate) use self::args::ConformanceArgs;
use self::harness::Server;
use crate::error::{Error, Result};
use crate::output::Lines;
use crate::parts::joined;
use crate::settings::connect;
use crate::words::{plural, say};

/// Runs the command. The channels that the scenarios made are deleted at the end.
pub(crate) async fn run(args: &ConformanceArgs) -> Result<()> {
    let scenarios = Scenario::all().filter(|scenario| match &args.filter {
        Some(filter) if args.exact => scenario.name() == filter,
        Some(filter) => scenario.name().contains(filter.as_str()),
        None => true,
    });
    let scenarios: Vec<_> = scenarios.collect();
    if let (true, Some(filter)) = (scenarios.is_empty(), &args.filter) {
        return Err(Error::NoScenario { filter: filter.clone() });
    }
    if args.list {
        return list(&scenarios, args.json);
    }
    // Tells what is wrong with the URL, or the server, before any scenario does.
    let broker = connect(&args.url).await?;
    let server = Arc::new(Server::new(args.url.clone()));
    let own: Arc<dyn Harness> = server.clone();
    let threads = args.threads.map(NonZero::get);
    let done = if args.json {
        let can = broker.capabilities();
        // Scenarios wait for a broker most of their time.
        let usual = || thread::available_parallelism().map_or(1, NonZero::get) * 4;
        let threads = threads.unwrap_or_else(usual);
        joined(spawn_blocking(move || report::run(&own, can, scenarios, threads))).await
    } else {
        let arguments = Arguments {
            filter: args.filter.clone(),
            exact: args.exact,
            test_threads: threads,
            ..Arguments::default()
        };
        joined(spawn_blocking(move || as_text(own, arguments))).await
    };
    for channel in server.channels() {
        // Most scenarios have deleted theirs.
        drop(broker.delete(&channel).await);
    }
    broker.close().await?;
    match done? {
        0 => Ok(()),
        count => Err(Error::Found { count, what: "scenario" }),
    }
}

fn list(scenarios: &[&Scenario], json: bool) -> Result<()> {
    #[derive(Serialize)]
    struct Name<'a> {
        scenario: &'a str,
    }

    let mut lines = Lines::stdout();
    for scenario in scenarios {
        match json {
            true => lines.json(&Name { scenario: scenario.name() })?,
            false => lines.text(scenario.name())?,
        }
    }
    lines.flush()
}

/// Runs the suite, which writes as a test program does. Returns how many scenarios failed.
fn as_text(server: Arc<dyn Harness>, arguments: Arguments) -> Result<u64> {
    let conclusion = run_with(server, arguments);
    let conclusion = conclusion.map_err(|failure| Error::Suite { reason: failure.to_string() })?;
    if !conclusion.has_failed() {
        say(&format!("{} passed", plural(conclusion.num_passed, "scenario")));
    }
    Ok(conclusion.num_failed)
}
