//! What a seed decides about a run before it begins.

mod network;
mod producers;
mod virtuals;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::Transport;
use msgstream_core::{ConsumerConfig, LatePolicy, Timestamp};
use msgstream_layers::{Chunks, Encrypted, Key, KeyRing};

use self::network::Network;
use self::producers::{Manners, producers};
pub(super) use self::producers::{ProducerPlan, Then};
pub(super) use self::virtuals::Virtuals;
use self::virtuals::own;
use self::whole::joined;
use super::consumer::SUBSCRIPTION;
use super::model::Rules;
use crate::{Rng, Sim, SimBuilder};

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
    /// The last channel joins once a pack ends at a time or after it.
    pub(super) joins: Option<Timestamp>,
    pub(super) producers: Vec<ProducerPlan>,
    /// Somebody writes without a session.
    pub(super) foreign: bool,
    /// Now and then at the end of time. No tick comes up to that, so what ends with it holds packs
    /// back until it is idle.
    pub(super) wild: bool,
    pub(super) consumer: ConsumerConfig,
    /// How often a pack is committed.
    pub(super) commits: f64,
    /// How often a life ends in a crash, and how often the dead go on.
    pub(super) crashes: f64,
    pub(super) zombies: f64,
    /// How often a consumer that was given a pack ends its life, or goes back in it.
    pub(super) leaves: f64,
    /// How often a consumer begins at an earlier save than the last one.
    pub(super) restores: f64,
    /// How often a consumer rests before it asks for the next pack.
    pub(super) rests: f64,
    /// Records are deleted that the subscription has passed.
    pub(super) retention: bool,
    pub(super) vandal: Option<Vandal>,
    /// Sessions know since when there is something of theirs to read.
    pub(super) bounded: bool,
    /// Payloads are sealed with these keys.
    pub(super) keys: Option<KeyRing>,
    /// Messages are in parts of so many bytes.
    pub(super) parts: Option<usize>,
    /// The channels are virtual ones.
    pub(super) virtuals: Option<Virtuals>,
    network: Network,
}

/// What an administrator breaks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vandal {
    /// A channel is deleted and made again.
    Recreates(Duration),
    /// The records of a channel are deleted, read or not, but for those that tell the producers'
    /// last numbers.
    Trims(Duration),
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Plan {
    pub(super) fn new(seed: u64, begin: Timestamp) -> Self {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        // Everything at once: what is found nowhere alone.
        let hard = rng.chance(0.3);
        let consumer = consumer(rng, hard);
        let channels: Vec<_> =
            (0..rng.range(if hard { 3..5 } else { 1..5 })).map(channel).collect();
        let may_be_late = consumer.late_policy != LatePolicy::Error;
        let manners = Manners {
            idle: consumer.idle_after.is_some(),
            guests: may_be_late,
            ends: if hard { 0.5 } else { [0.0, 0.3][rng.index(2)] },
            all_end: rng.chance(0.07),
            skew: [0, 0, 100, 5_000][rng.index(4)],
        };
        let mut producers = producers(rng, &channels, manners);
        let storm = ms(rng.range(if hard { 8_000 } else { 3_000 }..20_000));
        let vandal = (!hard && rng.chance(0.1)).then(|| {
            let when = rng.time(&(ms(500)..storm));
            if rng.chance(0.5) { Vandal::Trims(when) } else { Vandal::Recreates(when) }
        });
        let retention = hard || rng.chance(0.4);
        // Packs must go on ending until it joins.
        let goes_on = |p: &ProducerPlan| {
            p.then == Then::Ticks && p.channels.iter().any(|c| Some(c) != channels.last())
        };
        let may_join = vandal.is_none() && producers.iter().any(goes_on);
        let joins = (may_join && rng.chance(0.2))
            .then(|| Timestamp(begin.0 + Timestamp::span(rng.time(&(ms(200)..storm)))));
        let keeps_all = !retention && vandal.is_none() && joins.is_none();
        let parts = parts(seed).filter(|_| !retention && vandal.is_none());
        let virtuals = Virtuals::new(seed, channels.len()).filter(|_| parts.is_none());
        for producer in &mut producers {
            // A session can't be at home on a virtual channel.
            let home = virtuals.as_ref().and_then(|v| v.physical(&producer.home));
            home.into_iter().for_each(|home| producer.home = home);
        }
        Self {
            seed,
            liveness: hard || rng.chance(0.6),
            storm,
            channels,
            joins,
            producers,
            foreign: may_be_late && rng.chance(0.5),
            wild: manners.idle && !manners.all_end && rng.chance(0.1),
            consumer,
            commits: [1.0, 0.5, 0.1][rng.index(3)],
            crashes: if hard { 1.0 } else { [0.0, 0.7, 1.0][rng.index(3)] },
            zombies: [0.0, 0.5][rng.index(2)],
            leaves: if hard { 0.1 } else { [0.0, 0.02, 0.2][rng.index(3)] },
            restores: if keeps_all { [0.0, 0.3][rng.index(2)] } else { 0.0 },
            rests: [0.0, 0.0, 0.05][rng.index(3)],
            retention,
            vandal,
            bounded: hard || rng.chance(0.3),
            keys: keys(seed),
            parts,
            virtuals,
            network: Network::new(rng, hard),
        }
    }

    /// Whether packs are a function of the channels' contents alone.
    pub(super) const fn is_strict(&self) -> bool {
        self.consumer.idle_after.is_none()
    }

    /// All channels of the broker: those with messages, and the homes of sessions.
    pub(super) fn all_channels(&self) -> BTreeSet<String> {
        let homes = self.producers.iter().map(|p| p.home.clone());
        self.channels.iter().map(|channel| self.physical(channel)).chain(homes).collect()
    }

    /// The channel of the broker that a channel is, or is a part of.
    pub(super) fn physical(&self, channel: &str) -> String {
        let physical = self.virtuals.as_ref().and_then(|virtuals| virtuals.physical(channel));
        physical.unwrap_or_else(|| channel.to_owned())
    }

    /// The channels that are in one with this one, itself among them.
    pub(super) fn beside(&self, channel: &str) -> impl Iterator<Item = &String> {
        let physical = self.physical(channel);
        self.channels.iter().filter(move |other| self.physical(other) == physical)
    }

    /// Whether somebody ticks all channels that are in one, and writes messages for all of them. Those
    /// who write to the channels don't know what it promises.
    pub(super) fn has_authority(&self) -> bool {
        let may_be_late = self.consumer.late_policy != LatePolicy::Error;
        may_be_late && self.virtuals.as_ref().is_some_and(|virtuals| virtuals.common)
    }

    /// The channel that joins, and when.
    pub(super) fn joiner(&self) -> Option<(&str, Timestamp)> {
        Some((self.channels.last()?, self.joins?))
    }

    /// The channels that a consumer begins with.
    pub(super) fn first_channels(&self) -> Vec<&str> {
        let first = self.channels.len() - usize::from(self.joins.is_some());
        self.channels.iter().take(first).map(String::as_str).collect()
    }

    /// What consumers go by.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            interval: self.consumer.align_to.map_or(1, Timestamp::span),
            late: self.consumer.late_policy,
            joins: self.joiner().map(|(joiner, at)| (Arc::from(joiner), at.0)),
        }
    }

    /// A handle on a broker, as the programs of this world use it.
    pub(super) fn transport(&self, sim: &Sim) -> Arc<dyn Transport> {
        let mut broker: Arc<dyn Transport> = Arc::new(sim.transport());
        if let Some(bytes) = self.parts {
            broker = Arc::new(Chunks::over(broker).with_part_bytes(bytes));
        }
        if let Some(keys) = &self.keys {
            broker = Arc::new(Encrypted::over(broker, keys.clone()));
        }
        match &self.virtuals {
            Some(virtuals) => virtuals.over(broker),
            None => broker,
        }
    }

    /// A handle for all consumers of this world, if they have one.
    pub(super) fn shared_transport(&self, sim: &Sim) -> Option<Arc<dyn Transport>> {
        self.virtuals.as_ref().filter(|v| v.shared).map(|_| self.transport(sim))
    }

    /// The records of a channel, as the programs of this world have them.
    pub(super) fn records(&self, sim: &Sim, channel: &str) -> Vec<Record> {
        let records = sim.records(&self.physical(channel));
        let records = if self.parts.is_some() { joined(records) } else { records };
        records.into_iter().filter_map(|record| self.record(record, channel)).collect()
    }

    /// A record of the broker as one of a channel, if it is in there.
    pub(super) fn record(&self, record: Record, channel: &str) -> Option<Record> {
        match self.virtuals.as_ref().and_then(|virtuals| virtuals.physical(channel)) {
            Some(_) => own(record, channel),
            None => Some(record),
        }
    }

    /// How far the consumers' subscription of a channel was acknowledged.
    pub(super) fn cursor(&self, sim: &Sim, channel: &str) -> Option<Position> {
        match self.virtuals.as_ref().and_then(|virtuals| virtuals.physical(channel)) {
            Some(physical) => {
                sim.cursor(&physical, &format!("{}.{channel}.{SUBSCRIPTION}", channel.len()))
            }
            None => sim.cursor(channel, SUBSCRIPTION),
        }
    }

    pub(super) fn sim(&self) -> SimBuilder {
        // Other dice than the plan's: what is drawn here is not drawn again there.
        self.network.rules(Sim::seed(self.seed ^ 0x5eed))
    }
}

/// In one world of eight payloads are sealed. Other dice than the plan's: seeds in bug reports stay
/// what they are.
fn keys(seed: u64) -> Option<KeyRing> {
    let mut rng = Rng::new(seed ^ 0x5ea1);
    let key = rng.chance(0.125).then(|| Key::new("world", &[7; Key::BYTES]));
    Some(KeyRing::new(key?.ok()?))
}

/// In one world of four messages are in parts, most of them in several. What deletes records beneath the
/// layer deletes parts of messages that end later, so nothing does.
fn parts(seed: u64) -> Option<usize> {
    let mut rng = Rng::new(seed ^ 0x9a47);
    let bytes = rng.range(5..100) as usize;
    rng.chance(0.25).then_some(bytes)
}

fn channel(number: u64) -> String {
    format!("channel-{number}")
}

fn consumer(rng: &mut Rng, hard: bool) -> ConsumerConfig {
    let longest = if hard { 1_000 } else { 5_000 };
    let idle = (hard || rng.chance(0.25)).then(|| ms(rng.range(200..longest)));
    let late = match rng.index(3) {
        // What an idle channel brings later may be late by no fault of its producer.
        0 if idle.is_none() => LatePolicy::Error,
        1 => LatePolicy::Drop,
        _ => LatePolicy::Deliver,
    };
    let mut config = ConsumerConfig::default()
        .with_late_policy(late)
        .with_max_records(rng.range(1..200) as usize)
        .with_wait(ms(rng.range(100..2_000)));
    config.idle_after = idle;
    if rng.chance(0.25) {
        config = config.with_align_to(ms(rng.range(50..1_000)));
    }
    if hard || rng.chance(0.5) {
        config = config.with_budget_bytes(rng.range(2_000..24_000) as usize);
    }
    config
}
