//! Who produces what, and where.

use std::ops::Range;
use std::time::Duration;

use super::ms;
use crate::Rng;

/// A producer with a session.
#[derive(Clone, Debug)]
pub(in super::super) struct ProducerPlan {
    pub(in super::super) id: String,
    pub(in super::super) home: String,
    pub(in super::super) channels: Vec<String>,
    /// So many messages on each channel.
    pub(in super::super) messages: u64,
    /// It ticks, alone on its channels; a guest on the channels of others doesn't.
    pub(in super::super) tick_every: Option<Duration>,
    /// What it does when it has nothing more to say.
    pub(in super::super) then: Then,
    pub(in super::super) batch: u64,
    pub(in super::super) pause: Range<Duration>,
    /// Bytes of a message.
    pub(in super::super) payload: Range<u64>,
    /// Its clock is so much ahead of the world's.
    pub(in super::super) clock: Duration,
}

/// What becomes of a producer's channels in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Then {
    /// It goes on ticking.
    Ticks,
    /// Nothing more comes.
    Silence,
    /// It ends them within its session.
    Ends,
    /// It closes its session, and ends them without one.
    EndsPlainly,
}

impl Then {
    pub(in super::super) const fn is_end(self) -> bool {
        matches!(self, Self::Ends | Self::EndsPlainly)
    }
}

/// What the producers of a world have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// Those that tick may fall silent: packs go on without them.
    pub(super) idle: bool,
    /// There may be producers that don't tick.
    pub(super) guests: bool,
    /// How often one but the first ends its channels, and whether all do.
    pub(super) ends: f64,
    pub(super) all_end: bool,
    /// Their clocks are so far apart at most, in ms.
    pub(super) skew: u64,
}

/// Each channel has one producer that ticks; guests write where late records are no error.
pub(super) fn producers(rng: &mut Rng, channels: &[String], manners: Manners) -> Vec<ProducerPlan> {
    let mut left = channels.to_vec();
    let mut producers = Vec::new();
    while !left.is_empty() {
        let own = left.split_off(left.len() - 1 - rng.index(left.len()));
        producers.push(producer(rng, producers.len(), own, true, manners));
    }
    while manners.guests && rng.chance(0.4) && producers.len() < 6 {
        let some = channels.iter().filter(|_| rng.chance(0.6)).cloned().collect::<Vec<_>>();
        if !some.is_empty() {
            producers.push(producer(rng, producers.len(), some, false, manners));
        }
    }
    producers
}

fn producer(
    rng: &mut Rng,
    number: usize,
    channels: Vec<String>,
    ticks: bool,
    manners: Manners,
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
        then: then(rng, number, ticks, manners),
        channels,
        batch: rng.range(1..8),
        pause: ms(0)..ms([20, 150, 1_500][rng.index(3)]),
        payload: 1..largest,
        clock: ms(rng.range(0..manners.skew + 1)),
    }
}

/// Somebody's ticks must go on, so that everything is in some pack.
fn then(rng: &mut Rng, number: usize, ticks: bool, manners: Manners) -> Then {
    if !ticks {
        return Then::Silence;
    }
    if manners.all_end || (number > 0 && rng.chance(manners.ends)) {
        return if rng.chance(0.6) { Then::Ends } else { Then::EndsPlainly };
    }
    let silent = manners.idle && number > 0 && rng.chance(0.6);
    if silent { Then::Silence } else { Then::Ticks }
}
