//! Whoever looks after the channels: retention, and an administrator who breaks something. And one
//! who writes without a session.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::message::MsgPack;
use msgstream_core::record::Position;
use msgstream_core::{Error, MsgStream, Timestamp};
use tokio::time::sleep;

use super::World;
use super::ledger::Destroyed;
use super::model::{Logs, Producers, told_from};
use super::plan::{Vandal, Virtuals};
use super::producer::message;
use crate::Rng;

/// Deletes what the subscription has passed, as brokers do that keep records until then. By then a
/// checkpoint behind it is saved. What tells the producers' last numbers is kept for longer.
pub(super) async fn retention(world: Arc<World>) {
    let mut kept = vec![Kept::default(); world.plan.channels.len()];
    loop {
        sleep(Duration::from_millis(250)).await;
        world.check_cursors();
        for (channel, at) in world.plan.channels.iter().zip(0..) {
            if !kept.get_mut(at).is_some_and(|kept: &mut Kept| kept.moves(&world, channel)) {
                continue;
            }
            let physical = world.plan.physical(channel);
            let channels = world.plan.channels.iter().zip(&kept);
            let inside = || channels.clone().filter(|(c, _)| world.plan.physical(c) == physical);
            if let Some(before) = inside().map(|(_, kept)| kept.before).min().flatten() {
                world.sim.trim(&physical, before);
                let trimmed = inside().map(|(channel, _)| (channel.clone(), before));
                world.ledger().trimmed.extend(trimmed);
            }
        }
    }
}

/// What retention knows of a channel.
#[derive(Clone, Default)]
struct Kept {
    passed: Option<Position>,
    /// What is before it is for nobody.
    before: Option<Position>,
    producers: Producers,
    /// How many of the records it has looked at.
    seen: usize,
}

impl Kept {
    /// Looks whether the subscription moved, and what that means.
    fn moves(&mut self, world: &World, channel: &str) -> bool {
        let passed = world.plan.cursor(&world.sim, channel);
        let Some(passed) = passed.filter(|passed| Some(*passed) > self.passed) else {
            return false;
        };
        self.passed = Some(passed);
        self.before = self.told_from(world, channel).map(|from| from.min(passed));
        true
    }

    fn told_from(&mut self, world: &World, channel: &str) -> Option<Position> {
        world.sim.for_each_from(&world.plan.physical(channel), self.seen, |record| {
            if let Some(record) = world.plan.record(record.clone(), channel) {
                self.producers.take(&record);
            }
            self.seen += 1;
        });
        self.producers.told_from(world.plan.virtuals.is_some())
    }
}

pub(super) async fn vandal(world: Arc<World>, vandal: Vandal, mut rng: Rng) {
    let (Vandal::Recreates(when) | Vandal::Trims(when)) = vandal;
    sleep(when).await;
    let Some(channel) = rng.pick(&world.plan.channels) else { return };
    let records = || {
        let channels = world.plan.beside(channel);
        channels.map(|channel| (channel.clone(), world.plan.records(&world.sim, channel)))
    };
    let saved = world.store.has_checkpoint();
    match vandal {
        // Whoever begins after it gets nothing of what was there, and can't know.
        Vandal::Trims(_) if !saved => {}
        Vandal::Trims(_) => {
            // So that producers can go on.
            let is_virtual = world.plan.virtuals.is_some();
            let mut told = records().map(|(_, records)| told_from(&records, is_virtual));
            let told = told.try_fold(Position::MAX, |min, told| Some(min.min(told?)));
            if let Some(told) = told {
                world.sim.trim(&world.plan.physical(channel), told);
            }
        }
        Vandal::Recreates(_) => {
            let records = records().collect();
            world.sim.recreate(&world.plan.physical(channel));
            let mut ledger = world.ledger();
            let given = ledger.given.len();
            ledger.destroyed = Some(Destroyed { records, given, saved });
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

/// Ticks all channels that are in one, and writes messages that are for all of them.
pub(super) async fn authority(world: Arc<World>, mut rng: Rng) {
    let channels = world.plan.virtuals.iter().flat_map(Virtuals::all).collect::<Vec<_>>();
    let channels: Vec<_> = channels.iter().map(String::as_str).collect();
    for number in 0_u64.. {
        sleep(Duration::from_millis(10)).await;
        let mut stream = MsgStream::new(world.plan.transport(&world.sim));
        let opened = stream.create_producers(&channels).await;
        if let Err(Error::Ended { channel }) = &opened {
            world.found_ended(channel);
        }
        if world.is_calm() {
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
            let now = world.unix_time().0;
            let done = if rng.chance(0.5) {
                let key = rng.index(channels.len()) as u32;
                let message = message(key, number, now + rng.below(1_000), 10);
                stream.produce(MsgPack::from_iter([message])).await.map(drop)
            } else {
                let behind = rng.range(500..2_000) << Timestamp::LOGICAL_BITS;
                stream.tick(Timestamp(now - behind)).await.map(drop)
            };
            if done.is_err() {
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
            let cursor = self.plan.cursor(&self.sim, channel);
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
            let records = match ledger.destroyed(channel) {
                Some(records) => records.clone(),
                None => self.plan.records(&self.sim, channel),
            };
            (name, records)
        };
        self.plan.channels.iter().map(log).collect()
    }
}
