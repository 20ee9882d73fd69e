//! Removing records. What stands before the position may stay, so a scenario looks at what is left.

pub mod readers;

use futures::future::try_join;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Capability, Limit, Start, Transport, TransportErrorKind as Kind};

use crate::kit::{
    all, append, cancelled_after, channel, far_beyond, numbers, open_and_read, read_from, reader,
    record, stored, strictly_grow, what_is_left, write,
};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["trim":
    nothing_at_or_after_the_position_goes [Can(Capability::Trim)],
    what_is_before_goes_in_the_end [Can(Capability::Trim)],
    at_the_end_it_leaves_the_channel_as_it_is [Can(Capability::Trim)],
    repeated_or_earlier_it_changes_nothing [Can(Capability::Trim)],
    beyond_the_end_it_is_refused [Can(Capability::Trim)],
    on_a_missing_channel_it_is_not_found [Can(Capability::Trim)],
    writers_go_on [Can(Capability::Trim)],
    cursors_stay [Can(Capability::Trim), Can(Capability::Subscriptions)],
    other_channels_stay [Can(Capability::Trim)],
    cancelling_at_every_poll_removes_nothing_else [Can(Capability::Trim)],
];

/// Checks that the records that are left begin at the position or before it, and are as they were
/// written.
pub async fn nothing_at_or_after_the_position_goes(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut written = Vec::new();
    // Also in the middle of what was stored together.
    for batch in [0..1, 1..40, 40..100] {
        written.extend(write(transport, &channel, batch).await?);
    }
    for index in [1, 15, 40, 77, 99] {
        transport.trim(&channel, written[index]).await?;
        what_is_left(transport, &channel, &written, index).await?;
    }
    Ok(())
}

/// A record whose number has so many digits, zeros first.
fn large(number: u64, digits: usize) -> Record {
    let mut record = record(number);
    record.payload = format!("{number:0digits$}").into();
    record
}

/// Checks that something is removed in the end, however large the parts are in which the broker
/// removes records.
pub async fn what_is_before_goes_in_the_end(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    const ROUNDS: usize = 200;
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut first = None;
    for _ in 0..ROUNDS {
        writer.ready().await?;
        let positions = stored(writer.submit((0..100).map(|n| large(n, 10_000)).collect()).await)?;
        let first = *first.get_or_insert(positions[0]);
        transport.trim(&channel, transport.describe(&channel).await?.end).await?;
        let mut reader = reader(transport, &channel, Start::Earliest).await?;
        let batch = reader.read(Limit::default().with_records(1)).await?;
        if batch.records.first().is_none_or(|record| record.position > first) {
            return Ok(());
        }
    }
    Err(Failure::new(format!("{ROUNDS} MB were trimmed, and the first record is still there")))
}

/// Checks that a trim to the end removes all that can be removed. The end stays where it is, and
/// what is written next is after it.
pub async fn at_the_end_it_leaves_the_channel_as_it_is(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let empty = transport.describe(&channel).await?;
    transport.trim(&channel, empty.end).await?;
    ensure_eq!(transport.describe(&channel).await?, empty, "an empty channel");
    let mut written = Vec::new();
    for round in 0..3 {
        written.extend(write(transport, &channel, round * 10..round * 10 + 10).await?);
        ensure!(strictly_grow(&written), "positions went back in round {round}: {written:?}");
        what_is_left(transport, &channel, &written, written.len() - 10).await?;
        let before = transport.describe(&channel).await?;
        transport.trim(&channel, before.end).await?;
        what_is_left(transport, &channel, &written, written.len()).await?;
        let after = transport.describe(&channel).await?;
        ensure_eq!(after.end, before.end, "the end");
        ensure_eq!(after.incarnation, before.incarnation, "the incarnation");
        ensure_eq!(after.properties, before.properties, "the properties");
        let latest = read_from(transport, &channel, Start::Latest).await?;
        ensure!(latest.is_empty(), "at the end there is {latest:?}");
    }
    Ok(())
}

/// Checks that repeating a trim, or trimming to before what is left, succeeds and has no effect.
pub async fn repeated_or_earlier_it_changes_nothing(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..20).await?;
    transport.trim(&channel, written[12]).await?;
    let left = what_is_left(transport, &channel, &written, 12).await?;
    let info = transport.describe(&channel).await?;
    for before in [written[12], written[5], written[0], Position::default()] {
        transport.trim(&channel, before).await?;
        let now = what_is_left(transport, &channel, &written, 12).await?;
        ensure_eq!(now, left, "the first record left after a trim before {before}");
        ensure_eq!(transport.describe(&channel).await?, info, "the channel");
    }
    Ok(())
}

/// Checks that a position after the end is refused and nothing is removed, also if all records
/// before it are gone.
pub async fn beyond_the_end_it_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut written = Vec::new();
    for round in 0..3 {
        let info = transport.describe(&channel).await?;
        let left = what_is_left(transport, &channel, &written, written.len()).await?;
        let [first, second, third] = info.end.words();
        let just_beyond = Position::from_words([first + 1, second, third]);
        for before in [just_beyond, far_beyond(info.end)] {
            let trimmed = transport.trim(&channel, before).await;
            ensure_refused!(trimmed, Kind::PositionBeyondEnd { .. }, "a trim before {before}");
            ensure_eq!(transport.describe(&channel).await?, info, "the channel");
        }
        let now = what_is_left(transport, &channel, &written, written.len()).await?;
        ensure_eq!(now, left, "the first record left after a trim that was refused");
        if round == 1 {
            transport.trim(&channel, info.end).await?;
        } else {
            let next = written.len() as u64;
            written.extend(write(transport, &channel, next..next + 5).await?);
        }
    }
    Ok(())
}

/// Checks that trimming a channel that doesn't exist fails with [`NotFound`](Kind::NotFound), and
/// doesn't create it.
pub async fn on_a_missing_channel_it_is_not_found(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let missing = harness.channel_name();
    let trimmed = transport.trim(&missing, Position::default()).await;
    ensure_refused!(trimmed, Kind::NotFound, "a trim");
    let there = transport.describe(&missing).await;
    ensure_refused!(there, Kind::NotFound, "describe after the refused trim");
    Ok(())
}

/// Checks that an open writer with batches in flight loses none of them and fails with none.
pub async fn writers_go_on(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    const BATCHES: u64 = 100;
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut written = append(&mut *writer, 0..10).await?;
    let writing = async {
        let mut receipts = Vec::new();
        for batch in 1..BATCHES {
            writer.ready().await?;
            receipts.push(writer.submit((batch * 10..batch * 10 + 10).map(record).collect()));
        }
        for receipt in receipts {
            written.extend(stored(receipt.await)?);
        }
        Ok(written)
    };
    let trimming = async {
        for _ in 0..20 {
            transport.trim(&channel, transport.describe(&channel).await?.end).await?;
        }
        Ok::<_, Failure>(())
    };
    let (mut written, ()) = try_join(writing, trimming).await?;
    ensure!(strictly_grow(&written), "positions went back: {written:?}");
    transport.trim(&channel, transport.describe(&channel).await?.end).await?;
    let last = written.len();
    written.extend(append(&mut *writer, BATCHES * 10..BATCHES * 10 + 10).await?);
    ensure!(strictly_grow(&written), "positions went back: {written:?}");
    what_is_left(transport, &channel, &written, last).await?;
    Ok(())
}

/// Checks that cursors don't move, even if they are before what is left. A reader that starts at
/// such a cursor fails with `PositionTrimmed`, and the cursor can still be moved.
pub async fn cursors_stay(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut written = Vec::new();
    for number in 0..10 {
        written.extend(write(transport, &channel, [number]).await?);
    }
    let passed = transport.subscription(&channel, "passed").await?;
    passed.ack(written[3]).await?;
    let ahead = transport.subscription(&channel, "ahead").await?;
    ahead.ack(written[9]).await?;
    let cursors = async || Ok::<_, Failure>([passed.acked().await?, ahead.acked().await?]);
    let before = cursors().await?;
    transport.trim(&channel, written[8]).await?;
    let left = what_is_left(transport, &channel, &written, 8).await?;
    ensure_eq!(cursors().await?, before, "the cursors after a trim");
    if transport.capabilities().seek_position
        && let [Some(passed), Some(ahead)] = before
    {
        let records = read_from(transport, &channel, Start::At(ahead)).await?;
        ensure_eq!(numbers(&records), all([9]), "the records at the cursor that is ahead");
        if left > 3 {
            let opened = open_and_read(transport, &channel, Start::At(passed), None).await;
            let expected = "a reader at the cursor that was passed";
            ensure_refused!(opened, Kind::PositionTrimmed { .. }, "{expected}");
        }
    }
    passed.ack(written[9]).await?;
    ensure_eq!(passed.acked().await?, before[1], "the cursor that was moved on");
    Ok(())
}

/// Checks that other channels keep their records, properties and cursors.
pub async fn other_channels_stay(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let trimmed = channel(transport, harness).await?;
    // Its name begins with that of the one that is trimmed.
    let other = format!("{trimmed}-2");
    harness.make_channel(transport, &other).await?;
    write(transport, &trimmed, 0..10).await?;
    let written = write(transport, &other, 0..10).await?;
    let can = transport.capabilities();
    let cursor = match can.subscriptions {
        true => Some(transport.subscription(&other, "reader").await?),
        false => None,
    };
    if let Some(cursor) = &cursor {
        cursor.ack(transport.describe(&other).await?.end).await?;
    }
    let info = transport.describe(&other).await?;
    transport.trim(&trimmed, transport.describe(&trimmed).await?.end).await?;
    ensure_eq!(transport.describe(&other).await?, info, "another channel");
    ensure_eq!(what_is_left(transport, &other, &written, 0).await?, 0, "its first record");
    if let Some(cursor) = cursor {
        ensure!(cursor.acked().await? > Some(written[9]), "the cursor of another channel moved");
    }
    Ok(())
}

/// Checks that a cancelled trim has happened or not, and that the next one works.
pub async fn cancelling_at_every_poll_removes_nothing_else(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..50).await?;
    let mut first = 0;
    for polls in 0..40 {
        let done = cancelled_after(polls, transport.trim(&channel, written[polls + 1])).await;
        let left = what_is_left(transport, &channel, &written, polls + 1).await?;
        ensure!(left >= first, "{first} was the first record left, and now {left} is");
        first = left;
        if let Some(done) = done {
            done?;
            break;
        }
    }
    transport.trim(&channel, written[45]).await?;
    what_is_left(transport, &channel, &written, 45).await?;
    write(transport, &channel, [50]).await?;
    Ok(())
}
