//! Channels that are added, removed, end and begin while a stream runs.

use std::time::Duration;

use msgstream_core::transport::{Capability, Start, Transport};
use msgstream_core::{Checkpoint, ConsumerConfig, Error, TickSource, TtMsgStream};

use super::stage::Entry::{End, Msg, Tick};
use super::stage::{Stage, expected, next, take, times, waits_until};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::membership":
    an_empty_channel_holds_packs_until_it_ticks,
    a_silent_channel_is_waited_for_and_named,
    a_channel_added_joins_with_the_next_pack,
    a_channel_removed_is_in_no_pack_any_more,
    a_removed_channel_goes_on_elsewhere [Can(Capability::SeekPosition)],
    a_channel_that_ends_holds_nothing_back,
];

// Short reads, so that a status that is waited for is seen soon.
fn quick() -> ConsumerConfig {
    ConsumerConfig::default().with_wait(Duration::from_millis(10))
}

/// Checks that a channel that is empty when the stream starts holds packs back until its first
/// tick.
pub async fn an_empty_channel_holds_packs_until_it_ticks(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 2).await?;
    stage.write(0, &[Msg(2), Tick(5), Tick(10)]).await?;
    let mut stream = stage.consumer(quick()).await?;
    waits_until(&mut stream, |s| s.merge.next_end.is_some() && s.blocking.len() == 1).await?;
    let blocking = stream.status().blocking;
    ensure_eq!(*blocking[0].0, *stage.channels[1], "the channel that is waited for");
    stage.write(1, &[Msg(1), Msg(7), Tick(10)]).await?;
    let packs = take(&mut stream, 2).await?;
    ensure_eq!(times(&packs), expected([(5, &[1, 2]), (10, &[7])]), "the packs");
    Ok(())
}

/// Checks that one silent channel stops the packs at its last tick, and that the status names it,
/// and only it.
pub async fn a_silent_channel_is_waited_for_and_named(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Msg(6), Tick(10), Msg(11), Tick(15)], &[Msg(2), Tick(5)], &[Tick(15)]],
    )
    .await?;
    let mut stream = stage.consumer(quick()).await?;
    let packs = take(&mut stream, 1).await?;
    ensure_eq!(times(&packs), expected([(5, &[1, 2])]), "the pack before the silence");
    let ahead = |watermark: u64| move |c: &&_| is_at(c, watermark);
    waits_until(&mut stream, |s| s.merge.channels.iter().filter(ahead(15)).count() == 2).await?;
    let status = stream.status();
    let named: Vec<_> = status.blocking.iter().map(|(name, _)| &**name).collect();
    ensure_eq!(named, [&stage.channels[1]], "the channels that are waited for");
    ensure!(status.to_string().contains(&stage.channels[1]), "`{status}` doesn't name it");
    stage.write(1, &[Msg(7), Tick(15)]).await?;
    let packs = take(&mut stream, 2).await?;
    ensure_eq!(times(&packs), expected([(10, &[6, 7]), (15, &[11])]), "the packs after it");
    Ok(())
}

fn is_at(channel: &msgstream_core::merge::ChannelStatus, watermark: u64) -> bool {
    channel.watermark.is_some_and(|f| f.0 == watermark)
}

/// Checks that a channel that is added is in the packs from the next one on, and that its older
/// messages are in none, and counted.
pub async fn a_channel_added_joins_with_the_next_pack(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[
            &[Msg(1), Tick(10), Msg(11), Tick(20)],
            &[Msg(4), Tick(5), Msg(9), Msg(12), Tick(15), Msg(16), Tick(20)],
        ],
    )
    .await?;
    let mut stream = TtMsgStream::new(stage.transport.clone(), ConsumerConfig::default())?;
    stream.create_consumers(None, &[&stage.channels[0]], Start::Earliest).await?;
    stream.start()?;
    let first = take(&mut stream, 1).await?;
    ensure_eq!(times(&first), expected([(10, &[1])]), "the pack before the channel is added");
    let second = &stage.channels[1];
    stream.add_channel(None, second, Start::Earliest, TickSource::Written).await?;
    let twice = stream.add_channel(None, second, Start::Earliest, TickSource::Written).await;
    ensure!(matches!(twice, Err(Error::Config { .. })), "adding it twice gave {twice:?}");
    let packs = take(&mut stream, 2).await?;
    let wanted: [(u64, &[u64]); _] = [(15, &[11, 12]), (20, &[16])];
    ensure_eq!(times(&packs), expected(wanted), "the packs with it");
    ensure_eq!(packs[1].end.channels.len(), 2, "the channels in the last checkpoint");
    ensure_eq!(stream.status().merge.counts.before_join, 2, "what is from before");
    Ok(())
}

/// Checks that a channel that is removed holds no pack back and is in no later pack or checkpoint.
pub async fn a_channel_removed_is_in_no_pack_any_more(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[
            &[Msg(1), Tick(5), Msg(6), Tick(10), Tick(15)],
            &[Msg(2), Tick(5), Msg(7), Tick(8), Msg(9)],
        ],
    )
    .await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let first = take(&mut stream, 1).await?;
    ensure_eq!(times(&first), expected([(5, &[1, 2])]), "the pack with both");
    let left = stream.remove_channel(&stage.channels[1])?;
    let mark = |checkpoint: &Checkpoint| checkpoint.channels.get(&*stage.channels[1]).cloned();
    ensure_eq!(mark(&left), mark(&first[0].end), "its mark");
    let packs = take(&mut stream, 2).await?;
    ensure_eq!(times(&packs), expected([(10, &[6]), (15, &[])]), "the packs without it");
    ensure_eq!(packs[0].end.channels.len(), 1, "the channels in the checkpoint");
    let again = stream.remove_channel(&stage.channels[1]);
    ensure!(matches!(again, Err(Error::NotConsumed { .. })), "removing it twice gave {again:?}");
    Ok(())
}

/// Checks that another stream can take over a removed channel at its mark, without gap or repeat.
pub async fn a_removed_channel_goes_on_elsewhere(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Msg(6), Tick(10)], &[Msg(2), Msg(9), Tick(5), Msg(7), Tick(10)]],
    )
    .await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    take(&mut stream, 1).await?;
    let taken = stream.remove_channel(&stage.channels[1])?;
    let here = take(&mut stream, 1).await?;
    let there = take(&mut stage.resumed(&taken).await?, 1).await?;
    ensure_eq!(times(&here), expected([(10, &[6])]), "the stream that it left");
    ensure_eq!(times(&there), expected([(10, &[7, 9])]), "the stream that took it over");
    Ok(())
}

/// Checks that packs continue without a channel that has ended, and that its messages are in the
/// packs of their time.
pub async fn a_channel_that_ends_holds_nothing_back(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Msg(6), Tick(10)], &[Msg(2), Tick(5), Msg(7), Msg(12), End(8)]],
    )
    .await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let packs = take(&mut stream, 2).await?;
    ensure_eq!(times(&packs), expected([(5, &[1, 2]), (10, &[6, 7])]), "the first packs");
    stage.write(0, &[Msg(11), Tick(15), End(20)]).await?;
    let packs = take(&mut stream, 3).await?;
    let wanted: [(u64, &[u64]); _] = [(12, &[11, 12]), (15, &[]), (20, &[])];
    ensure_eq!(times(&packs), expected(wanted), "the packs after one end");
    ensure!(next(&mut stream).await?.is_none(), "a pack after both ends");
    Ok(())
}
