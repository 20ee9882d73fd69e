//! Ticks that are missing, come again, go back or run ahead.

use std::time::{Duration, SystemTime};

use msgstream_core::produce::SessionConfig;
use msgstream_core::transport::{Capability, Transport};
use msgstream_core::{ConsumerConfig, Error, MsgPack, MsgStream, Timestamp};

use super::stage::Entry::{Msg, Tick};
use super::stage::{Stage, expected, ids, message, take, times, to_end};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::ticks":
    a_channel_may_leave_ticks_out,
    repeated_ticks_are_harmless,
    ticks_that_go_back_after_a_restart_are_harmless,
    a_tick_far_in_the_future_is_refused_and_repaired,
    messages_are_sent_ahead_of_ticks_and_each_counts_once [
        Can(Capability::Create), Can(Capability::SeekPosition)
    ],
];

/// Checks that packs end at the ticks of the other channel, with each message in the pack of its
/// time.
pub async fn a_channel_may_leave_ticks_out(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = Stage::with(
        harness,
        &[
            &[Msg(1), Tick(5), Tick(10), Msg(11), Tick(15), Tick(20)],
            &[Msg(3), Msg(7), Msg(14), Msg(16), Tick(20)],
        ],
    )
    .await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 4).await?;
    let wanted: [(u64, &[u64]); _] = [(5, &[1, 3]), (10, &[7]), (15, &[11, 14]), (20, &[16])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    Ok(())
}

/// Checks that a repeated tick makes no pack and no message late.
pub async fn repeated_ticks_are_harmless(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Tick(5), Tick(5), Msg(6), Tick(5), Tick(10), Tick(10), Msg(11), Tick(15)]],
    )
    .await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let packs = take(&mut stream, 3).await?;
    ensure_eq!(times(&packs), expected([(5, &[1]), (10, &[6]), (15, &[11])]), "the packs");
    ensure_eq!(stream.status().merge.counts.repeated_ticks, 3, "the ticks that are counted");
    Ok(())
}

/// Checks that ticks of a restarted producer may be behind its last one for a while: no pack comes
/// again, and what it writes after that tick is in time.
pub async fn ticks_that_go_back_after_a_restart_are_harmless(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(harness, &[&[Msg(1), Tick(5), Msg(6), Tick(10)]]).await?;
    // Each write is a producer of its own.
    stage.write(0, &[Tick(3), Tick(8), Msg(12), Tick(15)]).await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let packs = take(&mut stream, 3).await?;
    ensure_eq!(times(&packs), expected([(5, &[1]), (10, &[6]), (15, &[12])]), "the packs");
    ensure_eq!(stream.status().merge.counts.repeated_ticks, 2, "the ticks that are counted");
    Ok(())
}

/// Checks that a tick further ahead of the clock than allowed is an error that names it, at each
/// call until it is ignored; then the stream continues and nothing is lost.
pub async fn a_tick_far_in_the_future_is_refused_and_repaired(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let now = Timestamp::from_system_time(SystemTime::now())
        .map_err(|error| Failure::new(error.to_string()))?
        .0;
    let far = now + Timestamp::span(Duration::from_secs(1_000_000));
    let log = [Msg(now - 9), Tick(now - 8), Msg(now - 7), Tick(far), Msg(now - 5), Tick(now - 1)];
    let stage = Stage::new(harness, 1).await?;
    let positions = stage.write(0, &log).await?;
    let config = ConsumerConfig::default().with_max_tick_ahead(Duration::from_secs(3600));
    let mut stream = stage.consumer(config).await?;
    let mut packs = Vec::new();
    let mut refused = 0;
    while refused < 2 {
        match stream.consume().await {
            Ok(pack) => packs.extend(pack),
            Err(Error::TickTooFar { channel, position, tick, .. }) => {
                let named = (channel, position, tick);
                let wanted = (stage.channels[0].clone(), positions[3], Timestamp(far));
                ensure_eq!(named, wanted, "the tick that is refused");
                refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    stream.ignore_tick(&stage.channels[0], positions[3])?;
    packs.extend(take(&mut stream, 2 - packs.len()).await?);
    let wanted = expected([(now - 8, &[now - 9]), (now - 1, &[now - 7, now - 5])]);
    ensure_eq!(times(&packs), wanted, "the packs with the tick ignored");
    ensure_eq!(stream.status().merge.counts.ignored_ticks, 1, "the ticks that are counted");
    Ok(())
}

/// Checks a session whose ticks hold no messages back, and which is opened again in the middle: what
/// is stored on each channel is known, and promised; each message comes once, in the pack of its
/// time, also to a stream that resumes.
pub async fn messages_are_sent_ahead_of_ticks_and_each_counts_once(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    const TICKS: u64 = 200;
    let stage = Stage::new(harness, 2).await?;
    // One of its own, as if the producer were new.
    let home = crate::kit::channel(&*stage.transport, harness).await?;
    let config = SessionConfig::new("ticker").with_home(home);
    for half in 0..2 {
        let mut stream = MsgStream::new(stage.transport.clone());
        let opened = stream.create_session(config.clone(), &stage.names()).await?;
        stream.start()?;
        for channel in &stage.channels {
            let known = (opened.last[&**channel], opened.watermarks[&**channel]);
            let ticks = half * TICKS / 2;
            ensure_eq!(known, (ticks * 5, Timestamp(ticks * 10)), "what is known of `{channel}`");
        }
        let mut receipts = Vec::new();
        for n in half * TICKS / 2..(half + 1) * TICKS / 2 {
            let pack = |n: u64| -> MsgPack {
                let both = |id| [0, 1].map(|c| message(n * 10 + 5, id).with_hash_keys([c]));
                (0..5).flat_map(|m| both((n * 5 + m) as i64)).collect()
            };
            stream.ready().await?;
            receipts.push(stream.submit(pack(n))?);
            receipts.push(stream.submit_tick(Timestamp((n + 1) * 10))?);
            match stream.submit(pack(n)) {
                Err(Error::BehindTick { tick: Timestamp(tick), .. }) => {
                    ensure_eq!(tick, (n + 1) * 10, "the tick that refuses a message");
                }
                other => return Err(Failure::new(format!("behind a tick: {other:?}"))),
            }
        }
        for receipt in receipts {
            receipt.await?;
        }
        if half > 0 {
            stream.end(Timestamp(TICKS * 10 + 1)).await?;
        }
        stream.confirm().await?;
        stream.close().await?;
    }
    let packs = to_end(&mut stage.consumer(ConsumerConfig::default()).await?).await?;
    let each: Vec<_> = (0..TICKS as i64 * 5).flat_map(|id| [id, id]).collect();
    ensure_eq!(ids(&packs), each, "the messages");
    for at in [1, packs.len() / 2, packs.len() - 2] {
        let rest = to_end(&mut stage.resumed(&packs[at].end).await?).await?;
        ensure_eq!(times(&rest), times(&packs[at + 1..]), "the packs after {}", packs[at].end_ts);
    }
    Ok(())
}
