//! Durable cursors.

use std::ops::Range;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capability, Start, Subscription, Transport, TransportErrorKind as Kind,
};

use crate::kit::{all, append, channel, drain, numbers, read_from, reader, write};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["subscription":
    a_new_one_has_no_cursor [Can(Capability::Subscriptions)],
    ack_moves_the_cursor_so_far_and_no_further [Can(Capability::Subscriptions)],
    ack_within_a_batch_goes_no_further [Can(Capability::Subscriptions)],
    ack_twice_is_harmless [Can(Capability::Subscriptions)],
    ack_backwards_is_harmless [Can(Capability::Subscriptions)],
    reading_moves_nothing [Can(Capability::Subscriptions)],
    two_are_independent [Can(Capability::Subscriptions)],
    one_name_on_two_channels_is_two [Can(Capability::Subscriptions)],
    another_handle_has_the_cursor [Can(Capability::Subscriptions)],
    a_reader_goes_on_at_the_cursor [Can(Capability::Subscriptions), Can(Capability::SeekPosition)],
    ack_works_while_a_read_waits [Can(Capability::Subscriptions)],
    a_deleted_channels_cursors_are_gone [Can(Capability::Subscriptions), Can(Capability::Delete)],
    unsubscribed_it_begins_again [Can(Capability::Subscriptions)],
    unsubscribing_leaves_the_others [Can(Capability::Subscriptions)],
    unsubscribing_what_isnt_there_is_harmless [Can(Capability::Subscriptions)],
    those_that_moved_are_listed_by_name [Can(Capability::Subscriptions)],
    unsubscribed_it_isnt_listed [Can(Capability::Subscriptions)],
    another_channel_lists_its_own [Can(Capability::Subscriptions)],
    a_reader_isnt_listed [Can(Capability::Subscriptions)],
    made_again_a_channel_lists_none [Can(Capability::Subscriptions), Can(Capability::Delete)],
];

// Writes records each with a batch and a receipt of its own, and gives their positions. A broker may
// keep its cursors at the boundaries of what was stored together: here that is every record.
async fn write_apart(
    transport: &dyn Transport,
    channel: &str,
    numbers: Range<u64>,
) -> Result<Vec<Position>, Failure> {
    let mut writer = transport.writer(channel).await?;
    let mut positions = Vec::new();
    for number in numbers {
        positions.extend(append(&mut *writer, [number]).await?);
    }
    writer.close().await?;
    Ok(positions)
}

// The cursor is before the record of an index and after the one in front of it. A broker may tell
// the place between the two in more than one way.
async fn stands_before(
    subscription: &dyn Subscription,
    positions: &[Position],
    index: usize,
) -> Verdict {
    let acked = subscription.acked().await?;
    let place = acked.map(|acked| positions.partition_point(|p| *p < acked));
    ensure_eq!(place, Some(index), "the records before the cursor, which is at {acked:?}");
    Ok(())
}

/// Checks that a subscription that never acknowledged has no cursor, even if there are records.
pub async fn a_new_one_has_no_cursor(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let early = transport.subscription(&channel, "early").await?;
    ensure_eq!(early.acked().await?, None, "the cursor on an empty channel");
    write(transport, &channel, 0..3).await?;
    let late = transport.subscription(&channel, "late").await?;
    for subscription in [early, late] {
        ensure_eq!(subscription.acked().await?, None, "a cursor that was never moved");
    }
    Ok(())
}

/// Checks that the cursor is where the last `ack` put it: not before, and never past what wasn't
/// acknowledged.
pub async fn ack_moves_the_cursor_so_far_and_no_further(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    for index in [1, 2, 5, 9] {
        subscription.ack(positions[index]).await?;
        stands_before(&*subscription, &positions, index).await?;
    }
    subscription.ack(transport.describe(&channel).await?.end).await?;
    stands_before(&*subscription, &positions, 10).await
}

/// Checks that an `ack` in the middle of records that were written together moves the cursor there
/// or less far, and that an `ack` at their end moves it to the end.
pub async fn ack_within_a_batch_goes_no_further(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    for index in [1, 4, 9] {
        subscription.ack(positions[index]).await?;
        let acked = subscription.acked().await?;
        let earlier = acked.is_none_or(|acked| acked <= positions[index]);
        ensure!(earlier, "the cursor is at {acked:?}, {} was acknowledged", positions[index]);
    }
    subscription.ack(transport.describe(&channel).await?.end).await?;
    stands_before(&*subscription, &positions, 10).await
}

/// Checks that repeating an acknowledgement succeeds and changes nothing.
pub async fn ack_twice_is_harmless(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    for _ in 0..3 {
        subscription.ack(positions[4]).await?;
        stands_before(&*subscription, &positions, 4).await?;
    }
    Ok(())
}

/// Checks that acknowledging an earlier position succeeds and doesn't move the cursor back.
pub async fn ack_backwards_is_harmless(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    subscription.ack(positions[7]).await?;
    for index in [3, 0] {
        subscription.ack(positions[index]).await?;
        stands_before(&*subscription, &positions, 7).await?;
    }
    Ok(())
}

/// Checks that only `ack` moves a cursor, whatever readers do.
pub async fn reading_moves_nothing(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    subscription.ack(positions[2]).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    drain(&mut *reader).await?;
    stands_before(&*subscription, &positions, 2).await?;
    reader.seek(Start::Earliest).await?;
    drop(reader);
    stands_before(&*subscription, &positions, 2).await
}

/// Checks that two names on one channel are two cursors.
pub async fn two_are_independent(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let one = transport.subscription(&channel, "one").await?;
    let two = transport.subscription(&channel, "two").await?;
    one.ack(positions[3]).await?;
    ensure_eq!(two.acked().await?, None, "the cursor of the other");
    two.ack(positions[8]).await?;
    stands_before(&*one, &positions, 3).await?;
    stands_before(&*two, &positions, 8).await
}

/// Checks that one name on two channels is two cursors.
pub async fn one_name_on_two_channels_is_two(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let a = channel(transport, harness).await?;
    let b = channel(transport, harness).await?;
    let positions = write_apart(transport, &a, 0..10).await?;
    write(transport, &b, 0..10).await?;
    let on_a = transport.subscription(&a, "reader").await?;
    let on_b = transport.subscription(&b, "reader").await?;
    on_a.ack(positions[5]).await?;
    stands_before(&*on_a, &positions, 5).await?;
    ensure_eq!(on_b.acked().await?, None, "the cursor of the same name on another channel");
    Ok(())
}

/// Checks that the broker has stored an acknowledgement that returned `Ok`: a later handle finds
/// the cursor there.
pub async fn another_handle_has_the_cursor(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    for index in [2, 6] {
        let handle = harness.open().await?;
        handle.subscription(&channel, "reader").await?.ack(positions[index]).await?;
        let now = transport.subscription(&channel, "reader").await?;
        stands_before(&*now, &positions, index).await?;
        handle.close().await?;
        let later = transport.subscription(&channel, "reader").await?;
        stands_before(&*later, &positions, index).await?;
    }
    Ok(())
}

/// Checks that a reader that is opened at the cursor gets exactly what wasn't acknowledged.
pub async fn a_reader_goes_on_at_the_cursor(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    for index in [0, 4, 9] {
        subscription.ack(positions[index]).await?;
        let acked = subscription.acked().await?;
        let acked = acked.ok_or_else(|| Failure::new("the cursor is gone"))?;
        let records = read_from(transport, &channel, Start::At(acked)).await?;
        ensure_eq!(numbers(&records), all(index as u64..10), "the records at the cursor");
    }
    Ok(())
}

/// Checks that acknowledging doesn't wait for a read, and doesn't end it.
pub async fn ack_works_while_a_read_waits(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    let subscription = transport.subscription(&channel, "reader").await?;
    let mut reader = reader(transport, &channel, Start::Latest).await?;
    let reading = crate::kit::read(&mut *reader, 1);
    let acking = async {
        subscription.ack(positions[5]).await?;
        stands_before(&*subscription, &positions, 5).await?;
        write(transport, &channel, [10]).await
    };
    let (records, _) = futures::try_join!(reading, acking)?;
    ensure_eq!(numbers(&records), all([10]), "what the waiting read got");
    Ok(())
}

/// Checks that a channel that was deleted and created again has no old cursor.
pub async fn a_deleted_channels_cursors_are_gone(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    transport.subscription(&channel, "reader").await?.ack(positions[5]).await?;
    transport.delete(&channel).await?;
    harness.make_channel(transport, &channel).await?;
    let fresh = transport.subscription(&channel, "reader").await?;
    ensure_eq!(fresh.acked().await?, None, "the cursor on a channel that was made again");
    Ok(())
}

/// Checks that a removed cursor is gone for every handle: its name begins again without a cursor,
/// and may be moved to a place before the old one.
pub async fn unsubscribed_it_begins_again(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write_apart(transport, &channel, 0..10).await?;
    transport.subscription(&channel, "reader").await?.ack(positions[7]).await?;
    let other = harness.open().await?;
    other.unsubscribe(&channel, "reader").await?;
    for handle in [transport, &*other] {
        let again = handle.subscription(&channel, "reader").await?;
        ensure_eq!(again.acked().await?, None, "the cursor after it was removed");
    }
    let again = transport.subscription(&channel, "reader").await?;
    again.ack(positions[3]).await?;
    stands_before(&*again, &positions, 3).await?;
    let left = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&left), all(0..10), "the records");
    Ok(other.close().await?)
}

/// Checks that removing a cursor leaves those of other names, and that of its name on another
/// channel.
pub async fn unsubscribing_leaves_the_others(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let a = channel(transport, harness).await?;
    let b = channel(transport, harness).await?;
    let mut others = Vec::new();
    for (channel, names) in [(&a, ["one", "two"]), (&b, ["one", "two"])] {
        let positions = write_apart(transport, channel, 0..10).await?;
        for name in names {
            let subscription = transport.subscription(channel, name).await?;
            subscription.ack(positions[5]).await?;
            if (channel, name) != (&a, "one") {
                others.push((subscription, positions.clone()));
            }
        }
    }
    transport.unsubscribe(&a, "one").await?;
    for (subscription, positions) in others {
        stands_before(&*subscription, &positions, 5).await?;
    }
    let one = transport.subscription(&a, "one").await?;
    ensure_eq!(one.acked().await?, None, "the cursor that was removed");
    Ok(())
}

/// Checks that removing a cursor that never existed, or was removed already, succeeds.
pub async fn unsubscribing_what_isnt_there_is_harmless(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    transport.unsubscribe(&channel, "nobody").await?;
    let positions = write_apart(transport, &channel, 0..2).await?;
    transport.subscription(&channel, "reader").await?.ack(positions[1]).await?;
    for _ in 0..2 {
        transport.unsubscribe(&channel, "reader").await?;
    }
    Ok(())
}

// Moves cursors of these names to the end.
async fn subscribe(transport: &dyn Transport, channel: &str, names: &[&str]) -> Verdict {
    let end = transport.describe(channel).await?.end;
    for name in names {
        transport.subscription(channel, name).await?.ack(end).await?;
    }
    Ok(())
}

/// Checks that cursors that were moved are listed by their names, to the letter and sorted, in any
/// handle. A name that can't be kept so is refused.
pub async fn those_that_moved_are_listed_by_name(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let none = transport.subscriptions(&channel).await?;
    ensure!(none.is_empty(), "a new channel has the cursors {none:?}");
    write(transport, &channel, 0..3).await?;
    let mut names = Vec::new();
    for name in ["頻道", "naïve", "a+b", "a%20b", "a.b", "a b", "9", "10"] {
        match transport.subscription(&channel, name).await {
            Err(error) if matches!(error.kind(), Kind::Config { .. }) => continue,
            opened => drop(opened?),
        }
        subscribe(transport, &channel, &[name]).await?;
        names.push(name);
    }
    names.sort_unstable();
    ensure!(names.starts_with(&["10", "9"]), "plain names are refused: {names:?} are left");
    let other = harness.open().await?;
    for handle in [transport, &*other] {
        ensure_eq!(handle.subscriptions(&channel).await?, names, "the names");
    }
    Ok(other.close().await?)
}

/// Checks that a removed cursor isn't listed and the others are, and that it is listed again once
/// it is moved.
pub async fn unsubscribed_it_isnt_listed(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    subscribe(transport, &channel, &["one", "two"]).await?;
    transport.unsubscribe(&channel, "one").await?;
    ensure_eq!(transport.subscriptions(&channel).await?, ["two"], "the names that are left");
    subscribe(transport, &channel, &["one"]).await?;
    ensure_eq!(transport.subscriptions(&channel).await?, ["one", "two"], "the names afterwards");
    Ok(())
}

/// Checks that each channel lists its own cursors and no other channel's.
pub async fn another_channel_lists_its_own(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let a = channel(transport, harness).await?;
    let b = format!("{a}-b");
    harness.make_channel(transport, &b).await?;
    for channel in [&a, &b] {
        write(transport, channel, 0..3).await?;
    }
    subscribe(transport, &a, &["both", "one"]).await?;
    subscribe(transport, &b, &["both"]).await?;
    ensure_eq!(transport.subscriptions(&a).await?, ["both", "one"], "the names on a channel");
    ensure_eq!(transport.subscriptions(&b).await?, ["both"], "the names on another");
    Ok(())
}

/// Checks that reading alone makes no cursor, whatever the broker needs for it.
pub async fn a_reader_isnt_listed(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    drain(&mut *reader).await?;
    subscribe(transport, &channel, &["one"]).await?;
    ensure_eq!(transport.subscriptions(&channel).await?, ["one"], "the names beside a reader");
    Ok(())
}

/// Checks that a channel that was deleted and created again lists no old cursor.
pub async fn made_again_a_channel_lists_none(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    subscribe(transport, &channel, &["one"]).await?;
    transport.delete(&channel).await?;
    harness.make_channel(transport, &channel).await?;
    let left = transport.subscriptions(&channel).await?;
    ensure!(left.is_empty(), "a channel that was made again has the cursors {left:?}");
    Ok(())
}
