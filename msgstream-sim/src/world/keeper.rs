//! Whoever looks after the channels: retention, and an administrator who breaks something. And one
//! who writes without a session.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::message::MsgPack;
use msgstream_core::record::Position;
use msgstream_core::{Error, MsgStream, Timestamp};
use tokio::time::sleep;

use super::World;
use super::consumer::SUBSCRIPTION;
use super::ledger::Destroyed;
use super::model::{Logs, Producers, told_from};
use super::plan::Vandal;
use super::producer::message;
use crate::Rng;

/// Deletes what the subscription has passed, as brokers do that keep records until then. By then a
/// checkpoint behind it is saved. What tells the producers' last numbers is kept for longer.
pub(super) async fn retention(world: Arc<World>) {
    let mut kept = vec![Kept::default(); world.plan.channels.len()];
    loop {
        sleep(Duration::from_millis(250)).await;
        world.check_cursors();
        for (channel, kept) in world.plan.channels.iter().zip(&mut kept) {
            let passed = world.sim.cursor(channel, SUBSCRIPTION);
            if let Some(passed) = passed.filter(|passed| Some(*passed) > kept.passed) {
                kept.passed = Some(passed);
                let told_from = kept.told_from(&world, channel);
                if let Some(before) = told_from.map(|from| from.min(passed)) {
                    world.sim.trim(channel, before);
                    world.ledger().trimmed.insert(channel.clone(), before);
                }
            }
        }
    }
}

/// What retention knows of a channel.
#[derive(Clone, Default)]
struct Kept {
    passed: Option<Position>,
    producers: Producers,
    /// How many of the records it has looked at.
    seen: usize,
}

impl Kept {
    fn told_from(&mut self, world: &World, channel: &str) -> Option<Position> {
        world.sim.for_each_from(channel, self.seen, |record| {
            self.producers.take(record);
            self.seen += 1;
        });
        self.producers.told_from()
    }
}

pub(super) async fn vandal(world: Arc<World>, vandal: Vandal, mut rng: Rng) {
    let (Vandal::Recreates(when) | Vandal::Trims(when)) = vandal;
    sleep(when).await;
    let Some(channel) = rng.pick(&world.plan.channels) else { return };
    let records = world.sim.records(channel);
    let saved = world.store.has_checkpoint();
    match vandal {
        // Whoever begins after it gets nothing of what was there, and can't know.
        Vandal::Trims(_) if !saved => {}
        Vandal::Trims(_) => {
            // So that producers can go on.
            if let Some(told) = told_from(&records) {
                world.sim.trim(channel, told);
            }
        }
        Vandal::Recreates(_) => {
            world.sim.recreate(channel);
            let mut ledger = world.ledger();
            let (channel, given) = (channel.clone(), ledger.given.len());
            ledger.destroyed = Some(Destroyed { channel, records, given, saved });
        }
    }
}

/// Writes messages without a session, some of them late: what is stored counts, as often as it is.
pub(super) async fn foreigner(world: Arc<World>, mut rng: Rng) {
    let mut channels: Vec<_> = world.plan.channels.iter().map(String::as_str).collect();
    for number in 0_u64.. {
        sleep(Duration::from_millis(10)).await;
        let mut stream = MsgStream::new(world.plan.transport(&world.sim));
        let opened = stream.create_producers(&channels).await;
        if let Err(Error::Ended { channel }) = &opened {
            world.found_ended(channel);
            channels.retain(|open| open != channel);
        }
        if channels.is_empty() || world.is_calm() {
            return;
        }
        if opened.and_then(|()| stream.start()).is_err() {
            continue;
        }
        loop {
            sleep(Duration::from_millis(rng.range(1..2_000))).await;
            if world.is_calm() {
                return;
            }
            let behind = rng.below(1_000) << Timestamp::LOGICAL_BITS;
            let mut ts = world.unix_time().0 + (500 << Timestamp::LOGICAL_BITS) - behind;
            if world.plan.wild && rng.chance(0.1) {
                ts = u64::MAX;
            }
            let key = rng.index(channels.len()) as u32;
            let pack = MsgPack::from_iter([message(key, number, ts, 10)]);
            if stream.produce(pack).await.is_err() {
                break;
            }
        }
    }
}

impl World {
    /// A cursor is never past what is saved: what is before it may be deleted.
    pub(super) fn check_cursors(&self) {
        let saved = self.store.furthest();
        for channel in &self.plan.channels {
            let cursor = self.sim.cursor(channel, SUBSCRIPTION);
            let resume = saved.get(&**channel).copied();
            if cursor > resume {
                let what = format!(
                    "the cursor of {channel} is at {cursor:?}, and what is saved resumes at {resume:?}"
                );
                self.ledger().violation(what);
            }
        }
    }

    pub(super) fn logs(&self) -> Logs {
        let ledger = self.ledger();
        let log = |channel: &String| {
            let name = Arc::<str>::from(&**channel);
            let records = match &ledger.destroyed {
                Some(destroyed) if destroyed.channel == *channel => destroyed.records.clone(),
                _ => self.plan.records(&self.sim, channel),
            };
            (name, records)
        };
        self.plan.channels.iter().map(log).collect()
    }
}
