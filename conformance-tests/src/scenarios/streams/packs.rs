//! Packs are a function of what the channels hold.

use std::time::Duration;

use futures::future::try_join;
use msgstream_core::record::{Headers, Meta};
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{ConsumerConfig, MsgPack, TickSource, TtMsgStream};

use super::stage::Entry::{self, End, Msg, Tick};
use super::stage::{Stage, expected, next, same, take, times, to_end, waits_until};
use crate::kit::cancelled_after;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::packs":
    ticks_cut_one_channel,
    ticks_need_not_line_up,
    equal_times_are_in_the_order_of_channel_and_position,
    the_order_of_writing_changes_nothing,
    the_size_of_reads_changes_nothing,
    cancelling_consume_at_every_poll_changes_nothing,
    two_readers_get_identical_packs,
    latest_gives_only_what_comes_later,
    packs_end_at_a_fixed_interval,
    a_channel_without_ticks_gets_them_from_its_data,
    the_end_of_every_channel_is_the_end_of_the_stream,
];

/// Checks that messages written before and after ticks come in the pack of their time.
pub async fn ticks_cut_one_channel(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = Stage::with(
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
    .await?;
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 5).await?;
    let wanted: [(u64, &[u64]); _] =
        [(0, &[]), (5, &[1, 3]), (11, &[9]), (15, &[12, 13, 14]), (20, &[19])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    Ok(())
}

/// Checks that packs end at the ticks of all channels together, as far as every channel has ticked.
pub async fn ticks_need_not_line_up(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = Stage::with(
        harness,
        &[
            &[Msg(1), Tick(1), Msg(2), Msg(3), Tick(3), Msg(5), Tick(5)],
            &[Msg(1), Msg(2), Tick(2), Msg(3), Msg(4), Tick(4), Msg(6), Tick(6)],
        ],
    )
    .await?;
    let config = ConsumerConfig::default().with_wait(Duration::from_millis(10));
    let mut stream = stage.consumer(config).await?;
    let packs = take(&mut stream, 5).await?;
    let wanted: [(u64, &[u64]); _] =
        [(1, &[1, 1]), (2, &[2, 2]), (3, &[3, 3]), (4, &[4]), (5, &[5])];
    ensure_eq!(times(&packs), expected(wanted), "the packs");
    waits_until(&mut stream, |status| {
        status.merge.channels.iter().any(|c| c.watermark.is_some_and(|watermark| watermark.0 == 6))
    })
    .await?;
    stage.write(0, &[Tick(7)]).await?;
    let last = take(&mut stream, 1).await?;
    ensure_eq!(times(&last), expected([(6, &[6])]), "the pack after the missing tick");
    Ok(())
}

/// Checks that messages of one time are in the order of channel names, then of positions.
pub async fn equal_times_are_in_the_order_of_channel_and_position(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 3).await?;
    let mut written = Vec::new();
    for channel in [2, 0, 1] {
        let positions = stage.write(channel, &[Msg(7), Msg(7), Msg(7), Tick(10)]).await?;
        let name = stage.channels[channel].as_str();
        written.extend(positions[..3].iter().map(|position| (name, *position)));
    }
    written.sort_unstable();
    let packs = take(&mut stage.consumer(ConsumerConfig::default()).await?, 1).await?;
    let place = |m: &msgstream_core::Message| Some((m.channel()?.to_owned(), m.position()?));
    let got: Vec<_> = packs[0].msgs.iter().filter_map(place).collect();
    let wanted: Vec<_> = written.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect();
    ensure_eq!(got, wanted, "the order of messages of one time");
    Ok(())
}

/// Three channels with ticks and times of their own, messages before and after them, and one
/// that is quiet for long.
fn contents() -> [Vec<Entry>; 3] {
    let mut logs = [Vec::new(), Vec::new(), Vec::new()];
    for n in 1..=30 {
        logs[0].extend([Msg(n * 10 + 7), Msg(n * 10 - 2), Tick(n * 10 - 5)]);
        logs[1].extend([Msg(n * 10), Msg(n * 10), Tick(n * 10 - 1)]);
    }
    logs[2].extend([Msg(150), Msg(3), Tick(120), Msg(299)]);
    logs.iter_mut().for_each(|log| log.push(End(400)));
    logs
}

/// What packs hold but for the names and positions of channels, which other channels have others
/// of.
type Bytes = (Option<u64>, u64, Vec<(Option<usize>, Meta, Headers, bytes::Bytes, bool)>);

fn bytes(stage: &Stage, packs: &[MsgPack]) -> Vec<Bytes> {
    let index = |name: &str| stage.channels.iter().position(|c| c == name);
    let of = |pack: &MsgPack| {
        let stored = pack.msgs.iter().filter_map(|m| m.stored());
        let msgs = stored.map(|m| {
            let mut r = m.record.clone();
            r.meta.vchannel.take_if(|name| **name == *m.channel);
            (index(&m.channel), r.meta, r.extra, r.payload, m.late)
        });
        (pack.begin_ts.map(|ts| ts.0), pack.end_ts.0, msgs.collect())
    };
    packs.iter().map(of).collect()
}

/// Checks that the same contents make the same packs to the byte, whether the channels were written
/// one after the other beforehand, or entry by entry in turns while they were read.
pub async fn the_order_of_writing_changes_nothing(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let logs = contents();
    let first = Stage::new(harness, logs.len()).await?;
    for (channel, log) in logs.iter().enumerate() {
        first.write(channel, log).await?;
    }
    let beforehand = first.all(ConsumerConfig::default()).await?;
    let second = Stage::new(harness, logs.len()).await?;
    let mut stream = second.consumer(ConsumerConfig::default().with_max_records(2)).await?;
    let longest = logs.iter().map(Vec::len).max().unwrap_or_default();
    let writing = async {
        for n in 0..longest {
            for (channel, log) in logs.iter().enumerate().rev() {
                if let Some(entry) = log.get(n..=n) {
                    second.write(channel, entry).await?;
                }
            }
        }
        Ok(())
    };
    let ((), meanwhile) = try_join(writing, to_end(&mut stream)).await?;
    ensure_eq!(times(&meanwhile), times(&beforehand), "the packs of the second run");
    ensure!(bytes(&second, &meanwhile) == bytes(&first, &beforehand), "their bytes differ");
    Ok(())
}

async fn written(harness: &dyn Harness) -> Result<Stage, Failure> {
    let logs = contents();
    Stage::with(harness, &logs.each_ref().map(Vec::as_slice)).await
}

/// Checks that nothing is missing and nothing comes twice, however few records one read returns.
pub async fn the_size_of_reads_changes_nothing(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = written(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for batch in [1, 2, 7] {
        let again = stage.all(ConsumerConfig::default().with_max_records(batch)).await?;
        same(&again, &packs, &format!("packs of reads of {batch}"))?;
    }
    Ok(())
}

/// Checks that `consume` returns the same packs if it is dropped after any few polls.
pub async fn cancelling_consume_at_every_poll_changes_nothing(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = written(harness).await?;
    let packs = stage.all(ConsumerConfig::default()).await?;
    for polls in 1..4 {
        let mut stream = stage.consumer(ConsumerConfig::default().with_max_records(polls)).await?;
        let mut again = Vec::new();
        loop {
            match cancelled_after(polls, next(&mut stream)).await {
                Some(Ok(Some(pack))) => again.push(pack),
                Some(Ok(None)) => break,
                Some(Err(failure)) => return Err(failure),
                None => tokio::task::yield_now().await,
            }
        }
        same(&again, &packs, &format!("packs of calls of {polls} polls"))?;
    }
    Ok(())
}

/// Checks that two streams at the same time, on two handles, get the same packs.
pub async fn two_readers_get_identical_packs(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let stage = written(harness).await?;
    let other = harness.open().await?;
    let mut second = TtMsgStream::new(other, ConsumerConfig::default().with_max_records(3))?;
    second.create_consumers(None, &stage.names(), Start::Earliest).await?;
    second.start()?;
    let mut first = stage.consumer(ConsumerConfig::default()).await?;
    let (first, second) = try_join(to_end(&mut first), to_end(&mut second)).await?;
    same(&second, &first, "the second reader's packs")
}

/// Checks that a stream that starts at the latest has what is written later, and nothing before.
pub async fn latest_gives_only_what_comes_later(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(harness, &[&[Msg(1), Tick(5)], &[Msg(2), Tick(5)]]).await?;
    let mut stream = stage.consumer_from(ConsumerConfig::default(), Start::Latest).await?;
    stage.write(0, &[Msg(6), Tick(10)]).await?;
    stage.write(1, &[Msg(7), Tick(10)]).await?;
    let packs = take(&mut stream, 1).await?;
    ensure_eq!(times(&packs), expected([(10, &[6, 7])]), "the packs from the latest on");
    Ok(())
}

/// Checks that packs end at multiples of a duration if that is wanted, once ticks have passed them.
pub async fn packs_end_at_a_fixed_interval(_: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let ms = |n: u64| n << msgstream_core::Timestamp::LOGICAL_BITS;
    let stage = Stage::with(
        harness,
        &[
            &[Msg(ms(2)), Tick(ms(3)), Msg(ms(9)), Tick(ms(13)), Msg(ms(20)), Tick(ms(21))],
            &[Msg(ms(4)), Tick(ms(9)), Msg(ms(10)), Msg(ms(11)), Tick(ms(14)), Tick(ms(29))],
        ],
    )
    .await?;
    let config = ConsumerConfig::default().with_align_to(Duration::from_millis(10));
    let packs = take(&mut stage.consumer(config).await?, 3).await?;
    let (first, second) = ([ms(2), ms(4), ms(9), ms(10)], [ms(11), ms(20)]);
    let wanted = expected([(0, &[]), (ms(10), &first), (ms(20), &second)]);
    ensure_eq!(times(&packs), wanted, "the packs on a interval of 10 ms");
    Ok(())
}

/// Checks that a channel without ticks gets them from the greatest time seen, beside one that has
/// ticks.
pub async fn a_channel_without_ticks_gets_them_from_its_data(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(
        harness,
        &[&[Msg(1), Msg(4), Msg(8), Msg(6), Msg(12), Msg(20)], &[Tick(5), Msg(7), Tick(15)]],
    )
    .await?;
    let mut stream = TtMsgStream::new(stage.transport.clone(), ConsumerConfig::default())?;
    let synthetic = TickSource::Synthetic { delay: 3, interval: 5 };
    stream.add_channel(None, &stage.channels[0], Start::Earliest, synthetic).await?;
    stream.create_consumers(None, &[&stage.channels[1]], Start::Earliest).await?;
    stream.start()?;
    let packs = take(&mut stream, 3).await?;
    let wanted = expected([(0, &[]), (5, &[1, 4]), (15, &[6, 7, 8, 12])]);
    ensure_eq!(times(&packs), wanted, "the packs");
    Ok(())
}

/// Checks that no pack follows once every channel has ended and all messages were returned.
pub async fn the_end_of_every_channel_is_the_end_of_the_stream(
    _: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(harness, &[&[Msg(1), Msg(25), End(10)], &[Msg(3), End(20)]]).await?;
    let mut stream = stage.consumer(ConsumerConfig::default()).await?;
    let packs = to_end(&mut stream).await?;
    let wanted = expected([(20, &[1, 3]), (25, &[25])]);
    ensure_eq!(times(&packs), wanted, "the packs to the end");
    ensure!(next(&mut stream).await?.is_none(), "a pack after the end");
    Ok(())
}
