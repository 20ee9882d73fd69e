//! Streams over a broker that is killed, through the harness's hooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use msgstream_core::produce::SessionConfig;
use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Capability, Transport};
use msgstream_core::{ConsumerConfig, MsgPack, Timestamp, TtMsgStream};

use super::stage::{Stage, ids, message, next, same};
use crate::scenario::Need::{self, Can};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::outage":
    a_consumer_that_ends_at_its_first_error_goes_on_over_a_kill [Need::Broker, Can(Capability::Persistent)],
];

const CHANNELS: i64 = 3;
/// So many packs before the kill, and as many after it.
const PACKS: u64 = 30;
// Between two looks at something that has no event.
const PAUSE: Duration = Duration::from_millis(10);

/// Checks that a program whose loop is `consume().await?` gets every message once, and the packs
/// that a fresh stream gets, if the broker is killed while a session writes.
pub async fn a_consumer_that_ends_at_its_first_error_goes_on_over_a_kill(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let broker =
        harness.broker().ok_or_else(|| Failure::new("the scenario needs hooks into the broker"))?;
    let stage = Stage::new(harness, CHANNELS as usize).await?;
    // Some brokers look through all their logs before they answer again.
    let config = ConsumerConfig::default().with_retry_for(harness.deadline());
    let mut stream = stage.consumer(config).await?;
    let (consumed, killed) = (AtomicU64::new(0), AtomicBool::new(false));
    let outage = async {
        while consumed.load(Ordering::Relaxed) < PACKS {
            tokio::time::sleep(PAUSE).await;
        }
        let done = broker.kill().await;
        killed.store(true, Ordering::Relaxed);
        done.map_err(|error| Failure::new(format!("the broker's hook failed: {error}")))
    };
    let producing = produce(&stage, harness.deadline(), &killed);
    let (packs, sent, ()) = futures::try_join!(consume(&mut stream, &consumed), producing, outage)?;
    ensure_eq!(ids(&packs), (0..sent).collect::<Vec<_>>(), "the messages over the kill");
    same(&packs, &stage.all(ConsumerConfig::default()).await?, "the packs over the kill")
}

/// Writes until some time after the kill, and returns how many messages.
async fn produce(stage: &Stage, retry_for: Duration, killed: &AtomicBool) -> Result<i64, Failure> {
    let home = &*stage.channels[0];
    let config =
        SessionConfig::new(format!("{home}-writer")).with_home(home).with_retry_for(retry_for);
    let mut producer = MsgStream::new(Arc::clone(&stage.transport));
    producer.create_session(config, &stage.names()).await?;
    producer.start()?;
    let (mut sent, mut ts, mut left) = (0, 0, PACKS);
    while left > 0 {
        ts += 10;
        left -= u64::from(killed.load(Ordering::Relaxed));
        let keyed = |n: i64| message(ts, sent + n).with_hash_keys([n as u32]);
        producer.produce((0..CHANNELS).map(keyed).collect()).await?;
        producer.tick(Timestamp(ts)).await?;
        sent += CHANNELS;
    }
    producer.end(Timestamp(ts + 10)).await?;
    producer.close().await?;
    Ok(sent)
}

async fn consume(stream: &mut TtMsgStream, count: &AtomicU64) -> Result<Vec<MsgPack>, Failure> {
    let mut packs = Vec::new();
    while let Some(pack) = next(stream).await? {
        packs.push(pack);
        count.store(packs.len() as u64, Ordering::Relaxed);
    }
    Ok(packs)
}
