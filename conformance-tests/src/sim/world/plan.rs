//! What a seed decides about a run before it begins.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use msgstream_core::{LatePolicy, Timestamp, TtConfig};

use crate::sim::{Rng, Sim, SimBuilder};

/// A world, drawn from a seed: who produces what to which channels, how consumers read them, and
/// what goes wrong how often.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Faults end after `storm`, and everything must come true within a while. Else they never do,
    /// and the run ends with them.
    pub(super) liveness: bool,
    pub(super) storm: Duration,
    pub(super) channels: Vec<String>,
    pub(super) producers: Vec<ProducerPlan>,
    /// Somebody writes without a session.
    pub(super) foreign: bool,
    pub(super) consumer: TtConfig,
    /// How often a pack is committed.
    pub(super) commits: f64,
    /// How often a life ends in a crash, and how often the dead go on.
    pub(super) crashes: f64,
    pub(super) zombies: f64,
    /// Records are deleted that the subscription has passed.
    pub(super) retention: bool,
    pub(super) vandal: Option<Vandal>,
    /// Sessions know since when there is something of theirs to read.
    pub(super) bounded: bool,
    network: Network,
}

/// A producer with a session.
#[derive(Clone, Debug)]
pub(super) struct ProducerPlan {
    pub(super) id: String,
    pub(super) home: String,
    pub(super) channels: Vec<String>,
    /// So many messages on each channel.
    pub(super) messages: u64,
    /// It ticks, alone on its channels; a guest on the channels of others doesn't.
    pub(super) tick_every: Option<Duration>,
    /// Whether it goes on ticking when it has nothing more to say.
    pub(super) falls_silent: bool,
    pub(super) batch: u64,
    pub(super) pause: Range<Duration>,
    /// Bytes of a message.
    pub(super) payload: Range<u64>,
}

/// What an administrator breaks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vandal {
    /// A channel is deleted and made again.
    Recreates(Duration),
    /// The records of a channel up to its last tick are deleted, read or not.
    Trims(Duration),
}

#[derive(Clone, Debug)]
struct Network {
    latency: u64,
    rates: [f64; 9],
    gaps: bool,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let idle = rng.chance(0.25).then(|| ms(rng.range(500..5_000)));
        let late = match rng.index(3) {
            // What an idle channel brings later may be late by no fault of its producer.
            0 if idle.is_none() => LatePolicy::Error,
            1 if idle.is_none() => LatePolicy::Drop,
            _ => LatePolicy::Deliver,
        };
        let mut consumer = TtConfig::default()
            .with_late(late)
            .with_batch(rng.range(1..200) as usize)
            .with_wait(ms(rng.range(100..2_000)));
        consumer.idle = idle;
        if rng.chance(0.25) {
            consumer = consumer.with_align(ms(rng.range(50..1_000)));
        }
        if rng.chance(0.5) {
            consumer = consumer.with_budget(rng.range(2_000..24_000) as usize);
        }
        let channels: Vec<_> = (0..rng.range(1..5)).map(|c| format!("channel-{c}")).collect();
        let may_be_late = late != LatePolicy::Error;
        let producers = producers(rng, &channels, idle.is_some(), may_be_late);
        let storm = ms(rng.range(3_000..20_000));
        let all_tick = producers.iter().all(|p| p.tick_every.is_some());
        // What tells a producer's last number must not be deleted: the last tick stays.
        let may_trim = idle.is_none() && all_tick;
        let vandal = rng.chance(0.1).then(|| {
            let when = rng.time(&(ms(500)..storm));
            if may_trim && rng.chance(0.5) { Vandal::Trims(when) } else { Vandal::Recreates(when) }
        });
        let may_trim_by_force = matches!(vandal, Some(Vandal::Trims(_)));
        Self {
            seed,
            liveness: rng.chance(0.6),
            storm,
            channels,
            producers,
            foreign: may_be_late && rng.chance(0.5),
            consumer,
            commits: [1.0, 0.5, 0.1][rng.index(3)],
            crashes: [0.0, 0.7, 1.0][rng.index(3)],
            // The last tick tells the right number where it isn't a zombie's.
            zombies: if may_trim_by_force { 0.0 } else { [0.0, 0.5][rng.index(2)] },
            retention: may_trim && rng.chance(0.7),
            vandal,
            network: Network::new(rng),
            bounded: rng.chance(0.3),
        }
    }

    /// Whether packs are a function of the channels' contents alone.
    pub(super) const fn is_strict(&self) -> bool {
        self.consumer.idle.is_none()
    }

    /// All channels there are: those with messages, and the homes of sessions.
    pub(super) fn all_channels(&self) -> BTreeSet<&str> {
        let homes = self.producers.iter().map(|p| p.home.as_str());
        self.channels.iter().map(String::as_str).chain(homes).collect()
    }

    /// Packs end at multiples of so many units of time.
    pub(super) fn grid(&self) -> u64 {
        self.consumer.align.map_or(1, Timestamp::span)
    }

    pub(super) fn sim(&self) -> SimBuilder {
        // Other dice than the plan's: what is drawn here is not drawn again there.
        self.network.rules(Sim::seed(self.seed ^ 0x5eed))
    }
}

/// Each channel has one producer that ticks; guests write where late records are no error.
fn producers(rng: &mut Rng, channels: &[String], idle: bool, guests: bool) -> Vec<ProducerPlan> {
    let mut left = channels.to_vec();
    let mut producers = Vec::new();
    while !left.is_empty() {
        let own = left.split_off(left.len() - 1 - rng.index(left.len()));
        producers.push(producer(rng, producers.len(), own, true, idle));
    }
    while guests && rng.chance(0.4) && producers.len() < 6 {
        let some = channels.iter().filter(|_| rng.chance(0.6)).cloned().collect::<Vec<_>>();
        if !some.is_empty() {
            producers.push(producer(rng, producers.len(), some, false, idle));
        }
    }
    producers
}

fn producer(
    rng: &mut Rng,
    number: usize,
    channels: Vec<String>,
    ticks: bool,
    idle: bool,
) -> ProducerPlan {
    let id = format!("p{number}");
    // A home of its own, or one of the channels it writes to.
    let home = if rng.chance(0.7) { format!("home-{id}") } else { channels[0].clone() };
    let largest = [20, 200, 1_500][rng.index(3)];
    ProducerPlan {
        id,
        home,
        messages: rng.range(10..80),
        tick_every: ticks.then(|| ms(rng.range(40..600))),
        falls_silent: idle && number > 0 && rng.chance(0.6),
        channels,
        batch: rng.range(1..8),
        pause: ms(0)..ms([20, 150, 1_500][rng.index(3)]),
        payload: 1..largest,
    }
}

impl Network {
    /// Each kind of fault is there or not, more or less often: what never happens together would
    /// else never be seen alone either.
    fn new(rng: &mut Rng) -> Self {
        let much = [0.0, 0.3, 1.0, 1.0][rng.index(4)];
        let most = [0.05, 0.05, 0.05, 0.08, 0.03, 0.02, 0.02, 0.5, 0.3];
        let rates = most.map(|most| if rng.chance(0.6) { most * much } else { 0.0 });
        Self { latency: [1, 5, 60][rng.index(3)], rates, gaps: rng.chance(0.5) }
    }

    fn rules(&self, sim: SimBuilder) -> SimBuilder {
        let [lost, unknown, partial, twice, cut_off, slow, stuck, stale, short] = self.rates;
        sim.latency(ms(0)..ms(self.latency))
            .lost_acks(lost)
            .unknown_outcomes(unknown)
            .partial_batches(partial)
            .duplicates(twice)
            .late_writes(ms(1)..ms(9_000))
            .disconnects(cut_off, ms(1)..ms(8_000))
            .slow_channels(slow, ms(1)..ms(3_000))
            .stuck_channels(stuck, ms(1)..ms(6_000))
            .stale_reads(stale, ms(1)..ms(4_000))
            .short_reads(short)
            .gaps(if self.gaps { 0.3 } else { 0.0 })
    }
}
