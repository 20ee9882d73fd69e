//! Runs simulated worlds of many seeds, on all processors, and says what they proved.
//!
//! ```text
//! cargo run --release -p msgstream-sim -- --seeds 2000
//! cargo run --release -p msgstream-sim -- --for 3600
//! cargo run --release -p msgstream-sim -- --seed 42 --trace
//! cargo run --release -p msgstream-sim -- disk --seeds 20000
//! ```
//!
//! `--for` begins at a random seed, and `--seeds` at 0, unless `--from` says where. The first line
//! names it, so that whatever is found can be run again.

mod disk;
mod seeds;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use msgstream_sim::Fault;
use msgstream_sim::world::{RARE_PATHS, Report, run};

use crate::seeds::Seeds;

/// Runs simulated worlds and checks the laws of the library in them.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    seeds: Seeds,
}

#[derive(Subcommand)]
enum Command {
    Disk(disk::Options),
}

/// What all seeds came to.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: u64,
    /// In how many seeds each rare path was taken.
    rare: BTreeMap<&'static str, u64>,
    faults: BTreeMap<Fault, u64>,
    events: u64,
    acknowledged: u64,
    packs: u64,
    told: u64,
    time: Duration,
}

impl seeds::Totals for Totals {
    type Report = Report;
    const USUAL: (u64, u64) = (2_000, 20);

    fn run(seed: u64, trace: bool) -> Report {
        run(seed, trace)
    }

    fn has_failed(report: &Report) -> bool {
        report.violation.is_some()
    }

    fn failed(&self) -> u64 {
        self.failed
    }

    fn add(&mut self, report: Report) {
        self.seeds += 1;
        for (path, times) in &report.rare {
            *self.rare.entry(path).or_default() += u64::from(*times > 0);
        }
        for (fault, times) in &report.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        self.events += report.events;
        self.acknowledged += report.acknowledged;
        self.packs += report.packs;
        self.told += u64::from(report.told > 0);
        self.time += report.time;
        if let Some(violation) = &report.violation {
            println!("seed {} FAILED: {violation:.2000}", report.seed);
            println!("replay it with: {}", replay(report.seed));
            self.failed += 1;
        }
    }

    /// Rare paths that too few seeds took.
    fn unproved(&self, least: u64) -> Vec<&'static str> {
        let times = |path: &&str| self.rare.get(path).copied().unwrap_or(0);
        RARE_PATHS.into_iter().filter(|path| times(path) < least).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, events, acknowledged, packs, told, .. } = self;
        writeln!(f, "{seeds} seeds, {} failed", self.failed)?;
        writeln!(f, "{events} events in {:.1} virtual hours", self.time.as_secs_f64() / 3600.0)?;
        writeln!(f, "{acknowledged} messages acknowledged, {packs} packs given")?;
        writeln!(f, "in {told} seeds consumers were told what an administrator had destroyed")?;
        writeln!(f, "faults: {:?}", self.faults)?;
        write!(f, "seeds that took each rare path: {:?}", self.rare)
    }
}

fn replay(seed: u64) -> String {
    format!("cargo run --release -p msgstream-sim -- --seed {seed} --trace")
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.command {
        Some(Command::Disk(options)) => options.seeds.run::<disk::Totals>(),
        None => options.seeds.run::<Totals>(),
    }
}
