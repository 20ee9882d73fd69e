//! Whoever looks after the channels: retention, and an administrator who breaks something. And one
//! who writes without a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::message::MsgPack;
use msgstream_core::transport::Record;
use msgstream_core::{MsgStream, Timestamp};
use tokio::time::sleep;

use super::World;
use super::consumer::SUBSCRIPTION;
use super::ledger::Destroyed;
use super::model::last_tick;
use super::plan::Vandal;
use super::producer::message;
use crate::sim::Rng;

/// Deletes what the subscription has passed, as brokers do that keep records until then. By then a
/// checkpoint behind it is saved.
pub(super) async fn retention(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(250)).await;
        world.check_cursors();
        for channel in &world.plan.channels {
            if let Some(passed) = world.sim.cursor(channel, SUBSCRIPTION) {
                world.sim.trim(channel, passed);
            }
        }
    }
}

pub(super) async fn vandal(world: Arc<World>, vandal: Vandal, mut rng: Rng) {
    let (Vandal::Recreates(when) | Vandal::Trims(when)) = vandal;
    sleep(when).await;
    let Some(channel) = rng.pick(&world.plan.channels) else { return };
    let records = world.sim.records(channel);
    let saved = world.store.checkpoint().is_some();
    match vandal {
        // Whoever begins after it gets nothing of what was there, and can't know.
        Vandal::Trims(_) if !saved => {}
        Vandal::Trims(_) => {
            // It tells the last number, so that producers can go on.
            if let Some(tick) = last_tick(&records) {
                world.sim.trim(channel, tick);
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
    let channels: Vec<_> = world.plan.channels.iter().map(String::as_str).collect();
    for number in 0_u64.. {
        sleep(Duration::from_millis(10)).await;
        let mut stream = MsgStream::new(Arc::new(world.sim.transport()));
        let opened = stream.create_producers(&channels).await;
        if opened.and_then(|()| stream.start()).is_err() {
            continue;
        }
        loop {
            sleep(Duration::from_millis(rng.range(1..2_000))).await;
            if world.is_calm() {
                return;
            }
            let behind = rng.below(1_000) << Timestamp::LOGICAL_BITS;
            let ts = world.unix_time().0 + (500 << Timestamp::LOGICAL_BITS) - behind;
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
        let saved = self.store.checkpoint().unwrap_or_default();
        for channel in &self.plan.channels {
            let cursor = self.sim.cursor(channel, SUBSCRIPTION);
            let resume = saved.channels.get(&**channel).map(|mark| mark.resume);
            if cursor > resume {
                let what = format!(
                    "the cursor of {channel} is at {cursor:?}, and what is saved resumes at {resume:?}"
                );
                self.ledger().violation(what);
            }
        }
    }

    pub(super) fn logs(&self) -> BTreeMap<Arc<str>, Vec<Record>> {
        let ledger = self.ledger();
        let log = |channel: &String| {
            let name = Arc::<str>::from(&**channel);
            let records = match &ledger.destroyed {
                Some(destroyed) if destroyed.channel == *channel => destroyed.records.clone(),
                _ => self.sim.records(channel),
            };
            (name, records)
        };
        self.plan.channels.iter().map(log).collect()
    }
}
