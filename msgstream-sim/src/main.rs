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
//! tells it, so that whatever is found can be run again.

mod disk;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use msgstream_sim::Fault;
use msgstream_sim::world::{RARE_PATHS, Report, run};

/// Runs simulated worlds and checks the laws of the library in them.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 2000)]
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
    /// Prints every event of the seed to the standard error.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// In how many seeds each rare path must be taken.
    #[arg(long, default_value_t = 20)]
    rare: u64,
    /// How many threads run seeds; one for each processor unless given.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Subcommand)]
enum Command {
    Disk(disk::Options),
}

/// What all seeds came to.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: Vec<Report>,
    /// In how many seeds each rare path was taken.
    rare: BTreeMap<&'static str, u64>,
    faults: BTreeMap<Fault, u64>,
    events: u64,
    acknowledged: u64,
    packs: u64,
    told: u64,
    time: Duration,
}

impl Totals {
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
            self.failed.push(report);
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
        writeln!(f, "{seeds} seeds, {} failed", self.failed.len())?;
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
    if let Some(Command::Disk(options)) = &options.command {
        return disk::main(options);
    }
    if let Some(seed) = options.seed {
        return run_one(seed, options.trace);
    }
    let began = Instant::now();
    let from = options.from.unwrap_or_else(|| options.seconds.map_or(0, |_| any_seed()));
    println!("seeds from {from} on");
    let totals = run_many(&options, from, began);
    println!("{totals}\nin {:.1} s", began.elapsed().as_secs_f64());
    let unproved = totals.unproved(options.rare);
    if !unproved.is_empty() {
        println!("FAILED: taken in fewer than {} seeds: {unproved:?}", options.rare);
    }
    if unproved.is_empty() && totals.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_one(seed: u64, trace: bool) -> ExitCode {
    let report = run(seed, trace);
    println!("{report:#?}");
    if report.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A seed that nobody chose, short enough to be copied by hand.
fn any_seed() -> u64 {
    RandomState::new().hash_one(process::id()) % 1_000_000_000_000
}

/// Each thread takes the next seed, and runs its world alone. After the greatest one comes 0.
fn run_many(options: &Options, from: u64, began: Instant) -> Totals {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
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
            totals.add(report);
            // More of them tell nothing more.
            stop.fetch_or(totals.failed.len() >= 20, Ordering::Relaxed);
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
