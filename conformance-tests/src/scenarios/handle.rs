//! Closing and dropping.

use msgstream_core::transport::TransportExt as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capability, Fate, Limit, Start, Transport, TransportError, TransportErrorKind as Kind, Unstored,
};
use tokio::runtime::{Builder, Handle};

use crate::kit::{
    FOR_EVER, all, append, cancelled_after, channel, drain, numbers, read_from, reader, record,
    stored, write,
};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["handle":
    closing_twice_is_harmless,
    closing_flushes,
    closing_one_leaves_others_open,
    a_closed_one_is_closed_in_every_call,
    its_writers_and_readers_are_closed_with_it,
    its_subscriptions_are_closed_with_it [Can(Capability::Subscriptions)],
    closing_ends_a_waiting_read,
    dropping_without_close_leaves_no_task,
    dropping_after_the_runtime_is_harmless,
];

/// Checks that a second `close` returns `Ok`.
pub async fn closing_twice_is_harmless(
    _transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let handle = harness.open().await?;
    handle.close().await?;
    Ok(handle.close().await?)
}

/// Checks that submitted records are stored when `close` returns.
pub async fn closing_flushes(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let handle = harness.open().await?;
    let mut writer = handle.writer(&channel).await?;
    let receipts: Vec<_> = (0..100).map(|n| writer.submit(vec![record(n)])).collect();
    // A first call may be cancelled.
    cancelled_after(1, handle.close()).await;
    handle.close().await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&read), all(0..100), "the records after close");
    for receipt in receipts {
        stored(receipt.await)?;
    }
    Ok(())
}

/// Checks that closing a handle leaves the others open.
pub async fn closing_one_leaves_others_open(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let other = harness.open().await?;
    write(&*other, &channel, 0..3).await?;
    other.close().await?;
    drop(other);
    append(&mut *writer, 3..6).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(0..6), "the records");
    Ok(())
}

/// Checks that every call of a closed handle that would reach the broker fails with
/// [`Closed`](Kind::Closed).
pub async fn a_closed_one_is_closed_in_every_call(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let handle = harness.open().await?;
    handle.close().await?;
    let can = handle.capabilities();
    ensure_eq!(can, transport.capabilities(), "the capabilities of a closed handle");
    if can.create {
        let created = handle.create(&harness.channel_name()).await;
        ensure_refused!(created, Kind::Closed, "create");
    }
    if can.delete {
        ensure_refused!(handle.delete(&channel).await, Kind::Closed, "delete");
    }
    if can.trim {
        let trimmed = handle.trim(&channel, Position::default()).await;
        ensure_refused!(trimmed, Kind::Closed, "trim");
    }
    if can.list {
        ensure_refused!(handle.list("").await, Kind::Closed, "list");
    }
    if can.subscriptions {
        let opened = handle.subscription(&channel, "reader").await;
        ensure_refused!(opened, Kind::Closed, "subscription");
        let removed = handle.unsubscribe(&channel, "reader").await;
        ensure_refused!(removed, Kind::Closed, "unsubscribe");
        let listed = handle.subscriptions(&channel).await;
        ensure_refused!(listed, Kind::Closed, "subscriptions");
    }
    ensure_refused!(handle.describe(&channel).await, Kind::Closed, "describe");
    ensure_refused!(handle.writer(&channel).await, Kind::Closed, "writer");
    let opened = handle.reader(&channel, Start::Earliest).await;
    ensure_refused!(opened, Kind::Closed, "reader");
    ensure!(transport.describe(&channel).await.is_ok(), "the closed handle deleted the channel");
    Ok(())
}

/// Checks that writers and readers of a closed handle fail with [`Closed`](Kind::Closed).
pub async fn its_writers_and_readers_are_closed_with_it(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let handle = harness.open().await?;
    let mut writer = handle.writer(&channel).await?;
    append(&mut *writer, 0..3).await?;
    let mut reader = reader(&*handle, &channel, Start::Earliest).await?;
    handle.close().await?;
    ensure_refused!(writer.ready().await, Kind::Closed, "ready");
    let outcome = writer.submit(vec![record(3)]).await;
    ensure!(outcome.stored.is_empty(), "a closed handle's writer stored a record");
    match outcome.rest {
        Some(Unstored { fate: Fate::NotStored, error, .. }) if *error.kind() == Kind::Closed => {}
        rest => return Err(Failure::new(format!("submit gave {rest:?}"))),
    }
    ensure_refused!(reader.read(Limit::default()).await, Kind::Closed, "read");
    ensure_refused!(reader.seek(Start::Earliest).await, Kind::Closed, "seek");
    writer.close().await?;
    let left = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&left), all(0..3), "the records");
    Ok(())
}

/// Checks that a subscription of a closed handle fails with [`Closed`](Kind::Closed).
pub async fn its_subscriptions_are_closed_with_it(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..3).await?;
    let handle = harness.open().await?;
    let subscription = handle.subscription(&channel, "reader").await?;
    handle.close().await?;
    ensure_refused!(subscription.ack(positions[1]).await, Kind::Closed, "ack");
    ensure_refused!(subscription.acked().await, Kind::Closed, "acked");
    let now = transport.subscription(&channel, "reader").await?.acked().await?;
    ensure_eq!(now, None, "the cursor after a refused ack");
    Ok(())
}

/// Checks that a waiting read fails with [`Closed`](Kind::Closed) when its handle is closed.
pub async fn closing_ends_a_waiting_read(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let handle = harness.open().await?;
    let mut reader = reader(&*handle, &channel, Start::Earliest).await?;
    let waiting = reader.read(Limit::default().with_wait(FOR_EVER));
    let (read, closed) = futures::join!(waiting, handle.close());
    closed?;
    ensure_refused!(read, Kind::Closed, "a read that was waiting");
    Ok(())
}

// A handle with everything open, some of it in use.
async fn in_use(
    harness: &dyn Harness,
    channel: &str,
) -> Result<impl Sized + Send + use<>, TransportError> {
    let handle = harness.open().await?;
    let mut writer = handle.writer(channel).await?;
    let receipts: Vec<_> = (0..10).map(|n| writer.submit(vec![record(n)])).collect();
    let mut reader = handle.reader(channel, Start::Earliest).await?;
    // One read is dropped while it waits.
    reader.seek(Start::Latest).await?;
    cancelled_after(1, reader.read(Limit::default().with_wait(FOR_EVER))).await;
    let subscription = match handle.capabilities().subscriptions {
        true => Some(handle.subscription(channel, "reader").await?),
        false => None,
    };
    Ok((writer, receipts, reader, subscription, Arc::clone(&handle)))
}

/// Checks that dropping a handle ends every task of it and of its writers and readers, even if none
/// of them was closed.
pub async fn dropping_without_close_leaves_no_task(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for _ in 0..5 {
        drop(in_use(harness, &channel).await?);
    }
    // There is no event for the end of somebody else's task. A leak is a scenario that hangs.
    while metrics.num_alive_tasks() > before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Checks that a handle can be dropped after its runtime has ended: nothing panics and nothing
/// blocks.
pub async fn dropping_after_the_runtime_is_harmless(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let on_a_runtime_that_ends = || -> Verdict {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("no runtime: {error}")))?;
        let left_over = runtime.block_on(in_use(harness, &channel))?;
        runtime.shutdown_background();
        drop(left_over);
        Ok(())
    };
    thread::scope(|scope| scope.spawn(on_a_runtime_that_ends).join())
        .map_err(|_| Failure::new("dropping the handle panicked"))?
}
