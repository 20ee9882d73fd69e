//! Streams that continue where a pack began or ended.

use std::sync::Arc;

use msgstream_core::transport::{Capability, Start, Transport, TransportErrorKind as Kind};
use msgstream_core::{
    Checkpoint, Consumer, ConsumerConfig, Error, TickSource, Timestamp, TtMsgStream,
};

use super::stage::Entry::{End, Msg, Tick};
use super::stage::{Stage, expected, ids, next, same, take, times, to_end};
use crate::kit::{far_beyond, open_and_read};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::resume":
    from_a_packs_start_and_end [Can(Capability::SeekPosition)],
    from_the_last_pack_only_what_comes_later_follows [Can(Capability::SeekPosition)],
    after_every_pack_loses_and_repeats_nothing [Can(Capability::SeekPosition)],
    a_running_stream_goes_back_and_forth [Can(Capability::SeekPosition)],
    a_checkpoint_survives_as_json [Can(Capability::SeekPosition)],
    at_an_unwritten_position_is_refused [Can(Capability::SeekPosition)],
    in_a_channel_that_was_made_again_is_refused [
        Can(Capability::Delete), Can(Capability::Incarnations), Can(Capability::SeekPosition)
    ],
    trimmed_before_a_checkpoint_goes_on_as_before [
        Can(Capability::Trim), Can(Capability::SeekPosition)
    ],
    trimmed_after_a_checkpoint_is_refused [Can(Capability::Trim), Can(Capability::SeekPosition)],
    a_subscription_goes_on_where_it_was_acknowledged [
        Can(Capability::Subscriptions), Can(Capability::SeekPosition)
    ],
];

/// Ticks 0, 5, 11, 15, 20 and messages before and after them.
async fn one_channel(harness: &dyn Harness) -> Result<Stage, Failure> {
    Stage::with(
        harness,
        &[&[
            Tick(0),
            Msg(1),
            Msg(3),
            Msg(19),
            Tick(5),
            Msg(14),
            Msg(9),
            Tick(11),
            Msg(12),
            Msg(13),
            Tick(15),
            Tick(20),
        ]],
    )
    .await
}

/// Channels whose ticks differ, with messages far ahead of their ticks and such that are just in
/// time; they end.
async fn many_channels(harness: &dyn Harness) -> Result<Stage, Failure> {
    Stage::with(
        harness,
        &[
            &[
                Msg(1),
                Msg(33),
                Tick(5),
                Msg(21),
                Msg(6),
                Tick(10),
                Tick(15),
                Msg(18),
                Tick(20),
                Msg(25),
                Tick(30),
                End(40),
            ],
            &[
                Msg(2),
                Tick(7),
                Tick(3),
                Msg(8),
                Msg(8),
                Tick(14),
                Msg(39),
                Msg(16),
                Tick(28),
                End(40),
            ],
            &[Msg(4), Msg(9), Msg(17), Msg(27), Msg(38), Tick(35), End(40)],
        ],
    )
    .await
}

/// Checks that a pack comes again from its own start, and the next one from its end.
pub async fn from_a_packs_start_and_end(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = one_channel(harness).await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 5).await?;
    let third = &packs[3];
    let again = take(&mut stage.resumed(&third.start).await?, 2).await?;
    ensure_eq!(times(&again), expected([(15, &[12, 13, 14]), (20, &[19])]), "from its start");
    let after = take(&mut stage.resumed(&third.end).await?, 1).await?;
    ensure_eq!(times(&after), expected([(20, &[19])]), "from its end");
    Ok(())
}

/// Checks that only what is written later follows the end of the last pack.
pub async fn from_the_last_pack_only_what_comes_later_follows(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = one_channel(harness).await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 5).await?;
    let mut stream = stage.resumed(&packs[4].end).await?;
    stage.write(0, &[Msg(22), Tick(25)]).await?;
    let after = take(&mut stream, 1).await?;
    ensure_eq!(times(&after), expected([(25, &[22])]), "what is after the last pack");
    Ok(())
}

/// Checks that a stream that is opened anew after every pack, at that pack's start and at its end,
/// gets the packs of one that ran through, to the byte.
pub async fn after_every_pack_loses_and_repeats_nothing(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = many_channels(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for (n, pack) in packs.iter().enumerate() {
        let rest = to_end(&mut stage.resumed(&pack.start).await?).await?;
        same(&rest, &packs[n..], &format!("from the start of the pack up to {}", pack.end_ts))?;
    }
    // Each at the end of the pack that the one before it gave.
    let mut hops = take(&mut stage.consumer(ConsumerConfig::default()).await?, 1).await?;
    loop {
        let mut stream = stage.resumed(&hops[hops.len() - 1].end).await?;
        match next(&mut stream).await? {
            Some(pack) => hops.push(pack),
            None => return same(&hops, &packs, "from pack to pack"),
        }
    }
}

/// Checks that one stream that seeks back and forth returns the same packs each time.
pub async fn a_running_stream_goes_back_and_forth(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = many_channels(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    for n in [2, 0, 3, 3, 1] {
        stream.resume(None, &packs[n].end, |_| TickSource::Written).await?;
        let given = take(&mut stream, 2).await?;
        same(&given, &packs[n + 1..n + 3], &format!("after pack {n}"))?;
    }
    Ok(())
}

/// Checks that a checkpoint that was stored as JSON leads to the same packs, on another handle.
pub async fn a_checkpoint_survives_as_json(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = many_channels(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for (n, pack) in packs.iter().enumerate() {
        let invalid = |error: serde_json::Error| Failure::new(error.to_string());
        let stored = serde_json::to_string(&pack.end).map_err(invalid)?;
        let restored: Checkpoint = serde_json::from_str(&stored).map_err(invalid)?;
        let mut stream = TtMsgStream::new(harness.open().await?, ConsumerConfig::default())?;
        stream.resume(None, &restored, |_| TickSource::Written).await?;
        stream.start()?;
        same(&to_end(&mut stream).await?, &packs[n + 1..], &format!("from {stored}"))?;
    }
    Ok(())
}

/// Checks that a position that was never written is refused, when the stream is opened or when it
/// reads.
pub async fn at_an_unwritten_position_is_refused(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = one_channel(harness).await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 5).await?;
    let mut wrong = packs[4].end.clone();
    if let Some(mark) = wrong.channels.get_mut(&*stage.channels[0]) {
        mark.resume = far_beyond(mark.resume);
    }
    let refused = match stage.resumed(&wrong).await {
        Ok(mut stream) => stream.consume().await.err(),
        Err(error) => Some(error),
    };
    match refused {
        Some(Error::Transport(e)) if matches!(e.kind(), Kind::PositionBeyondEnd { .. }) => Ok(()),
        other => Err(Failure::new(format!("an unwritten position gave {other:?}"))),
    }
}

/// Checks that a checkpoint of a deleted channel is refused in one that was created in its place,
/// however many records that holds.
pub async fn in_a_channel_that_was_made_again_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = one_channel(harness).await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 2).await?;
    transport.delete(&stage.channels[0]).await?;
    harness.make_channel(transport, &stage.channels[0]).await?;
    for log in [&[][..], &[Msg(1), Tick(5)], &[Msg(6); 20]] {
        stage.write(0, log).await?;
        let refused = match stage.resumed(&packs[1].end).await {
            Ok(mut stream) => stream.consume().await.err(),
            Err(error) => Some(error),
        };
        match refused {
            Some(Error::Transport(e)) if matches!(e.kind(), Kind::WrongIncarnation { .. }) => {}
            other => return Err(Failure::new(format!("an old checkpoint gave {other:?}"))),
        }
    }
    Ok(())
}

/// Checks that everything that a checkpoint needs is left if each channel is trimmed up to its
/// `resume`.
pub async fn trimmed_before_a_checkpoint_goes_on_as_before(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = many_channels(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for (n, pack) in packs.iter().enumerate() {
        for (channel, mark) in &pack.end.channels {
            transport.trim(channel, mark.resume).await?;
        }
        let rest = to_end(&mut stage.resumed(&pack.end).await?).await?;
        same(&rest, &packs[n + 1..], &format!("trimmed after the pack up to {}", pack.end_ts))?;
    }
    Ok(())
}

/// Checks that a consumer that needs removed records fails with
/// [`PositionTrimmed`](Kind::PositionTrimmed), and that one that starts anew gets what is left.
pub async fn trimmed_after_a_checkpoint_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = one_channel(harness).await?;
    let channel = &*stage.channels[0];
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 5).await?;
    let checkpoint = &packs[0].end;
    let Some(mark) = checkpoint.channels.get(channel) else {
        return Err(Failure::new(format!("a checkpoint without its channel: {checkpoint:?}")));
    };
    transport.trim(channel, transport.describe(channel).await?.end).await?;
    let is_gone = open_and_read(transport, channel, Start::At(mark.resume), None).await.is_err();
    let broker = || Arc::clone(&stage.transport);
    let resumed = Consumer::builder(broker()).channels([channel]).resume(checkpoint.clone());
    let next = match resumed.open().await {
        Ok(mut consumer) => consumer.next_pack().await,
        Err(error) => Err(error),
    };
    match next {
        Err(Error::Transport(e)) if matches!(e.kind(), Kind::PositionTrimmed { .. }) => {}
        Ok(Some(pack)) if !is_gone => same(&[pack], &packs[1..2], "what wasn't removed")?,
        other => return Err(Failure::new(format!("removed records were resumed with {other:?}"))),
    }
    stage.write(0, &[Msg(22), Tick(25)]).await?;
    let mut anew = Consumer::builder(broker()).channels([channel]).open().await?;
    loop {
        match anew.next_pack().await? {
            Some(pack) if pack.end_ts < Timestamp(25) => {}
            Some(pack) => {
                ensure_eq!(times(&[pack]), expected([(25, &[22])]), "the last pack");
                return Ok(());
            }
            None => return Err(Failure::new("the channel has no end")),
        }
    }
}

/// Checks that a stream with a subscription continues after the packs that were acknowledged.
pub async fn a_subscription_goes_on_where_it_was_acknowledged(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let logs = [1, 2].map(|n| {
        [Msg(n), Tick(5), Msg(5 + n), Tick(10), Msg(10 + n), Tick(15), Msg(15 + n), End(20)]
    });
    let stage = Stage::with(harness, &[&logs[0], &logs[1]]).await?;
    let open = async || {
        let mut stream = TtMsgStream::new(stage.transport.clone(), ConsumerConfig::default())?;
        stream.create_consumers(Some("worker"), &stage.names(), Start::Earliest).await?;
        stream.start()?;
        Ok::<_, Failure>(stream)
    };
    let mut first = open().await?;
    let packs = take(&mut first, 3).await?;
    ensure_eq!(ids(&packs), [0, 1, 2, 1_000_000, 1_000_001, 1_000_002], "the first packs");
    first.ack(&packs[1].end).await?;
    drop(first);
    let rest = to_end(&mut open().await?).await?;
    ensure_eq!(ids(&rest), [2, 3, 1_000_002, 1_000_003], "what was not acknowledged");
    Ok(())
}
