//! Measures the workloads and writes docs/performance.md.

mod measure;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use msgstream_bench::{Case, Rates, Shape, Workload, document, machine};

use crate::measure::Measured;

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
    let cases: Vec<_> = Case::all().filter(|case| case.to_string().contains(wanted)).collect();
    let measured = if args.quick {
        measure::all(&cases, 1, |_| 1_000)
    } else {
        measure::all(&cases, args.runs, Case::messages)
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

/// Small messages, equal rates.
const fn shape(channels: usize) -> Shape {
    Shape { payload: 128, channels, rates: Rates::Equal }
}

/// The measurement of one workload in one shape, where it was made.
fn find(all: &[Measured], workload: Workload, shape: Shape) -> Option<&Measured> {
    all.iter().find(|m| m.case.workload == workload && m.case.shape == shape)
}
