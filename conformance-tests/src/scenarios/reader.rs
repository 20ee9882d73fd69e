//! Reading: limits, waiting, the end of the channel, cancelling.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::{Capability, ChannelReader, Limit, ReadBatch, Start, Transport};
use msgstream_core::{MsgType, Timestamp};

use crate::kit::{
    FOR_EVER, all, append, cancelled_after, channel, drain, numbers, read, read_from, reader,
    record, stored, strictly_grow, write,
};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["reader":
    records_come_in_order_once,
    a_new_reader_gets_old_records,
    two_readers_get_the_same,
    batches_keep_to_the_number_of_records,
    batches_keep_to_the_number_of_bytes,
    a_record_over_the_byte_limit_comes_alone,
    caught_up_is_true_only_at_the_end,
    an_elapsed_wait_gives_an_empty_batch,
    a_waiting_read_wakes_on_a_write,
    next_is_where_another_reader_goes_on [Can(Capability::SeekPosition)],
    cancelling_loses_nothing,
    cancelling_at_every_poll_loses_nothing,
];

/// Checks that written records are read in order, each of them once.
pub async fn records_come_in_order_once(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for round in 0..10 {
        let range = round * 100..round * 100 + 100;
        write(transport, &channel, range.clone()).await?;
        ensure_eq!(numbers(&drain(&mut *reader).await?), all(range), "round {round}");
    }
    Ok(())
}

/// Checks that a late reader on a handle of its own gets all there is.
pub async fn a_new_reader_gets_old_records(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..1000).await?;
    let other = harness.open().await?;
    let records = read_from(&*other, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&records), all(0..1000), "the records of a late reader");
    Ok(other.close().await?)
}

/// Checks that each reader gets every record, equal in every part, in batches of any size.
pub async fn two_readers_get_the_same(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..500).await?;
    let mut small = reader(transport, &channel, Start::Earliest).await?;
    let mut large = reader(transport, &channel, Start::Earliest).await?;
    let mut records = Vec::new();
    while records.len() < 500 {
        records.extend(small.read(Limit::default().with_records(7)).await?.records);
    }
    ensure_eq!(numbers(&records), all(0..500), "the records in small batches");
    ensure!(drain(&mut *large).await? == records, "the records in large batches differ");
    Ok(())
}

async fn batches(
    reader: &mut dyn ChannelReader,
    limit: Limit,
    count: usize,
) -> Result<Vec<ReadBatch>, Failure> {
    let (mut batches, mut read) = (Vec::new(), 0);
    while read < count {
        let batch = reader.read(limit).await?;
        read += batch.records.len();
        batches.push(batch);
    }
    let records: Vec<_> = batches.iter().flat_map(|b| b.records.clone()).collect();
    ensure_eq!(numbers(&records), all(0..count as u64), "the records of all batches");
    Ok(batches)
}

/// Checks that no batch has more records than were asked for; 0 is taken as 1.
pub async fn batches_keep_to_the_number_of_records(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..50).await?;
    for most in [0, 1, 3, 49, 50, 51] {
        let mut reader = reader(transport, &channel, Start::Earliest).await?;
        let limit = Limit::default().with_records(most);
        for batch in batches(&mut *reader, limit, 50).await? {
            let got = batch.records.len();
            ensure!(got <= most.max(1), "{got} records where {most} were allowed");
        }
    }
    Ok(())
}

/// Checks that no batch of several records has more bytes than were asked for.
pub async fn batches_keep_to_the_number_of_bytes(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..50).await?;
    let one = record(0).footprint();
    for most in [0, 1, one, 3 * one, 10 * one + 1] {
        let mut reader = reader(transport, &channel, Start::Earliest).await?;
        for batch in batches(&mut *reader, Limit::default().with_bytes(most), 50).await? {
            let bytes: usize = batch.records.iter().map(Record::footprint).sum();
            let alone = batch.records.len() <= 1;
            ensure!(alone || bytes <= most, "{bytes} bytes where {most} were allowed");
        }
    }
    Ok(())
}

/// Checks that a record that is over the byte limit by itself comes in a batch of its own.
pub async fn a_record_over_the_byte_limit_comes_alone(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let payload = |bytes| Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), vec![b'x'; bytes]);
    let sizes = [1, 1, 20_000, 1, 20_000, 20_000, 1];
    let mut writer = transport.writer(&channel).await?;
    stored(writer.submit(sizes.map(payload).into()).await)?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let mut read = Vec::new();
    while read.len() < sizes.len() {
        let batch = reader.read(Limit::default().with_bytes(10_000)).await?;
        let got: Vec<_> = batch.records.iter().map(|r| r.payload.len()).collect();
        ensure!(got.len() <= 1 || !got.contains(&20_000), "a batch of payloads {got:?}");
        read.extend(got);
    }
    ensure_eq!(read, sizes, "the sizes of the payloads");
    Ok(())
}

/// Checks that `caught_up` is false as long as more records follow, and true soon after the last
/// one.
pub async fn caught_up_is_true_only_at_the_end(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for round in 0..3 {
        write(transport, &channel, 0..10).await?;
        let mut left = 10;
        // It ends only where the reader says so.
        loop {
            let batch = reader.read(Limit::default().with_records(3)).await?;
            left -= batch.records.len();
            let more = left > 0;
            ensure!(!(batch.caught_up && more), "caught up with {left} left, round {round}");
            if batch.caught_up {
                break;
            }
        }
    }
    Ok(())
}

/// Checks that a batch is empty if no record comes within the wait, and that the reader stays where
/// it is.
pub async fn an_elapsed_wait_gives_an_empty_batch(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..3).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    drain(&mut *reader).await?;
    for wait in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(50)] {
        loop {
            let batch = reader.read(Limit::default().with_wait(wait)).await?;
            ensure!(batch.records.is_empty(), "records from nowhere: {:?}", batch.records);
            let end = transport.describe(&channel).await?.end;
            let next = batch.next;
            ensure!(positions[2] < next && next <= end, "it goes on at {next}, the end is {end}");
            if batch.caught_up {
                break;
            }
        }
    }
    write(transport, &channel, [3]).await?;
    ensure_eq!(numbers(&read(&mut *reader, 1).await?), all([3]), "the record after the waits");
    Ok(())
}

/// Checks that a waiting read returns as soon as a record is written, not at the end of its wait.
pub async fn a_waiting_read_wakes_on_a_write(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let other = harness.open().await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for (n, writing) in (0..).zip([transport, &*other, transport]) {
        let reading = reader.read(Limit::default().with_wait(FOR_EVER));
        let (batch, written) = futures::join!(reading, write(writing, &channel, [n]));
        let (batch, written) = (batch?, written?);
        ensure_eq!(numbers(&batch.records), all([n]), "what the waiting read got");
        ensure_eq!(crate::kit::positions(&batch.records), written, "its position");
    }
    Ok(other.close().await?)
}

/// Checks that a batch's `next` is after its records, and that another reader can start there.
pub async fn next_is_where_another_reader_goes_on(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..10).await?;
    let mut first = reader(transport, &channel, Start::Earliest).await?;
    let mut count = 0;
    while count < 10 {
        let batch = first.read(Limit::default().with_records(3)).await?;
        count += batch.records.len();
        let bounds: Vec<_> = [batch.next].into_iter().chain(written.get(count).copied()).collect();
        if let Some(last) = batch.records.last() {
            ensure!(last.position < batch.next, "next is {}, the last {last:?}", batch.next);
        }
        ensure!(bounds.is_sorted(), "next {} skips the record at {:?}", batch.next, bounds.last());
        let mut second = reader(transport, &channel, Start::At(batch.next)).await?;
        let rest = read(&mut *second, 10 - count).await?;
        ensure_eq!(numbers(&rest), all(count as u64..10), "what follows {}", batch.next);
    }
    Ok(())
}

/// Checks that reads that are dropped while they wait lose no record that comes.
pub async fn cancelling_loses_nothing(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for n in 0..100 {
        let waiting = reader.read(Limit::default().with_wait(FOR_EVER));
        let dropped = cancelled_after(1, waiting).await;
        ensure!(dropped.is_none(), "a read of an empty channel gave {dropped:?}");
        append(&mut *writer, [n]).await?;
        ensure_eq!(numbers(&read(&mut *reader, 1).await?), all([n]), "after a dropped read");
    }
    Ok(())
}

/// Checks that reads that are dropped at their first, second, third and later polls, while records
/// pour in, lose nothing and repeat nothing.
pub async fn cancelling_at_every_poll_loses_nothing(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    const COUNT: u64 = 2000;
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let done = AtomicBool::new(false);
    let writing = async {
        for batch in 0..COUNT / 5 {
            append(&mut *writer, batch * 5..batch * 5 + 5).await?;
        }
        done.store(true, Ordering::Release);
        Ok::<_, Failure>(())
    };
    let reading = async {
        let mut records = Vec::new();
        for polls in (1..=12).cycle() {
            let all_is_written = done.load(Ordering::Acquire);
            let limit = Limit::default().with_records(polls);
            if let Some(batch) = cancelled_after(polls, reader.read(limit)).await {
                let batch = batch?;
                records.extend(batch.records);
                if batch.caught_up && all_is_written {
                    break;
                }
            }
        }
        Ok::<_, Failure>(records)
    };
    let ((), records) = futures::try_join!(writing, reading)?;
    ensure_eq!(numbers(&records), all(0..COUNT), "the records of all reads");
    ensure!(strictly_grow(&crate::kit::positions(&records)), "the positions don't grow");
    Ok(())
}
