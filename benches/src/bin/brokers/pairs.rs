//! Running both sides in turn.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use msgstream_bench::clock::{Median, cpu_time};
use msgstream_core::transport::TransportExt as _;

use crate::load::Load;
use crate::ours::Ours;
use crate::side::{Broker, Result, Side, Work};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) direction: Direction,
    /// The size of a payload, in bytes.
    pub(crate) payload: usize,
    pub(crate) channels: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Publish,
    Read,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Read => "read",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}ch-{}b", self.direction, self.channels, self.payload)
    }
}

impl Case {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Direction::Publish, Direction::Read].into_iter().flat_map(|direction| {
            [128, 1024].into_iter().flat_map(move |payload| {
                [1, 8].into_iter().map(move |channels| Self { direction, payload, channels })
            })
        })
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) pairs: u32,
    /// About how long a run takes, in milliseconds.
    pub(crate) run_ms: u64,
}

/// What both sides did.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) ours: Cost,
    pub(crate) raw: Cost,
    /// Our messages per second to theirs, of each pair.
    pub(crate) ratio: Median,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Messages per second.
    pub(crate) rate: Median,
    /// CPU time of the process for one message, in ns.
    pub(crate) cpu_ns: Median,
}

impl Cost {
    fn of(runs: &[Run]) -> Self {
        Self {
            rate: Median::of(runs.iter().map(|run| run.rate).collect()),
            cpu_ns: Median::of(runs.iter().map(|run| run.cpu_ns).collect()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    rate: f64,
    cpu_ns: f64,
}

pub(crate) struct Bench {
    broker: Broker,
    ours: Ours,
    /// How many loads there were.
    loads: usize,
}

impl Bench {
    /// Messages of the first pair; each tells how many are needed for the next.
    const FIRST: u64 = 10_000;

    /// The most that one run writes, in bytes of payload: it is in the server's files until the
    /// run is checked.
    const MOST: u64 = 1 << 30;

    pub(crate) fn new(broker: Broker) -> Self {
        let ours = Ours(Arc::clone(&broker.transport));
        Self { broker, ours, loads: 0 }
    }

    /// Goes on with new clients. Those of before have had many channels that are gone by now, and
    /// the plain one fewer of them where it has a client for each kind of load.
    pub(crate) async fn renew(&mut self, broker: Broker) -> Result<()> {
        self.broker.transport.close().await?;
        self.ours = Ours(Arc::clone(&broker.transport));
        self.broker = broker;
        Ok(())
    }

    pub(crate) fn about(&self) -> String {
        self.broker.raw.about()
    }

    /// Runs the sides in pairs, either first by turns, so that what slows the machine for a while
    /// slows both.
    pub(crate) async fn measure(&mut self, case: Case, effort: Effort) -> Result<Measured> {
        // These times don't count: connections and caches are new, and a server that was just
        // started is several times slower than it will be.
        let most = Self::MOST / case.payload as u64;
        let (mut messages, mut tried) = (Self::FIRST, 0);
        while messages > tried * 2 {
            tried = messages;
            let first = self.pairs(case, tried, 1).await?;
            let fastest = first.iter().flatten().map(|run| run.rate).fold(0.0, f64::max);
            messages = ((fastest * effort.run_ms as f64 / 1e3) as u64).clamp(1_000, most);
        }
        let pairs = self.pairs(case, messages, effort.pairs).await?;

        let (ours, raw): (Vec<_>, Vec<_>) = pairs.iter().map(|[ours, raw]| (*ours, *raw)).unzip();
        let measured = Measured {
            case,
            ours: Cost::of(&ours),
            raw: Cost::of(&raw),
            ratio: Median::of(pairs.iter().map(|[ours, raw]| ours.rate / raw.rate).collect()),
        };
        let (ours, raw) = (measured.ours.cpu_ns.median, measured.raw.cpu_ns.median);
        let ratio = measured.ratio.median;
        eprintln!("{case}: {messages} messages, {ratio:.2} of raw, {ours:.0} ns CPU to {raw:.0}");
        Ok(measured)
    }

    /// Our run and the other one of each pair.
    async fn pairs(&mut self, case: Case, messages: u64, pairs: u32) -> Result<Vec<[Run; 2]>> {
        let full = match case.direction {
            Direction::Publish => None,
            Direction::Read => {
                let load = self.create(case, messages).await?;
                self.broker.raw.publish(&load).await?.run().await?;
                Some(load)
            }
        };
        let mut measured = Vec::new();
        for pair in 0..pairs {
            let mut runs = [None, None];
            for turn in [pair % 2, 1 - pair % 2] {
                let is_ours = turn == 0;
                runs[turn as usize] = Some(match &full {
                    None => self.publish(case, messages, is_ours).await?,
                    Some(load) => self.read(load, is_ours).await?,
                });
            }
            if let [Some(ours), Some(raw)] = runs {
                measured.push([ours, raw]);
            }
        }
        if let Some(load) = full {
            self.remove(&load).await?;
        }
        Ok(measured)
    }

    fn side(&self, is_ours: bool) -> &dyn Side {
        if is_ours { &self.ours } else { &*self.broker.raw }
    }

    async fn publish(&mut self, case: Case, messages: u64, is_ours: bool) -> Result<Run> {
        let load = self.create(case, messages).await?;
        let work = self.side(is_ours).publish(&load).await?;
        let ((), run) = timed(&load, work).await?;
        for channel in &load.channels {
            let stored = self.broker.raw.stored(channel).await?;
            if stored != load.messages {
                let expected = load.messages;
                return Err(format!("{channel} holds {stored} messages, not {expected}").into());
            }
        }
        // The other side reads it: count, order and contents.
        self.read(&load, !is_ours).await?;
        self.remove(&load).await?;
        Ok(run)
    }

    async fn read(&self, load: &Arc<Load>, is_ours: bool) -> Result<Run> {
        let work = self.side(is_ours).read(load).await?;
        let (found, run) = timed(load, work).await?;
        let expected = load.expected();
        if found != expected {
            return Err(format!(
                "what was read is not what was written: {found:?} instead of {expected:?}"
            )
            .into());
        }
        Ok(run)
    }

    async fn create(&mut self, case: Case, messages: u64) -> Result<Arc<Load>> {
        self.loads += 1;
        let load = Load::new(case, &format!("bench-{}", self.loads), messages);
        for channel in &load.channels {
            self.broker.transport.create(channel).await?;
        }
        Ok(Arc::new(load))
    }

    async fn remove(&self, load: &Load) -> Result<()> {
        for channel in &load.channels {
            self.broker.transport.delete(channel).await?;
        }
        Ok(())
    }
}

async fn timed<T>(load: &Load, mut work: Box<dyn Work<T>>) -> Result<(T, Run)> {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let given = work.run().await?;
    let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
    let messages = load.total() as f64;
    let rate = messages / wall.as_secs_f64();
    Ok((given, Run { rate, cpu_ns: cpu.as_nanos() as f64 / messages }))
}
