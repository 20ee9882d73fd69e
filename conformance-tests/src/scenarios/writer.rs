//! Writing: order, receipts, failures.

use futures::future::join_all;
use msgstream_core::transport::{
    Capability, Fate, Outcome, Receipt, Start, Transport, TransportErrorKind as Kind, Unstored,
};
use tokio::task::unconstrained;

use crate::kit::{
    all, append, cancelled_after, channel, is_too_large, numbers, oversized, positions, read,
    read_from, reader, record, stored, strictly_grow, write,
};
use crate::scenario::Need::{Can, PayloadLimit};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["writer":
    receipts_tell_the_positions,
    batches_are_pipelined_in_order,
    batches_over_the_bound_are_taken,
    an_empty_batch_is_stored,
    cancelling_ready_has_no_effect,
    dropping_a_receipt_cancels_nothing,
    what_is_acknowledged_is_there,
    close_waits_for_all_receipts,
    use_after_close_is_closed,
    an_oversized_payload_is_refused [PayloadLimit],
    a_failed_write_poisons [PayloadLimit],
    a_deleted_channel_poisons [Can(Capability::Delete)],
];

/// Checks that positions in receipts grow along the channel, and are those that a reader sees.
pub async fn receipts_tell_the_positions(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut written = Vec::new();
    for (from, to) in [(0, 1), (1, 2), (2, 30), (30, 31), (31, 100)] {
        written.extend(append(&mut *writer, from..to).await?);
    }
    writer.close().await?;
    written.extend(write(transport, &channel, 100..110).await?);
    ensure!(strictly_grow(&written), "the positions don't grow: {written:?}");
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..110), "the records");
    ensure_eq!(positions(&read), written, "the positions that the reader sees");
    Ok(())
}

async fn in_order(
    transport: &dyn Transport,
    channel: &str,
    receipts: Vec<Receipt>,
    count: u64,
) -> Verdict {
    let mut written = Vec::new();
    for outcome in join_all(receipts).await {
        written.extend(stored(outcome)?);
    }
    ensure!(strictly_grow(&written), "the positions don't grow in the order of submitting");
    let read = read_from(transport, channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..count), "the records");
    ensure_eq!(positions(&read), written, "the positions that the reader sees");
    Ok(())
}

/// Checks that many batches in flight are stored in the order in which they were submitted.
pub async fn batches_are_pipelined_in_order(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut receipts = Vec::new();
    for batch in 0..200 {
        writer.ready().await?;
        receipts.push(writer.submit((batch * 10..batch * 10 + 10).map(record).collect()));
    }
    in_order(transport, &channel, receipts, 2000).await
}

/// Checks that batches are taken without a call of `ready`, too.
pub async fn batches_over_the_bound_are_taken(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let receipts = (0..3000).map(|n| writer.submit(vec![record(n)])).collect();
    in_order(transport, &channel, receipts, 3000).await
}

/// Checks that a batch of no records succeeds, between others too.
pub async fn an_empty_batch_is_stored(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    append(&mut *writer, []).await?;
    append(&mut *writer, 0..2).await?;
    append(&mut *writer, []).await?;
    append(&mut *writer, 2..4).await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..4), "the records");
    Ok(())
}

/// Checks that `ready` may be dropped at any poll.
pub async fn cancelling_ready_has_no_effect(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut receipts = Vec::new();
    for batch in 0..300 {
        for polls in 0..3 {
            if let Some(ready) = cancelled_after(polls, writer.ready()).await {
                ready?;
            }
        }
        writer.ready().await?;
        receipts.push(writer.submit((batch * 10..batch * 10 + 10).map(record).collect()));
    }
    in_order(transport, &channel, receipts, 3000).await
}

/// Checks that batches are stored even if their receipts are dropped, polled or not.
pub async fn dropping_a_receipt_cancels_nothing(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    for batch in 0..50 {
        writer.ready().await?;
        let receipt = writer.submit((batch * 10..batch * 10 + 10).map(record).collect());
        cancelled_after(batch as usize % 3, receipt).await;
    }
    append(&mut *writer, [500]).await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..=500), "the records");
    Ok(())
}

/// Checks that another handle can read a record as soon as its receipt is there.
pub async fn what_is_acknowledged_is_there(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let other = harness.open().await?;
    for n in 0..20 {
        append(&mut *writer, [n]).await?;
        let read = read_from(&*other, &channel, Start::Earliest).await?;
        ensure_eq!(numbers(&read), all(0..=n), "the records of another handle");
    }
    Ok(other.close().await?)
}

/// Checks that `close` leaves nothing in flight: every receipt is there when it returns.
pub async fn close_waits_for_all_receipts(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let receipts: Vec<_> =
        (0..100).map(|b| writer.submit((b * 10..b * 10 + 10).map(record).collect())).collect();
    // A first call may be cancelled.
    cancelled_after(1, writer.close()).await;
    writer.close().await?;
    for receipt in receipts {
        // Else tokio lets a task that was busy wait though the receipt is there.
        match cancelled_after(1, unconstrained(receipt)).await {
            Some(outcome) => ensure_eq!(stored(outcome)?.len(), 10, "records stored"),
            None => return Err(Failure::new("a receipt was pending after close")),
        }
    }
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..1000), "the records");
    Ok(())
}

/// Checks that a closed writer stores nothing more, and that closing it again is harmless.
pub async fn use_after_close_is_closed(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    append(&mut *writer, 0..3).await?;
    writer.close().await?;
    writer.close().await?;
    ensure_refused!(writer.ready().await, Kind::Closed, "ready after close");
    let rest = nothing_stored(writer.submit(vec![record(3)]).await)?;
    ensure_eq!(rest, Kind::Closed, "submit after close");
    write(transport, &channel, [4]).await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all([0, 1, 2, 4]), "the records");
    Ok(())
}

#[track_caller]
fn nothing_stored(outcome: Outcome) -> Result<Kind, Failure> {
    match outcome.rest {
        Some(Unstored { fate: Fate::NotStored, error, .. }) if outcome.stored.is_empty() => {
            Ok(error.kind().clone())
        }
        rest => Err(Failure::new(format!(
            "{} records were stored and the rest was {rest:?}, not all known as not stored",
            outcome.stored.len()
        ))),
    }
}

/// Checks that a payload over the limit isn't sent, and that the error names its size and the
/// limit.
pub async fn an_oversized_payload_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let oversized = oversized(transport)?;
    let mut writer = transport.writer(&channel).await?;
    let rest = nothing_stored(writer.submit(vec![oversized.clone()]).await)?;
    is_too_large(&rest, &oversized)?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure!(read.is_empty(), "the refused record was written: {:?}", positions(&read));
    Ok(())
}

/// Checks that nothing after a failed record is stored, in its batch or later; what was before it
/// is as the receipts say, and a new writer works.
pub async fn a_failed_write_poisons(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let oversized = oversized(transport)?;
    let mut writer = transport.writer(&channel).await?;
    let before = writer.submit(vec![record(0), record(1)]);
    let failing = writer.submit(vec![record(2), oversized, record(3)]);
    let behind = writer.submit(vec![record(4)]);
    let before = stored(before.await)?;
    ensure_eq!(before.len(), 2, "the records before the failed batch");

    let Outcome { stored: prefix, rest, .. } = failing.await;
    ensure!(prefix.len() <= 1, "a record at or behind the failed one was stored");
    match rest {
        Some(Unstored { fate: Fate::NotStored, error, .. }) => {
            ensure!(matches!(error.kind(), Kind::TooLarge { .. }), "it failed with {error}");
        }
        rest => return Err(Failure::new(format!("the failed batch's rest is {rest:?}"))),
    }
    let behind = nothing_stored(behind.await)?;
    ensure_eq!(behind, Kind::Poisoned, "the batch behind the failed one");
    ensure_refused!(writer.ready().await, Kind::Poisoned, "ready after a failed write");
    let after = nothing_stored(writer.submit(vec![record(5)]).await)?;
    ensure_eq!(after, Kind::Poisoned, "submit after a failed write");

    write(transport, &channel, [6]).await?;
    let expected = (0..2 + prefix.len() as u64).chain([6]);
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(expected), "the records");
    Ok(())
}

/// Checks that a writer fails and stays poisoned if its channel was deleted, and writes nothing to
/// a channel that is created in its place.
pub async fn a_deleted_channel_poisons(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    append(&mut *writer, 0..3).await?;
    transport.delete(&channel).await?;
    let outcome = writer.submit(vec![record(3)]).await;
    ensure!(outcome.stored.is_empty(), "a record was stored in a deleted channel");
    ensure!(outcome.rest.is_some(), "writing to a deleted channel succeeded");
    ensure_refused!(writer.ready().await, Kind::Poisoned, "ready after a failed write");

    harness.make_channel(transport, &channel).await?;
    let rest = nothing_stored(writer.submit(vec![record(4)]).await)?;
    ensure_eq!(rest, Kind::Poisoned, "submit after a failed write");
    write(transport, &channel, [5]).await?;
    let mut fresh = reader(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read(&mut *fresh, 1).await?), all([5]), "the new channel's records");
    Ok(())
}
