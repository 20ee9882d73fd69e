//! Many writers and readers at the same time.

use futures::future::try_join_all;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Start, Transport};
use tokio::task::JoinHandle;

use crate::kit::{
    all, append, channel, numbers, positions, read, read_from, reader, strictly_grow,
};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["concurrency":
    many_writers_and_readers_on_one_channel,
    many_writers_and_readers_on_many_channels,
    readers_come_and_go_while_records_are_written,
];

const BATCHES: u64 = 40;
const BATCH: u64 = 5;

// Tasks, so that writers and readers run on several threads.
async fn done<T>(task: JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    task.await.map_err(|panic| Failure::new(panic.to_string()))?
}

// A task that appends `BATCHES` batches, with numbers from `first` on.
async fn writing(
    transport: &dyn Transport,
    channel: &str,
    first: u64,
) -> Result<JoinHandle<Result<Vec<Position>, Failure>>, Failure> {
    let mut writer = transport.writer(channel).await?;
    Ok(tokio::spawn(async move {
        let mut positions = Vec::new();
        for batch in 0..BATCHES {
            let from = first + batch * BATCH;
            positions.extend(append(&mut *writer, from..from + BATCH).await?);
        }
        writer.close().await?;
        Ok(positions)
    }))
}

async fn reading(
    transport: &dyn Transport,
    channel: &str,
    count: u64,
) -> Result<JoinHandle<Result<Vec<Record>, Failure>>, Failure> {
    let mut reader = reader(transport, channel, Start::Earliest).await?;
    Ok(tokio::spawn(async move { read(&mut *reader, count as usize).await }))
}

// Each writer's records are all there, in its order, at the positions of its receipts.
fn each_in_order(records: &[Record], written: &[(u64, Vec<Position>)]) -> Verdict {
    let total: usize = written.iter().map(|(_, positions)| positions.len()).sum();
    ensure_eq!(records.len(), total, "the number of records");
    ensure!(strictly_grow(&positions(records)), "the positions don't grow");
    for (first, written) in written {
        let range = *first..first + BATCHES * BATCH;
        let own: Vec<_> = numbers(records)
            .0
            .into_iter()
            .zip(records)
            .filter_map(|(n, r)| n.filter(|n| range.contains(n)).map(|n| (n, r.position)))
            .collect();
        let (got, at): (Vec<_>, Vec<_>) = own.into_iter().unzip();
        ensure_eq!(all(got), all(range), "the records of the writer from {first} on");
        ensure!(at == *written, "the positions of the writer from {first} on differ");
    }
    Ok(())
}

/// Checks that several writers of one channel get one order, the same for every reader, which keeps
/// each writer's own.
pub async fn many_writers_and_readers_on_one_channel(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let other = harness.open().await?;
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for n in 0..4 {
        let handle = if n % 2 == 0 { transport } else { &*other };
        readers.push(reading(handle, &channel, 4 * BATCHES * BATCH).await?);
        writers.push((n * 10_000, writing(handle, &channel, n * 10_000).await?));
    }
    let mut written = Vec::new();
    for (first, writer) in writers {
        written.push((first, done(writer).await?));
    }
    let after = read_from(transport, &channel, Start::Earliest).await?;
    each_in_order(&after, &written)?;
    for reader in readers {
        ensure!(done(reader).await? == after, "a reader saw other records, or another order");
    }
    Ok(other.close().await?)
}

/// Checks that several channels can be used at once, each with a writer and two readers.
pub async fn many_writers_and_readers_on_many_channels(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let mut running = Vec::new();
    for n in 0..8 {
        let channel = channel(transport, harness).await?;
        let mut readers = Vec::new();
        for _ in 0..2 {
            readers.push(reading(transport, &channel, BATCHES * BATCH).await?);
        }
        running.push((n * 10_000, writing(transport, &channel, n * 10_000).await?, readers));
    }
    for (first, writer, readers) in running {
        let written = [(first, done(writer).await?)];
        for records in try_join_all(readers.into_iter().map(done)).await? {
            each_in_order(&records, &written)?;
        }
    }
    Ok(())
}

/// Checks that readers that are opened and dropped in mid-stream disturb neither the writer nor one
/// another.
pub async fn readers_come_and_go_while_records_are_written(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let steady = reading(transport, &channel, BATCHES * BATCH).await?;
    let writer = writing(transport, &channel, 0).await?;
    for count in 1..20 {
        let mut passing = reader(transport, &channel, Start::Earliest).await?;
        let records = read(&mut *passing, count).await?;
        ensure_eq!(numbers(&records), all(0..count as u64), "the records of a reader in between");
    }
    let written = [(0, done(writer).await?)];
    each_in_order(&done(steady).await?, &written)
}
