//! A whole world of programs around the simulated broker: producers with sessions, consumers with
//! checkpoints, crashes, zombies, and the laws that hold whatever happens.
//!
//! One seed decides what there is and what goes wrong. In some worlds the faults never end; what
//! must never happen is looked for there. In others they end after a while, and then everything
//! that was promised must come true.
//!
//! The laws:
//!
//! - What a producer was told to be stored counts, unless a newer session had begun; and in any
//!   case where it was confirmed.
//! - What counts is delivered once. Committed packs follow each other without a gap.
//! - Each pack that any consumer is ever given, and the checkpoint after it, is that of a model
//!   which judges and sorts the whole logs at the end. So are those that follow any checkpoint.
//! - No cursor is past what is saved, and memory stays within its budget.
//! - What an administrator destroys is told.
//!
//! ```
//! use msgstream_sim::world;
//! let report = world::run(7, false);
//! assert_eq!(report.violation, None);
//! assert_eq!(report.hash, world::run(7, false).hash);
//! ```

mod answers;
mod consumer;
mod joins;
mod keeper;
mod ledger;
mod life;
mod model;
mod plan;
mod producer;
mod rare;
mod store;
mod verdict;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msgstream_core::consume::ConsumerStatus;
use msgstream_core::record::{Meta, Position, Stamp};
use msgstream_core::transport::{Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{Checkpoint, Timestamp};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::ledger::{Given, Ledger};
use self::life::supervise;
use self::plan::{Plan, Then, Vandal, Virtuals};
pub use self::rare::RARE_PATHS;
use self::store::SimStore;
use crate::{Fault, Rng, Sim};

/// Once all is well, everything must have come true after so long. A session whose opening takes longer than it
/// tries opens again and again, with readers that get a few records at a time.
const PATIENCE: Duration = Duration::from_secs(3000);

/// Whoever looks at the end reads all of it several times, and waits for idle channels each time.
const LOOKS_FOR: Duration = Duration::from_secs(100_000);
/// The virtual wall clock when a world begins: the start of 2020.
const BEGIN: u64 = 1_577_836_800_000;

/// What became of a world.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The first thing that happened and mustn't have.
    pub violation: Option<String>,
    /// A hash of everything that happened, and when.
    pub hash: u64,
    /// How many things happened.
    pub events: u64,
    /// The virtual time that it took.
    pub time: Duration,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each of [`RARE_PATHS`] was taken.
    pub rare: BTreeMap<&'static str, u64>,
    /// How many messages were acknowledged.
    pub acknowledged: u64,
    /// How many packs consumers were given.
    pub packs: u64,
    /// How often a consumer was told that a channel is gone, or records of it.
    pub told: u64,
}

/// What the programs of a world share.
struct World {
    sim: Sim,
    plan: Plan,
    store: SimStore,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
    ledger: Mutex<Ledger>,
    /// The handle of all consumers, if they have one.
    shared: Option<Arc<dyn Transport>>,
}

/// Runs the world of a seed, on a runtime of its own on this thread. `print` prints every event to
/// the standard error.
#[must_use]
pub fn run(seed: u64, print: bool) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(World::run(seed, print)),
        Err(error) => Report {
            seed,
            violation: Some(format!("no runtime: {error}")),
            hash: 0,
            events: 0,
            time: Duration::ZERO,
            faults: BTreeMap::new(),
            rare: BTreeMap::new(),
            acknowledged: 0,
            packs: 0,
            told: 0,
        },
    }
}

impl World {
    async fn run(seed: u64, print: bool) -> Report {
        let clock = Timestamp(BEGIN << Timestamp::LOGICAL_BITS);
        let plan = Plan::new(seed, clock);
        let sim = plan.sim().clock(clock).print(print).build();
        if print {
            eprintln!("{plan:#?}");
        }
        let mut rng = Rng::new(seed ^ 0x00ac_7025);
        let trouble = if rng.chance(0.5) { 0.1 } else { 0.0 };
        let store = SimStore::new(sim.clone(), rng.fork(), trouble);
        let (calm, ledger) = (AtomicBool::new(false), Mutex::default());
        let shared = plan.shared_transport(&sim);
        let world = Arc::new(Self { sim, plan, store, calm, ledger, shared });

        let mut programs = JoinSet::new();
        let lived = world.clone().live(&mut programs, rng).await;
        while let Some(ended) = programs.try_join_next() {
            if let Err(error) = ended {
                world.ledger().violation(format!("a program panicked: {error}"));
            }
        }
        programs.shutdown().await;
        world.ledger().counts.hubs = world.plan.virtuals.as_ref().map(Virtuals::counts);
        if print {
            world.print_logs();
        }
        let violation = match lived {
            Ok(()) => match timeout(LOOKS_FOR, world.judge()).await {
                Ok(judged) => judged.err(),
                Err(_) => {
                    Some(format!("whoever looks at the end comes to no end in {LOOKS_FOR:?}"))
                }
            },
            Err(violation) => Some(violation),
        };
        let ledger = world.ledger();
        Report {
            seed,
            violation,
            hash: world.sim.hash(),
            events: world.sim.events(),
            time: world.sim.now(),
            faults: world.sim.faults(),
            rare: rare::rare_paths(&ledger.counts),
            acknowledged: ledger.acked.len() as u64,
            packs: ledger.given.len() as u64,
            told: ledger.told_gone,
        }
    }

    /// Lets everything happen, up to the end of the world.
    async fn live(self: Arc<Self>, programs: &mut JoinSet<()>, mut rng: Rng) -> Result<(), String> {
        for channel in self.plan.all_channels() {
            self.create(&channel).await?;
        }
        for plan in &self.plan.producers {
            let (name, own) = (plan.id.clone(), plan.clone());
            let start = move |world, name, rng| producer::start(world, name, own.clone(), rng);
            let (id, ends) = (plan.id.clone(), plan.then != Then::Ticks);
            let done = move |world: &Self| ends && world.ledger().finished.contains(&id);
            programs.spawn(supervise(self.clone(), name, rng.fork(), start, done));
        }
        let name = "consumer".to_owned();
        let done = |world: &Self| world.is_calm() && world.has_consumed_all(&world.ledger());
        programs.spawn(supervise(self.clone(), name, rng.fork(), consumer::start, done));
        if self.plan.retention {
            programs.spawn(keeper::retention(self.clone()));
        }
        if self.plan.foreign {
            programs.spawn(keeper::foreigner(self.clone(), rng.fork()));
        }
        if self.plan.has_authority() {
            programs.spawn(keeper::authority(self.clone(), Rng::new(self.plan.seed ^ 0xa074)));
        }
        if let Some(vandal) = self.plan.vandal {
            programs.spawn(keeper::vandal(self.clone(), vandal, rng.fork()));
        }
        sleep(self.plan.storm).await;
        if !self.plan.liveness {
            return Ok(());
        }
        self.calm.store(true, Ordering::Release);
        self.sim.heal();
        self.store.heal();
        self.ledger().settle();
        self.comes_true().await
    }

    /// Waits until everything has come true that must.
    async fn comes_true(&self) -> Result<(), String> {
        let deadline = self.sim.now() + PATIENCE;
        while !self.is_done(&self.ledger()) {
            if self.ledger().violation.is_some() {
                break;
            }
            if self.sim.now() > deadline {
                return Err(format!(
                    "not done after {PATIENCE:?} without a fault: {}",
                    self.state()
                ));
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// All messages are produced, and consumed and committed; or a program was told why that can't
    /// be.
    fn is_done(&self, ledger: &Ledger) -> bool {
        if let Some(destroyed) = &ledger.destroyed
            && (ledger.told_gone > 0 || !destroyed.saved)
        {
            return true;
        }
        if matches!(self.plan.vandal, Some(Vandal::Trims(_))) && ledger.told_gone > 0 {
            return true;
        }
        if ledger.finished.len() < self.plan.producers.len() {
            return false;
        }
        let last = self.store.state().map_or(0, |state| consumer::last_given(&state));
        let all = (ledger.settled + 1).max(self.plan.joins.map_or(0, |at| at.0));
        let seen = |given: &Given| given.pack.end >= all && self.has_passed(&given.end, ledger);
        ledger.given(last).is_some_and(seen) || self.has_consumed_all(ledger)
    }

    /// Whether a consumer that stands there has taken all that was acknowledged, up to the ends of
    /// channels. Times don't tell that: while a channel is idle, packs of what was read of others
    /// may be formed for as long as the consumer cares to take over them.
    fn has_passed(&self, at: &Checkpoint, ledger: &Ledger) -> bool {
        self.behind(at, ledger).next().is_none()
    }

    /// Returns the channels in which something that was acknowledged isn't taken: the last of that,
    /// and the consumer's place.
    fn behind<'a>(
        &'a self,
        at: &'a Checkpoint,
        ledger: &'a Ledger,
    ) -> impl Iterator<Item = (&'a str, Option<Position>, Option<Position>)> {
        // Who saw the end of a channel before it was made again stands in the old one for ever.
        let is_there = |channel: &&String| ledger.destroyed(channel).is_none();
        let places = self.plan.channels.iter().filter(is_there).map(move |channel| {
            let records = self.plan.records(&self.sim, channel);
            let end = model::end_of(&records);
            // After an idle time, a tick that is behind the frontier leaves no mark if the channel ends.
            let ticks = end.is_none() || self.plan.is_strict();
            let end = end.unwrap_or(Position::MAX);
            let acked = ledger.acked.iter().filter(|acked| *acked.channel == **channel);
            let last = acked.map(|acked| acked.position).filter(|at| *at < end).max();
            // A producer may know the place of a copy alone, and the mark of a channel that ended
            // while it was idle stays before it.
            let last = last.and_then(|last| model::last_that_counts(&records, last, ticks));
            (&**channel, last, at.channels.get(&**channel).and_then(|mark| mark.cut))
        });
        places.filter(|(_, last, cut)| last > cut)
    }

    /// Every channel has ended, and the last pack of them is committed.
    fn has_consumed_all(&self, ledger: &Ledger) -> bool {
        let last = self.store.state().map(|state| consumer::last_given(&state));
        last.is_some() && ledger.consumed_all == last
    }

    /// What the channels hold at the end, as far as the laws go by it.
    fn print_logs(&self) {
        for (channel, records) in self.logs() {
            for record in records {
                let Meta { msg_type, timestamp, msg_id, stamp, .. } = &record.meta;
                let control = record.header(Stamp::HEADER);
                eprintln!(
                    "{channel} {} {timestamp} {msg_type} {msg_id} {} {control:?}",
                    record.position,
                    stamp.as_ref().map_or_else(String::new, Stamp::to_string),
                );
            }
        }
    }

    fn state(&self) -> String {
        let ledger = self.ledger();
        let last = self.store.state().map_or(0, |state| consumer::last_given(&state));
        let given = ledger.given(last);
        let behind = given.map(|given| self.behind(&given.end, &ledger).collect::<Vec<_>>());
        format!(
            "finished are {:?} of {}, committed is pack {last} of {} to {:?}, behind are {behind:?}, produced was up to {}; a consumer waited: {}",
            ledger.finished,
            self.plan.producers.len(),
            ledger.given.len(),
            given.map(|given| given.pack.end),
            ledger.latest,
            ledger.status.as_ref().map_or_else(String::new, ConsumerStatus::to_string),
        )
    }

    /// A consumer's handle.
    fn reading(&self) -> Arc<dyn Transport> {
        self.shared.clone().unwrap_or_else(|| self.plan.transport(&self.sim))
    }

    async fn create(&self, channel: &str) -> Result<(), String> {
        loop {
            match self.sim.transport().create(channel).await {
                Ok(()) => return Ok(()),
                Err(error) if *error.kind() == TransportErrorKind::AlreadyExists => return Ok(()),
                Err(error) if error.is_temporary() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual wall clock.
    fn unix_time(&self) -> Timestamp {
        self.unix_time_at(self.sim.now())
    }

    fn unix_time_at(&self, since_begin: Duration) -> Timestamp {
        Timestamp((BEGIN + since_begin.as_millis() as u64) << Timestamp::LOGICAL_BITS)
    }
}
