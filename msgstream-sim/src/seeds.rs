//! Which seeds run, and what all of them come to.

use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, RandomState};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

#[derive(Args)]
pub(crate) struct Seeds {
    /// How many seeds to run; 2,000 unless given, and 20,000 of `disk`.
    #[arg(long)]
    seeds: Option<u64>,
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
    /// In how many seeds each rare path must be taken; 20 unless given, and 10 of `disk`.
    #[arg(long)]
    rare: Option<u64>,
    /// How many threads run seeds; one for each processor unless given.
    #[arg(long)]
    threads: Option<usize>,
}

/// What all seeds of a kind of world come to. It is printed when they have run.
pub(crate) trait Totals: Default + Display + Send {
    type Report: Debug;
    /// How many seeds run unless it is said, and in how many each rare path is taken at the least.
    const USUAL: (u64, u64);

    /// Runs the world of a seed.
    fn run(seed: u64, trace: bool) -> Self::Report;

    fn has_failed(report: &Self::Report) -> bool;

    fn add(&mut self, report: Self::Report);

    fn failed(&self) -> u64;

    /// Returns the rare paths that were taken in fewer seeds.
    fn unproved(&self, least: u64) -> Vec<&'static str>;
}

impl Seeds {
    /// Runs the seeds, and says what they came to.
    pub(crate) fn run<T: Totals>(&self) -> ExitCode {
        let code = |success| if success { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if let Some(seed) = self.seed {
            let report = T::run(seed, self.trace);
            println!("{report:#?}");
            return code(!T::has_failed(&report));
        }
        let began = Instant::now();
        let from = self.from.unwrap_or_else(|| self.seconds.map_or(0, |_| any_seed()));
        println!("seeds from {from} on");
        let totals: T = self.run_many(from, began);
        println!("{totals}\nin {:.1} s", began.elapsed().as_secs_f64());
        let rare = self.rare.unwrap_or(T::USUAL.1);
        let unproved = totals.unproved(rare);
        if !unproved.is_empty() {
            println!("FAILED: taken in fewer than {rare} seeds: {unproved:?}");
        }
        code(unproved.is_empty() && totals.failed() == 0)
    }

    /// Each thread takes the next seed, and runs its world alone. After the greatest one comes 0.
    fn run_many<T: Totals>(&self, from: u64, began: Instant) -> T {
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let totals = Mutex::new(T::default());
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let run_before = next.fetch_add(1, Ordering::Relaxed);
                let over = match self.seconds {
                    Some(seconds) => began.elapsed() >= Duration::from_secs(seconds),
                    None => run_before >= self.seeds.unwrap_or(T::USUAL.0),
                };
                if over {
                    return;
                }
                let report = T::run(from.wrapping_add(run_before), false);
                let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                totals.add(report);
                // More of them tell nothing more.
                stop.fetch_or(totals.failed() >= 20, Ordering::Relaxed);
            }
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..self.threads.unwrap_or(processors).max(1) {
                scope.spawn(work);
            }
        });
        totals.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seed that nobody chose, short enough to be copied by hand.
fn any_seed() -> u64 {
    RandomState::new().hash_one(process::id()) % 1_000_000_000_000
}
