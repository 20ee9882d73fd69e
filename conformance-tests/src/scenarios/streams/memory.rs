//! What is read ahead stays in its budget.

use std::time::Duration;

use msgstream_core::merge::ChannelState;
use msgstream_core::record::Record;
use msgstream_core::transport::{Capability, Transport};
use msgstream_core::{ConsumerConfig, Error};

use super::stage::Entry::{self, End, Msg, Tick};
use super::stage::{Stage, ids, next, waits_until};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::memory":
    a_fast_channel_waits_for_a_slow_one,
    a_large_window_makes_room_by_reading_again [Can(Capability::SeekPosition)],
    a_window_over_the_budget_is_refused_and_nothing_is_lost,
];

/// More than a payload of these scenarios and all that is counted beside it: what one record over
/// the budget comes to.
const ONE_RECORD: usize = Record::OVERHEAD + 512;

/// Checks that a channel that is far ahead is read no further than its share of the budget until
/// the slow one follows; then all messages of both come, once.
pub async fn a_fast_channel_waits_for_a_slow_one(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    const BUDGET: usize = 128 << 10;
    let stage = Stage::new(harness, 2).await?;
    let mut fast = Vec::new();
    for n in 1..=100 {
        fast.extend([Msg(n * 10 - 1); 20]);
        fast.push(Tick(n * 10));
    }
    fast.push(End(2000));
    stage.write(0, &fast).await?;
    let config =
        ConsumerConfig::default().with_budget_bytes(BUDGET).with_wait(Duration::from_millis(10));
    let mut stream = stage.consumer(config).await?;
    waits_until(&mut stream, |s| s.merge.channels.iter().any(is_paused)).await?;
    let slow: Vec<_> = (1..=100).flat_map(|n| [Msg(n * 10 - 5), Tick(n * 10)]).collect();
    stage.write(1, &slow).await?;
    stage.write(1, &[End(2000)]).await?;
    let mut packs = Vec::new();
    while let Some(pack) = next(&mut stream).await? {
        let bytes = stream.status().merge.bytes;
        ensure!(bytes <= BUDGET + 2 * ONE_RECORD, "{bytes} bytes are buffered of {BUDGET}");
        packs.push(pack);
    }
    let all: Vec<_> = (0..2000).chain(1_000_000..1_000_100).collect();
    ensure_eq!(ids(&packs), all, "the messages");
    Ok(())
}

fn is_paused(channel: &msgstream_core::merge::ChannelStatus) -> bool {
    channel.state == ChannelState::Paused
}

/// Checks that messages of another channel are given up and read again if the next pack needs their
/// memory: the pack comes, and nothing is lost or repeated.
pub async fn a_large_window_makes_room_by_reading_again(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 2).await?;
    // The name of a virtual channel counts for each record.
    let is_virtual = stage.transport.describe(&stage.channels[0]).await?.physical.is_some();
    let budget = if is_virtual { 96 << 10 } else { 64 << 10 };
    let log = |ticks: u64, msgs: usize| {
        let mut log = Vec::new();
        for n in 1..=1000 / ticks {
            log.extend(vec![Msg(n * ticks - 1); msgs]);
            log.push(Tick(n * ticks));
        }
        log.push(End(1000));
        log
    };
    // Small windows, and such that don't fit beside what was read of the others.
    stage.write(0, &log(10, 5)).await?;
    let config =
        ConsumerConfig::default().with_budget_bytes(budget).with_wait(Duration::from_millis(10));
    let mut stream = stage.consumer(config).await?;
    waits_until(&mut stream, |s| s.merge.channels.iter().any(is_paused)).await?;
    stage.write(1, &log(200, 140)).await?;
    let mut packs = Vec::new();
    while let Some(pack) = next(&mut stream).await? {
        let bytes = stream.status().merge.bytes;
        ensure!(bytes <= budget + 2 * ONE_RECORD, "{bytes} bytes are buffered of {budget}");
        packs.push(pack);
    }
    let all: Vec<_> = (0..500).chain(1_000_000..1_000_700).collect();
    ensure_eq!(ids(&packs), all, "the messages");
    ensure!(stream.status().merge.counts.evictions > 0, "nothing was given up");
    Ok(())
}

/// Checks that one interval that needs more than the budget is an error that says so, at each call
/// until the budget is raised; then the pack comes whole.
pub async fn a_window_over_the_budget_is_refused_and_nothing_is_lost(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    const BUDGET: usize = 32 << 10;
    let stage = Stage::new(harness, 1).await?;
    let window: Vec<Entry> = (0..500).map(|n| Msg(10 + n)).collect();
    stage.write(0, &[Msg(1), Tick(5)]).await?;
    stage.write(0, &window).await?;
    stage.write(0, &[End(1000)]).await?;
    let mut stream = stage.consumer(ConsumerConfig::default().with_budget_bytes(BUDGET)).await?;
    let mut packs = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        match stream.consume().await {
            Ok(pack) => packs.extend(pack),
            Err(Error::WindowTooLarge { begin, channel, budget, .. }) => {
                let told = (begin.map(|ts| ts.0), channel, budget);
                let wanted = (Some(5), stage.channels[0].clone(), BUDGET);
                ensure_eq!(told, wanted, "the window that is refused");
                refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    ensure_eq!(packs.len(), 1, "the packs before the large one");
    stream.set_budget_bytes(1 << 20);
    packs.extend(next(&mut stream).await?);
    ensure_eq!(ids(&packs), (0..501).collect::<Vec<_>>(), "the messages");
    match next(&mut stream).await? {
        None => Ok(()),
        Some(pack) => Err(Failure::new(format!("a pack after the end, up to {}", pack.end_ts))),
    }
}
