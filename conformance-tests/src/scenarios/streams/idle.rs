//! Channels that may fall silent.

use std::time::Duration;

use msgstream_core::transport::Transport;
use msgstream_core::{ConsumerConfig, Error, TtMsgStream};

use super::stage::Entry::{End, Msg, Tick};
use super::stage::{Stage, delivering, expected, ids, next, take, times, to_end};
use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::idle":
    packs_go_on_without_an_idle_channel,
    a_channel_that_never_had_anything_may_be_idle,
    what_an_idle_channel_brings_late_is_delivered_flagged,
    idleness_with_late_as_an_error_is_refused,
];

// Short, so that the scenarios are: how long it takes is never asserted.
fn idling() -> ConsumerConfig {
    delivering().with_idle_after(Duration::from_millis(50)).with_wait(Duration::from_millis(50))
}

/// Checks that a channel that is silent for long enough no longer holds packs back, and is counted.
pub async fn packs_go_on_without_an_idle_channel(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Msg(6), Tick(10), Tick(15)], &[Msg(2), Tick(5), Msg(7)]],
    )
    .await?;
    let mut stream = stage.consumer(idling()).await?;
    let packs = take(&mut stream, 3).await?;
    // What the silent channel brought before it fell silent is in its place.
    let wanted: [(u64, &[u64]); _] = [(5, &[1, 2]), (10, &[6, 7]), (15, &[])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    ensure!(stream.status().merge.counts.idled > 0, "no channel is counted as idle");
    Ok(())
}

/// Checks that a channel that stays empty holds nothing back for long.
pub async fn a_channel_that_never_had_anything_may_be_idle(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 2).await?;
    stage.write(0, &[Msg(1), Tick(5), Msg(6), Tick(10)]).await?;
    let packs = take(&mut stage.consumer(idling()).await?, 2).await?;
    ensure_eq!(times(&packs), expected([(5, &[1]), (10, &[6])]), "the packs");
    Ok(())
}

/// Checks that old messages of an idle channel that comes back are delivered, flagged, once.
pub async fn what_an_idle_channel_brings_late_is_delivered_flagged(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage =
        Stage::with(harness, &[&[Msg(1), Tick(5), Msg(6), Tick(10)], &[Msg(2), Tick(5)]]).await?;
    let mut stream = stage.consumer(idling()).await?;
    let mut packs = take(&mut stream, 2).await?;
    stage.write(1, &[Msg(7), Msg(8), Tick(9), Msg(14), End(20)]).await?;
    stage.write(0, &[Msg(11), End(20)]).await?;
    packs.extend(to_end(&mut stream).await?);
    ensure_eq!(ids(&packs), [0, 1, 2, 1_000_000, 1_000_001, 1_000_002, 1_000_003], "what came");
    let late = packs.iter().flat_map(|p| &p.msgs).filter(|m| m.is_late()).map(|m| m.end_ts().0);
    let late: Vec<_> = late.collect();
    // The later ones may be late too, if a channel was idle for longer than it took to write.
    ensure!(late.contains(&7) && late.contains(&8), "only {late:?} are flagged as late");
    ensure!(stream.status().merge.counts.rejoined > 0, "no channel is counted as come back");
    ensure!(next(&mut stream).await?.is_none(), "a pack after the end");
    Ok(())
}

/// Checks that a late message of an idle channel can't be an error, because it isn't its producer's
/// fault.
pub async fn idleness_with_late_as_an_error_is_refused(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let config = ConsumerConfig::default().with_idle_after(Duration::from_secs(1));
    let refused = TtMsgStream::new(harness.open().await?, config);
    ensure!(matches!(refused, Err(Error::Config { .. })), "the stream is {refused:?}");
    Ok(())
}
