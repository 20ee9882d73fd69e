//! Measures the workloads and writes docs/performance.md.

mod measure;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use msgstream_bench::{Rates, Shape, Workload, document, machine};

use crate::measure::{Case, Measured};

/// Measures what msgstream costs, in memory, and writes the tables of docs/performance.md.
#[derive(Debug, Parser)]
struct Args {
    /// A short run that checks everything and says little about speed. Writes no file.
    #[arg(long)]
    quick: bool,
    /// Only workloads whose name holds this, such as `merge` or `undecoded/1024ch`. Writes no file.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How often each workload runs; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The file whose tables are replaced.
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

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let wanted = args.only.as_deref().unwrap_or_default();
    let cases: Vec<_> = cases().filter(|case| case.to_string().contains(wanted)).collect();
    let measured = if args.quick {
        measure::all(&cases, 1, |_| 1_000)
    } else {
        measure::all(&cases, args.runs, messages)
    }?;
    let tables = report::tables(&measured);
    if args.quick || args.only.is_some() {
        println!("{tables}");
        return Ok(());
    }
    let mut command = "cargo run --release -p msgstream-bench --bin performance".to_owned();
    if args.runs != 5 {
        command += &format!(" -- --runs {}", args.runs);
    }
    let block = format!("{}{tables}", machine::describe(&command)?);
    document::replace(&args.output, "measured", &block)?;
    println!("{}", report::targets(&measured));
    eprintln!("wrote {}", args.output.display());
    Ok(())
}

fn cases() -> impl Iterator<Item = Case> {
    Workload::ALL
        .into_iter()
        .flat_map(|workload| {
            [128, 1024].into_iter().flat_map(move |payload| {
                [Rates::Equal, Rates::Skewed].into_iter().flat_map(move |rates| {
                    [1, 2, 8, 64, 1024]
                        .into_iter()
                        // A single channel has nothing to be faster than.
                        .filter(move |channels| rates == Rates::Equal || *channels > 1)
                        .map(move |channels| Case {
                            workload,
                            shape: Shape { payload, channels, rates },
                        })
                })
            })
        })
        .filter(|case| !case.workload.has_session() || SESSIONS.contains(&case.shape))
}

/// The shapes in which workloads with sessions are measured.
const SESSIONS: [Shape; 2] = [shape(2), shape(8)];

/// Small messages, equal rates.
const fn shape(channels: usize) -> Shape {
    Shape { payload: 128, channels, rates: Rates::Equal }
}

/// Enough messages for a run of some tenths of a second.
const fn messages(case: Case) -> usize {
    let small = match case.workload {
        Workload::Produce | Workload::ProduceSession | Workload::Decoded => 500_000,
        Workload::Merge | Workload::Undecoded | Workload::UndecodedSession => 1_500_000,
    };
    if case.shape.payload > 128 { small / 2 } else { small }
}

/// The measurement of one workload in one shape, where it was made.
fn find(all: &[Measured], workload: Workload, shape: Shape) -> Option<&Measured> {
    all.iter().find(|m| m.case.workload == workload && m.case.shape == shape)
}
