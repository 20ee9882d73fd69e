//! One round: processes are started, somebody is killed and started again, and when all is done
//! everything is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use msgstream::transport::{Transport, TransportExt as _};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::check::{Found, check, keep};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::folder::{self, Folder, Lines};
use crate::journal::{self, Noted, Number};
use crate::plan::Plan;
use crate::process::Process;
use crate::{log, raw};

/// How often the progress of the processes is looked at.
const LOOK: Duration = Duration::from_micros(100);

/// How often it is looked at while the broker is away.
const LOOK_AWAY: Duration = Duration::from_millis(10);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// All nodes of the broker at once.
    Broker,
    /// One node of a cluster.
    Node,
    /// More than half of the nodes of a cluster.
    Majority,
    /// None: one node of a cluster hangs.
    Hang,
    Consumer,
    /// One of the producers.
    Producer,
    /// All producers at once.
    Producers,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Node => "node",
            Self::Majority => "majority",
            Self::Hang => "hang",
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Producers => "producers",
        }
    }

    /// Whether it is the broker that is hit, or a part of it.
    pub(crate) const fn is_of_broker(self) -> bool {
        matches!(self, Self::Broker | Self::Node | Self::Majority | Self::Hang)
    }
}

/// What a round was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// At each kill something was on its way.
    pub(crate) counts: bool,
    /// Messages that were sent and not acknowledged at the kills.
    pub(crate) unacknowledged: u64,
    /// Packs that were emitted and not committed at the kills.
    pub(crate) uncommitted: u64,
    /// Messages that killed producers had handed over last, and that may not have left them.
    in_doubt: BTreeMap<u32, BTreeSet<Number>>,
    /// Records that the plain client read, where there is one.
    pub(crate) raw: Option<u64>,
    pub(crate) found: Found,
    /// The longest time without a pack since the first kill.
    pub(crate) longest: Duration,
    pub(crate) took: Duration,
}

/// Where a round takes place.
#[derive(Clone, Debug)]
pub(crate) struct Round<'a> {
    pub(crate) url: &'a str,
    /// What happens to the broker, where it is the one to be killed.
    pub(crate) fault: Option<&'a Fault<'a>>,
    pub(crate) plan: &'a Plan,
    pub(crate) folder: &'a Folder,
}

impl Round<'_> {
    /// Runs the round, with a kill after each of these shares of the victim's work. Its channels are
    /// gone afterwards, unless it failed.
    pub(crate) async fn run(&self, kind: Kind, kills: &[f64]) -> Result<Outcome> {
        let began = Instant::now();
        self.folder.write_plan(self.plan)?;
        let transport = msgstream::connect(self.url).await?;
        for channel in self.plan.created() {
            transport.create(&channel).await?;
        }
        transport.close().await?;

        let mut outcome = self.within("the work of a round", self.work(kind, kills)).await?;

        let transport = msgstream::connect(self.url).await?;
        let logs = self.within("reading back", log::read(&*transport, self.plan)).await?;
        outcome.found = check(self.plan, self.folder, &logs).await?;
        if matches!(kind, Kind::Producer | Kind::Producers) {
            // What is in the log had left them.
            for (producer, numbers) in &outcome.in_doubt {
                outcome.unacknowledged += log::stored_at_first(&logs, *producer, numbers);
            }
            outcome.counts &= outcome.unacknowledged > 0;
        }
        let wrong = &mut outcome.found.wrong;
        outcome.raw = self.within("the plain client", raw::compare(self.url, &logs, wrong)).await?;
        if outcome.found.wrong.count == 0 {
            for channel in self.plan.created() {
                transport.delete(&channel).await?;
            }
        } else {
            keep(self.folder, &logs)?;
        }
        transport.close().await?;
        outcome.took = began.elapsed();
        Ok(outcome)
    }

    async fn work(&self, kind: Kind, kills: &[f64]) -> Result<Outcome> {
        let mut outcome = Outcome { counts: true, ..Outcome::default() };
        let producers = (0..self.plan.producers)
            .map(|producer| Process::producer(self.url, self.folder, producer));
        let mut work = Work {
            round: self,
            consumer: Process::consumer(self.url, self.folder)?,
            producers: producers.collect::<Result<_>>()?,
            packs: Lines::new(self.folder.output()),
            wait: Wait::new(),
        };
        let mut emitted = Vec::new();
        for share in kills {
            if !work.comes_to(kind, *share).await? {
                outcome.counts = false;
                break;
            }
            work.wait.at = Instant::now();
            outcome.counts &= work.kill(kind, &mut outcome, &mut emitted).await?;
        }
        while !work.is_done(None)? {
            work.look()?;
            pause().await;
        }
        outcome.longest = work.wait.longest;
        // A pack that comes again must be the same.
        if !folder::read(&self.folder.output())?.starts_with(&emitted) {
            outcome
                .found
                .wrong
                .add("what was emitted before the kill differs from what came again");
        }
        Ok(outcome)
    }

    async fn within<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let after = self.plan.deadline();
        let late = |_| Error::Deadline { what: what.to_owned(), after };
        timeout(after, work).await.map_err(late)?
    }
}

/// The processes of a round. Of several producers, the first is the one to be killed.
struct Work<'a> {
    round: &'a Round<'a>,
    producers: Vec<Process>,
    consumer: Process,
    packs: Lines,
    wait: Wait,
}

/// The wait for the next pack.
struct Wait {
    /// When the last one came.
    at: Instant,
    packs: u64,
    longest: Duration,
}

impl Wait {
    fn new() -> Self {
        Self { at: Instant::now(), packs: 0, longest: Duration::ZERO }
    }

    /// Notes how many packs there are now.
    fn look(&mut self, packs: u64) {
        if packs != self.packs {
            let now = Instant::now();
            self.longest = self.longest.max(now - self.at);
            (self.packs, self.at) = (packs, now);
        }
    }
}

impl Work<'_> {
    /// Waits until so much of the work is done; says whether there still is any to do.
    async fn comes_to(&mut self, kind: Kind, share: f64) -> Result<bool> {
        let plan = self.round.plan;
        let of_one = journal::bytes(plan.messages() / u64::from(plan.producers.max(1)));
        loop {
            if self.is_done(Some(kind))? {
                return Ok(false);
            }
            let length = |producer| folder::length(&self.round.folder.journal(producer));
            let packs = self.packs.count()?;
            let (now, all) = match kind {
                Kind::Consumer => (packs, plan.packs()),
                Kind::Producer => (length(0), of_one),
                // Where the consumer isn't there yet, it is none that runs.
                kind if kind.is_of_broker() && packs == 0 => (0, 1),
                _ => ((0..plan.producers).map(length).sum(), of_one * u64::from(plan.producers)),
            };
            if now as f64 >= share * all as f64 && now > 0 {
                return Ok(true);
            }
            pause().await;
        }
    }

    /// Whether all processes are done, or those whose work the kill is to hit.
    fn is_done(&mut self, kind: Option<Kind>) -> Result<bool> {
        let mut producers = Vec::new();
        for producer in &mut self.producers {
            producers.push(producer.is_done()?);
        }
        let consumer = self.consumer.is_done()?;
        Ok(match kind {
            Some(Kind::Producer) => producers.first() == Some(&true),
            Some(Kind::Producers) => producers.contains(&true),
            Some(Kind::Consumer) => consumer,
            Some(_) => !producers.contains(&false),
            None => consumer && !producers.contains(&false),
        })
    }

    fn look(&mut self) -> Result<()> {
        self.wait.look(self.packs.count()?);
        Ok(())
    }

    /// Looks at the progress while something is done.
    async fn meanwhile(&mut self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(LOOK_AWAY, &mut work).await {
                return done;
            }
            self.look()?;
        }
    }

    /// Kills, looks at what was on its way, and starts again; says whether the kill counts.
    async fn kill(
        &mut self,
        kind: Kind,
        outcome: &mut Outcome,
        emitted: &mut Vec<u8>,
    ) -> Result<bool> {
        let Round { fault, plan, folder, .. } = *self.round;
        let noted = |producer| Noted::read(&folder.journal(producer));
        let on_the_way = |producer| Ok(noted(producer)?.on_the_way().len() as u64);
        let (unacknowledged, uncommitted) = match kind {
            Kind::Producer | Kind::Producers => {
                let victims = if kind == Kind::Producer { 1 } else { self.producers.len() };
                let mut killed = Vec::new();
                for (producer, index) in self.producers.iter_mut().take(victims).zip(0..) {
                    // One may have been done before.
                    if producer.kill().await? {
                        killed.push((producer, index));
                    }
                }
                let all_killed = killed.len() == victims;
                // Nobody starts before all are dead.
                for (producer, index) in killed {
                    outcome.unacknowledged += on_the_way(index)?;
                    outcome.in_doubt.insert(index, noted(index)?.in_doubt());
                    *producer = producer.again()?;
                }
                // The log tells the rest.
                return Ok(all_killed);
            }
            Kind::Consumer => {
                if !self.consumer.kill().await? {
                    return Ok(false);
                }
                *emitted = folder::read(&folder.output())?;
                let committed = folder.committed().await?.bytes as usize;
                let rest = emitted.get(committed..).unwrap_or_default();
                let uncommitted = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.consumer = self.consumer.again()?;
                (0, uncommitted)
            }
            Kind::Broker | Kind::Node | Kind::Majority | Kind::Hang => {
                let Some(fault) = fault else { return Ok(false) };
                self.meanwhile(fault.begin()).await?;
                let unacknowledged = (0..plan.producers).map(on_the_way).sum::<Result<u64>>()?;
                let away = async {
                    sleep(fault.away).await;
                    fault.end().await
                };
                self.meanwhile(away).await?;
                (unacknowledged, 0)
            }
        };
        outcome.unacknowledged += unacknowledged;
        outcome.uncommitted += uncommitted;
        Ok(unacknowledged + uncommitted > 0)
    }
}

/// Waits for less than the runtime can: a consumer commits within a millisecond. Nothing else runs
/// in this process meanwhile.
async fn pause() {
    thread::sleep(LOOK);
    yield_now().await;
}
