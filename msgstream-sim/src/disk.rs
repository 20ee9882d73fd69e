//! `msgstream-sim disk`: worlds of processes on a simulated disk, for the log in files.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use msgstream_file::simulation::{RARE_PATHS, Report, run};

/// Runs processes on a simulated disk, crashes them and cuts the power, and checks that the log in
/// files keeps its promises.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first of them; 0 unless given, and a random one with `--for`.
    #[arg(long)]
    from: Option<u64>,
    /// Runs seeds for so many seconds, however many they are.
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "seeds")]
    seconds: Option<u64>,
    /// Runs this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "from", "seconds"])]
    seed: Option<u64>,
    /// Prints every call of the disk to the standard error.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// In how many seeds each rare path must be taken.
    #[arg(long, default_value_t = 10)]
    rare: u64,
    /// How many threads run seeds; one for each processor unless given.
    #[arg(long)]
    threads: Option<usize>,
}

/// What all seeds came to.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: u64,
    calls: u64,
    acknowledged: u64,
    /// In how many seeds each rare path was taken.
    rare: BTreeMap<&'static str, u64>,
}

impl Totals {
    fn add(&mut self, report: &Report) {
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

pub(crate) fn main(options: &Options) -> ExitCode {
    if let Some(seed) = options.seed {
        let report = run(seed, options.trace);
        println!("{report:#?}");
        return code(report.violation.is_none());
    }
    let began = Instant::now();
    let from = options.from.unwrap_or_else(|| options.seconds.map_or(0, |_| crate::any_seed()));
    println!("seeds from {from} on");
    let totals = run_many(options, from, began);
    println!("{totals}\nin {:.1} s", began.elapsed().as_secs_f64());
    let unproved = totals.unproved(options.rare);
    if !unproved.is_empty() {
        println!("FAILED: taken in fewer than {} seeds: {unproved:?}", options.rare);
    }
    code(unproved.is_empty() && totals.failed == 0)
}

fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each thread takes the next seed, and runs its world alone. After the greatest one comes 0.
fn run_many(options: &Options, from: u64, began: Instant) -> Totals {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let totals = Mutex::new(Totals::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let run_before = next.fetch_add(1, Ordering::Relaxed);
            let over = match options.seconds {
                Some(seconds) => began.elapsed() >= Duration::from_secs(seconds),
                None => run_before >= options.seeds,
            };
            if over {
                return;
            }
            let report = run(from.wrapping_add(run_before), false);
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.add(&report);
            // More of them tell nothing more.
            stop.fetch_or(totals.failed >= 20, Ordering::Relaxed);
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..options.threads.unwrap_or(processors).max(1) {
            scope.spawn(work);
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}
