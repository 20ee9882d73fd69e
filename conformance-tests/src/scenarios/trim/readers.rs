//! Readers of a channel of which records were removed, or are removed under them.

use futures::future::try_join;
use msgstream_core::Timestamp;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{
    Capability, ChannelReader, Limit, Start, Transport, TransportError, TransportErrorKind as Kind,
};

use super::large;
use crate::kit::{
    FOR_EVER, all, channel, drain, numbers, open_and_read, positions, read, read_from, reader,
    stored, what_is_left, write,
};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["trim::readers":
    what_is_left_can_be_started_at [Can(Capability::Trim), Can(Capability::SeekPosition)],
    a_start_before_what_is_left_is_refused [Can(Capability::Trim), Can(Capability::SeekPosition)],
    a_time_before_what_is_left_starts_there [Can(Capability::Trim), Can(Capability::SeekTime)],
    one_that_is_passed_is_told [Can(Capability::Trim)],
    one_that_waits_gets_what_comes_later [Can(Capability::Trim)],
];

/// Checks that `first` is a place to start at, and nothing is left before it. If it is `None`, no
/// record is left.
pub async fn what_is_left_can_be_started_at(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..20).await?;
    let end = transport.describe(&channel).await?.end;
    for before in [written[7], written[19], end] {
        transport.trim(&channel, before).await?;
        let left = read_from(transport, &channel, Start::Earliest).await?;
        let info = transport.describe(&channel).await?;
        ensure_eq!(info.end, end, "the end after a trim before {before}");
        match info.first {
            None => ensure!(left.is_empty(), "no first is described, and {left:?} is left"),
            Some(first) => {
                let from_first = read_from(transport, &channel, Start::At(first)).await?;
                ensure!(from_first == left, "from the first, {first}, there is {from_first:?}");
            }
        }
    }
    Ok(())
}

/// Checks that opening a reader at a removed record fails with
/// [`PositionTrimmed`](Kind::PositionTrimmed), which names a place at which one can be opened.
pub async fn a_start_before_what_is_left_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..100).await?;
    let end = transport.describe(&channel).await?.end;
    for (before, index) in [(written[60], 60), (end, 100)] {
        transport.trim(&channel, before).await?;
        let left = what_is_left(transport, &channel, &written, index).await?;
        for gone in [0, left / 2, left.saturating_sub(1)].into_iter().filter(|n| *n < left) {
            let place = written[gone];
            let opened = open_and_read(transport, &channel, Start::At(place), None).await;
            let Some(first) = named_first(&opened, place) else {
                let wrong = format!("a start at the removed {place} gave {opened:?}");
                return Err(Failure::new(wrong));
            };
            let records = read_from(transport, &channel, Start::At(first)).await?;
            ensure_eq!(numbers(&records), all(left as u64..100), "the records from {first} on");
        }
        for there in [left, index.max(left), 99].into_iter().filter(|n| (left..100).contains(n)) {
            let records = read_from(transport, &channel, Start::At(written[there])).await?;
            ensure_eq!(numbers(&records), all(there as u64..100), "the records from {there} on");
        }
    }
    let at_end = read_from(transport, &channel, Start::At(end)).await?;
    ensure!(at_end.is_empty(), "at the end there is {at_end:?}");
    Ok(())
}

/// The first position left, in an error about this one.
fn named_first<T>(result: &Result<T, TransportError>, place: Position) -> Option<Position> {
    match result.as_ref().err()?.kind() {
        Kind::PositionTrimmed { position, first } if *position == place && *first > place => {
            Some(*first)
        }
        _ => None,
    }
}

/// Checks that a reader that starts at a time before the first record left begins at that record.
pub async fn a_time_before_what_is_left_starts_there(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let written = write(transport, &channel, 0..20).await?;
    let end = transport.describe(&channel).await?.end;
    for (before, index) in [(written[12], 12), (end, 20)] {
        transport.trim(&channel, before).await?;
        let left = what_is_left(transport, &channel, &written, index).await?;
        let records = read_from(transport, &channel, Start::Time(Timestamp::MIN)).await?;
        ensure_eq!(numbers(&records), all(left as u64..20), "the records from the first time on");
    }
    Ok(())
}

/// Checks that an open reader returns the records that it has read ahead, without a gap, and then
/// fails with `PositionTrimmed`, which names the first position left, at each read until it seeks.
pub async fn one_that_is_passed_is_told(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    // More than readers have in advance.
    const RECORDS: u64 = 8_000;
    const LEFT: usize = 7_990;
    let channel = channel(transport, harness).await?;
    let mut writer = transport.writer(&channel).await?;
    let mut written = Vec::new();
    for batch in 0..RECORDS / 1_000 {
        let numbers = batch * 1_000..(batch + 1) * 1_000;
        writer.ready().await?;
        let batch = numbers.map(|number| large(number, 1_000)).collect();
        written.extend(stored(writer.submit(batch).await)?);
    }
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let mut records = read(&mut *reader, 10).await?;
    transport.trim(&channel, written[LEFT]).await?;

    let told = read_until_told(&mut *reader, &mut records).await?;
    ensure_eq!(numbers(&records), all(0..records.len() as u64), "what was read without an error");
    let Some((position, first)) = told else {
        ensure_eq!(records.len() as u64, RECORDS, "the records of a reader that wasn't told");
        return Ok(());
    };
    let next = written.get(records.len()).copied();
    let next = next.ok_or_else(|| Failure::new("a reader at the end was told of a trim"))?;
    ensure!(position <= next, "the reader was at {next}, and {position} is told");
    ensure!(
        next < first && first <= written[LEFT],
        "from {next} on records are gone, and the first left is said to be {first}"
    );
    let again = reader.read(Limit::default()).await;
    ensure_refused!(again, Kind::PositionTrimmed { .. }, "the next read");
    reader.seek(Start::Earliest).await?;
    let rest = drain(&mut *reader).await?;
    let from = RECORDS - rest.len() as u64;
    ensure_eq!(numbers(&rest), all(from..RECORDS), "the records after a seek");
    let place = positions(&rest).first().copied();
    ensure!(place >= Some(first), "the first left was {first}, and there is one at {place:?}");
    Ok(())
}

/// Reads to the end, or to the error that a trim passed the reader, and returns its positions.
async fn read_until_told(
    reader: &mut dyn ChannelReader,
    records: &mut Vec<Record>,
) -> Result<Option<(Position, Position)>, Failure> {
    loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => {
                records.extend(batch.records);
                if batch.caught_up {
                    return Ok(None);
                }
            }
            Err(error) => match *error.kind() {
                Kind::PositionTrimmed { position, first } => return Ok(Some((position, first))),
                _ => return Err(error.into()),
            },
        }
    }
}

/// Checks that a reader that waits at the end gets the next record after a trim, because nothing
/// before it is missing.
pub async fn one_that_waits_gets_what_comes_later(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..10).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    drain(&mut *reader).await?;
    let end = transport.describe(&channel).await?.end;
    let reading = async {
        let batch = reader.read(Limit::default().with_records(1).with_wait(FOR_EVER)).await?;
        Ok::<_, Failure>(batch.records)
    };
    let writing = async {
        transport.trim(&channel, end).await?;
        write(transport, &channel, [10]).await
    };
    let (records, _) = try_join(reading, writing).await?;
    ensure_eq!(numbers(&records), all([10]), "what the waiting reader got");
    Ok(())
}
