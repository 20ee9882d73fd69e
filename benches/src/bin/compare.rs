//! Compares two builds of the program `row`, as of two commits.
//!
//! Both builds of a row take turns, so that what slows the machine down for a while slows both. Each run is a process
//! of its own, because where a process has its memory changes its speed for as long as it lives. The median of each
//! build's runs counts.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use msgstream_bench::Case;
use msgstream_bench::clock::Median;

/// Prints the CPU time of a message for each row in memory, of two builds of the program `row`.
#[derive(Debug, Parser)]
struct Args {
    /// The build that is compared with.
    before: PathBuf,
    /// The build that is judged.
    after: PathBuf,
    /// Only rows whose name holds this, such as `merge` or `undecoded/1024ch`.
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// How often each build runs each row.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    println!("| row | before, ns | after, ns | after / before |");
    println!("| --- | ---: | ---: | ---: |");
    for case in Case::all().filter(|case| case.to_string().contains(&args.only)) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for pair in 0..args.pairs {
            // Either is first by turns.
            if pair % 2 == 0 {
                before.push(run(&args.before, case)?);
                after.push(run(&args.after, case)?);
            } else {
                after.push(run(&args.after, case)?);
                before.push(run(&args.before, case)?);
            }
        }
        let (before, after) = (Median::of(before).median, Median::of(after).median);
        println!("| {case} | {before:.0} | {after:.0} | {:.3} |", after / before);
    }
    Ok(())
}

/// Runs a row once, and returns the CPU time of a message in ns.
fn run(build: &Path, case: Case) -> Result<f64, Box<dyn Error>> {
    let Case { workload, shape } = case;
    let mut child = Command::new(build).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut asks) = child.stdin.take() {
        let messages = case.messages() / 5;
        let (rates, channels, payload) = (shape.rates, shape.channels, shape.payload);
        writeln!(asks, "{workload} {rates} {channels} {payload} {messages}")?;
    }
    let output = child.wait_with_output()?;
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(answer.trim().parse().map_err(|_| format!("{case}: {} gave no time", build.display()))?)
}
