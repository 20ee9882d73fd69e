//! `msgstream-sim disk`: worlds of processes on a simulated disk, for the log in files.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use msgstream_file::simulation::{RARE_PATHS, Report, run};

use crate::seeds::{self, Seeds};

/// Runs processes on a simulated disk, crashes them and cuts the power, and checks that the log in
/// files keeps its promises.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) seeds: Seeds,
}

/// What all seeds came to.
#[derive(Default)]
pub(crate) struct Totals {
    seeds: u64,
    failed: u64,
    calls: u64,
    acknowledged: u64,
    /// In how many seeds each rare path was taken.
    rare: BTreeMap<&'static str, u64>,
}

impl seeds::Totals for Totals {
    type Report = Report;
    const USUAL: (u64, u64) = (20_000, 10);

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
        self.calls += report.calls;
        self.acknowledged += report.acknowledged;
        for path in report.rare.keys() {
            *self.rare.entry(path).or_default() += 1;
        }
        if let Some(violation) = &report.violation {
            let seed = report.seed;
            println!("seed {seed} FAILED: {violation:.2000}");
            println!(
                "replay it with: cargo run --release -p msgstream-sim -- disk --seed {seed} --trace"
            );
            self.failed += 1;
        }
    }

    /// Returns the rare paths that too few seeds took.
    fn unproved(&self, least: u64) -> Vec<&'static str> {
        let times = |path: &&str| self.rare.get(path).copied().unwrap_or(0);
        RARE_PATHS.into_iter().filter(|path| times(path) < least).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} seeds, {} failed", self.seeds, self.failed)?;
        writeln!(f, "{} calls, {} records acknowledged", self.calls, self.acknowledged)?;
        write!(f, "seeds that took each rare path: {:?}", self.rare)
    }
}
