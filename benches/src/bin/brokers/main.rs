//! Measures a transport beside the plain client of its broker, and writes a block of
//! docs/performance.md.

#[cfg(feature = "kafka")]
mod kafka;
mod load;
#[cfg(feature = "nats")]
mod nats;
mod ours;
mod pairs;
#[cfg(feature = "pulsar")]
mod pulsar;
mod report;
mod side;
mod streams;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use msgstream_bench::{document, machine};

use crate::pairs::{Bench, Case, Effort};
use crate::side::{BROKERS, Result};

/// Measures what a transport does beside the plain client of its broker, with the same settings,
/// headers, bytes and messages in flight, and writes a block of docs/performance.md.
#[derive(Debug, Parser)]
struct Args {
    /// The broker, which runs already: `brokers/with NAME -- COMMAND` starts one for a command.
    broker: String,
    /// Programs instead of the transport by itself: typed messages through a session, with ticks, and
    /// back as decoded packs. The plain client writes and reads the same bytes without any of it.
    #[arg(long)]
    programs: bool,
    /// A short run that checks everything and says little about speed. Writes no file.
    #[arg(long)]
    quick: bool,
    /// Only cases whose name holds this, such as `publish` or `read/8ch-128b`. Writes no file.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How many pairs of runs are measured; the median counts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// About how long a run takes, in milliseconds.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(1..))]
    run_ms: u64,
    /// The file with the blocks of the broker.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let name = args.broker.as_str();
    let Some((_, open)) = BROKERS.iter().find(|(broker, _)| *broker == name) else {
        let compiled: Vec<_> = BROKERS.iter().map(|(broker, _)| *broker).collect();
        let hint = format!("compiled in are {compiled:?}; others are features of this package");
        return Err(format!("there is no broker `{name}`: {hint}").into());
    };
    let effort = match args.quick {
        true => Effort { pairs: 2, run_ms: 10 },
        false => Effort { pairs: args.pairs, run_ms: args.run_ms },
    };
    let wanted = args.only.as_deref().unwrap_or_default();
    let cases = Case::all()
        .filter(|case| case.ticks.is_some() == args.programs && case.to_string().contains(wanted));

    let (table, about) = tokio::runtime::Runtime::new()?.block_on(async {
        let mut bench = Bench::new(open().await?);
        let mut measured = Vec::new();
        for (number, case) in cases.enumerate() {
            if number > 0 {
                bench.renew(open().await?).await?;
            }
            measured.push(bench.measure(case, effort).await?);
        }
        Ok::<_, side::Error>((report::table(&measured), bench.about()))
    })?;
    if args.quick || args.only.is_some() {
        println!("{about}{table}");
        return Ok(());
    }
    let Args { pairs, run_ms, .. } = args;
    let (programs, part) = if args.programs { (" --programs", "-programs") } else { ("", "") };
    let command = format!(
        "brokers/with {name} -- cargo run --release -p msgstream-bench --features {name} --bin brokers -- {name}{programs} --pairs {pairs} --run-ms {run_ms}"
    );
    let machine = machine::describe(&command).map_err(|e| e.to_string())?;
    let block = format!("{machine}{about}{table}");
    document::replace(&args.output, &format!("{name}{part}"), &block).map_err(|e| e.to_string())?;
    println!("{table}");
    eprintln!("wrote {}", args.output.display());
    Ok(())
}
