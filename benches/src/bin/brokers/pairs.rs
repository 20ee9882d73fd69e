//! Running both sides in turn.

use std::sync::Arc;
use std::time::Instant;
use std::{fmt, iter};

use msgstream_bench::clock::{Median, cpu_time};
use msgstream_core::transport::TransportExt as _;

use crate::load::Load;
use crate::ours::Ours;
use crate::side::{Broker, Result, Side, Work};
use crate::streams::Streams;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) direction: Direction,
    /// The size of a payload, or of the blob in it, in bytes.
    pub(crate) payload: usize,
    pub(crate) channels: usize,
    /// Whether our side is a program with streams, and how often it ticks; else it is the transport.
    pub(crate) ticks: Option<Ticks>,
}

/// A tick follows so many messages of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Publish,
    Read,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}ch-{}b", self.name(), self.channels, self.payload)?;
        self.ticks.map_or(Ok(()), |Ticks(every)| write!(f, "-{every}"))
    }
}

impl Case {
    /// The transport by itself, and then programs.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let transport = (None, [1, 8]);
        let programs = [100, 10_000].map(|every| (Some(Ticks(every)), [2, 8]));
        iter::once(transport).chain(programs).flat_map(|(ticks, channels)| {
            [Direction::Publish, Direction::Read].into_iter().flat_map(move |direction| {
                [128, 1024].into_iter().flat_map(move |payload| {
                    let of = move |channels| Self { direction, payload, channels, ticks };
                    channels.into_iter().map(of)
                })
            })
        })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match (self.direction, self.ticks) {
            (Direction::Publish, None) => "publish",
            (Direction::Read, None) => "read",
            (Direction::Publish, Some(_)) => "produce",
            (Direction::Read, Some(_)) => "consume",
        }
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
    /// How many loads there were.
    loads: usize,
}

/// Who writes or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Transport,
    Streams(Ticks),
    Raw,
}

impl Bench {
    /// Messages of the first pair; each tells how many are needed for the next.
    const FIRST: u64 = 10_000;

    /// The most that one run writes, in bytes of payload: it is in the server's files until the
    /// run is checked.
    const MOST: u64 = 1 << 30;

    pub(crate) const fn new(broker: Broker) -> Self {
        Self { broker, loads: 0 }
    }

    /// Goes on with new clients. Those of before have had many channels that are gone by now, and
    /// the plain one fewer of them where it has a client for each kind of load.
    pub(crate) async fn renew(&mut self, broker: Broker) -> Result<()> {
        self.broker.transport.close().await?;
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
        let sides = [case.ticks.map_or(Who::Transport, Who::Streams), Who::Raw];
        let mut full = Vec::new();
        if case.direction == Direction::Read {
            // Both read what the plain client wrote, unless one of them needs ticks.
            for writer in if case.ticks.is_some() { sides } else { [Who::Raw; 2] } {
                let load = self.create(case, messages).await?;
                self.side(writer).publish(&load).await?.run().await?;
                full.push(load);
            }
        }
        let mut measured = Vec::new();
        for pair in 0..pairs {
            let mut runs = [None, None];
            for turn in [pair % 2, 1 - pair % 2] {
                let turn = turn as usize;
                runs[turn] = Some(match full.get(turn) {
                    None => self.publish(case, messages, sides[turn]).await?,
                    Some(load) => self.read(load, sides[turn]).await?,
                });
            }
            if let [Some(ours), Some(raw)] = runs {
                measured.push([ours, raw]);
            }
        }
        for load in full {
            self.remove(&load).await?;
        }
        Ok(measured)
    }

    fn side(&self, who: Who) -> Box<dyn Side + '_> {
        let transport = || Arc::clone(&self.broker.transport);
        match who {
            Who::Transport => Box::new(Ours(transport())),
            Who::Streams(ticks) => Box::new(Streams { transport: transport(), ticks }),
            Who::Raw => Box::new(&*self.broker.raw),
        }
    }

    async fn publish(&mut self, case: Case, messages: u64, who: Who) -> Result<Run> {
        let load = self.create(case, messages).await?;
        let work = self.side(who).publish(&load).await?;
        let ((), run) = timed(&load, work).await?;
        if !matches!(who, Who::Streams(_)) {
            for channel in &load.channels {
                let stored = self.broker.raw.stored(channel).await?;
                if stored != load.messages {
                    let expected = load.messages;
                    let found = format!("{channel} holds {stored} messages, not {expected}");
                    return Err(found.into());
                }
            }
        }
        // Count, order and contents; by the other side where it understands what was written.
        let reader = match who {
            Who::Transport => Who::Raw,
            Who::Raw => Who::Transport,
            Who::Streams(_) => who,
        };
        self.read(&load, reader).await?;
        self.remove(&load).await?;
        Ok(run)
    }

    async fn read(&self, load: &Arc<Load>, who: Who) -> Result<Run> {
        let work = self.side(who).read(load).await?;
        let (found, run) = timed(load, work).await?;
        let rows = matches!(who, Who::Streams(_));
        let expected = if rows { load.expected_rows() } else { load.expected() };
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
