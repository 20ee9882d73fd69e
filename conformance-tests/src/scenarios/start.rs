//! Where readers start and go to, and positions as bytes.

use std::time::{Duration, SystemTime};

use msgstream_core::Timestamp;
use msgstream_core::record::Position;
use msgstream_core::transport::{Capability, Start, Transport, TransportErrorKind as Kind};

use crate::kit::{
    all, append, channel, drain, far_beyond, numbers, open_and_read, read, read_from, reader,
    seek_and_read, strictly_grow, write,
};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["start":
    latest_gives_only_what_comes_later,
    seek_to_earliest_and_latest,
    at_and_after_every_position [Can(Capability::SeekPosition)],
    at_the_end_waits_for_the_next [Can(Capability::SeekPosition)],
    seek_goes_anywhere [Can(Capability::SeekPosition)],
    seek_repeats_the_same_records [Can(Capability::SeekPosition)],
    an_unwritten_position_is_refused [Can(Capability::SeekPosition)],
    positions_outlive_the_handle [Can(Capability::SeekPosition)],
    a_time_gives_what_was_appended_since [Can(Capability::SeekTime)],
    the_extremes_of_time [Can(Capability::SeekTime)],
    positions_survive_as_bytes,
    bytes_that_are_no_position_are_refused,
];

/// Checks that a reader that starts at the latest gets what is appended after it was opened, and
/// nothing before.
pub async fn latest_gives_only_what_comes_later(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut readers = Vec::new();
    for round in 0..5 {
        readers.push(reader(transport, &channel, Start::Latest).await?);
        write(transport, &channel, round * 10..round * 10 + 10).await?;
    }
    for (round, reader) in (0..).zip(&mut readers) {
        let got = numbers(&drain(&mut **reader).await?);
        ensure_eq!(got, all(round * 10..50), "the records of reader {round}");
    }
    Ok(())
}

/// Checks that a reader in the middle can seek to the start, and to the end.
pub async fn seek_to_earliest_and_latest(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..10).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    read(&mut *reader, 5).await?;
    reader.seek(Start::Earliest).await?;
    ensure_eq!(numbers(&read(&mut *reader, 5).await?), all(0..5), "after a seek to the start");
    reader.seek(Start::Latest).await?;
    write(transport, &channel, 10..12).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(10..12), "after a seek to the end");
    Ok(())
}

/// Checks that `At` starts at the record of a position, and `After` at the next one, for every
/// record.
pub async fn at_and_after_every_position(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    // Some brokers store a batch as one entry: batches of several sizes.
    let mut writer = transport.writer(&channel).await?;
    let mut positions = append(&mut *writer, 0..1).await?;
    positions.extend(append(&mut *writer, 1..8).await?);
    positions.extend(append(&mut *writer, 8..10).await?);
    for (i, position) in (0..).zip(positions) {
        let at = read_from(transport, &channel, Start::At(position)).await?;
        ensure_eq!(numbers(&at), all(i..10), "the records at {position}");
        let after = read_from(transport, &channel, Start::After(position)).await?;
        ensure_eq!(numbers(&after), all(i + 1..10), "the records after {position}");
    }
    Ok(())
}

/// Checks that a reader that starts after the last record, or at the end that `describe` returns,
/// gets the next one.
pub async fn at_the_end_waits_for_the_next(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut readers = Vec::new();
    let empty = transport.describe(&channel).await?.end;
    readers.push((0, reader(transport, &channel, Start::At(empty)).await?));
    let positions = write(transport, &channel, 0..10).await?;
    let end = transport.describe(&channel).await?.end;
    for start in [Start::At(end), Start::After(positions[9])] {
        readers.push((10, reader(transport, &channel, start).await?));
    }
    write(transport, &channel, 10..12).await?;
    for (from, mut reader) in readers {
        let records = drain(&mut *reader).await?;
        ensure_eq!(numbers(&records), all(from..12), "what came after the end");
    }
    Ok(())
}

/// Checks that a reader can seek forwards and backwards to any position, from wherever it is.
pub async fn seek_goes_anywhere(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..20).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for i in [10, 3, 18, 0, 19, 7] {
        reader.seek(Start::At(positions[i])).await?;
        let one = numbers(&read(&mut *reader, 1).await?);
        ensure_eq!(one, all([i as u64]), "after a seek to {i}");
        reader.seek(Start::After(positions[i])).await?;
        let rest = numbers(&drain(&mut *reader).await?);
        ensure_eq!(rest, all(i as u64 + 1..20), "after a seek to behind {i}");
    }
    Ok(())
}

/// Checks that after a seek back the same records come again, equal in every part, each once.
pub async fn seek_repeats_the_same_records(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..100).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let records = drain(&mut *reader).await?;
    ensure_eq!(numbers(&records), all(0..100), "the records at first");
    for from in [0, 50, 99] {
        reader.seek(Start::At(records[from].position)).await?;
        let again = drain(&mut *reader).await?;
        ensure_eq!(again, records[from..], "the records from {from} on, once more");
    }
    Ok(())
}

/// Checks that a position past the end, which no record has, is refused, and that the reader can
/// seek elsewhere.
pub async fn an_unwritten_position_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..10).await?;
    let beyond = far_beyond(transport.describe(&channel).await?.end);
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    read(&mut *reader, 3).await?;
    for start in [Start::At(beyond), Start::After(beyond)] {
        let opened = open_and_read(transport, &channel, start, None).await;
        ensure_refused!(opened, Kind::PositionBeyondEnd { .. }, "a reader at {start:?}");
        let sought = seek_and_read(&mut *reader, start).await;
        ensure_refused!(sought, Kind::PositionBeyondEnd { .. }, "a seek to {start:?}");
    }
    reader.seek(Start::Earliest).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(0..10), "after the refused seeks");
    Ok(())
}

/// Checks that a stored position works in a later handle, as text and as the broker's bytes.
pub async fn positions_outlive_the_handle(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let first = harness.open().await?;
    let position = write(&*first, &channel, 0..10).await?[6];
    let stored = (position.words(), first.encode_position(position)?);
    first.close().await?;
    drop(first);
    let second = harness.open().await?;
    let restored = [Position::from_words(stored.0), second.decode_position(&stored.1)?];
    for position in restored {
        let records = read_from(&*second, &channel, Start::At(position)).await?;
        ensure_eq!(numbers(&records), all(6..10), "the records at a stored position");
    }
    Ok(second.close().await?)
}

fn now() -> Result<Timestamp, Failure> {
    Timestamp::from_system_time(SystemTime::now()).map_err(|e| Failure::new(e.to_string()))
}

// The clock has moved on by a few milliseconds on either side of the time that this gives.
async fn a_time_between() -> Result<Timestamp, Failure> {
    let pause = Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    let between = now()?;
    tokio::time::sleep(pause).await;
    Ok(between)
}

/// Checks that a time starts at the records that were appended then or later, whatever their own
/// timestamps are.
pub async fn a_time_gives_what_was_appended_since(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut times = vec![a_time_between().await?];
    for round in 0..3 {
        write(transport, &channel, round * 10..round * 10 + 10).await?;
        times.push(a_time_between().await?);
    }
    let mut sought = reader(transport, &channel, Start::Earliest).await?;
    for (round, time) in (0..).zip(times) {
        let opened = read_from(transport, &channel, Start::Time(time)).await?;
        ensure_eq!(numbers(&opened), all(round * 10..30), "opened at the time before {round}");
        sought.seek(Start::Time(time)).await?;
        let sought = drain(&mut *sought).await?;
        ensure_eq!(numbers(&sought), all(round * 10..30), "sought the time before {round}");
    }
    Ok(())
}

/// Checks that the least time is the start of the channel, and that a time after the last record is
/// its end, so that the next record is read.
pub async fn the_extremes_of_time(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..10).await?;
    let all_of_it = read_from(transport, &channel, Start::Time(Timestamp::MIN)).await?;
    ensure_eq!(numbers(&all_of_it), all(0..10), "the records since 1970");
    let in_an_hour = Timestamp(now()?.0 + (3_600_000 << Timestamp::LOGICAL_BITS));
    let mut readers = Vec::new();
    for time in [in_an_hour, Timestamp::MAX] {
        readers.push(reader(transport, &channel, Start::Time(time)).await?);
    }
    write(transport, &channel, 10..12).await?;
    for mut reader in readers {
        let records = drain(&mut *reader).await?;
        ensure_eq!(numbers(&records), all(10..12), "a reader at a time in the future");
    }
    Ok(())
}

/// Checks that positions can be converted to bytes and back, and keep their order.
pub async fn positions_survive_as_bytes(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut positions = write(transport, &channel, 0..300).await?;
    positions.push(transport.describe(&channel).await?.end);
    let mut restored = Vec::new();
    for position in &positions {
        let bytes = transport.encode_position(*position)?;
        restored.push(transport.decode_position(&bytes)?);
    }
    ensure_eq!(restored, positions, "the positions after the round trip");
    ensure!(strictly_grow(&restored), "their order is lost");
    Ok(())
}

/// Checks that bytes that are no position, and a position that isn't of this transport, are errors.
pub async fn bytes_that_are_no_position_are_refused(
    transport: &dyn Transport,
    _harness: &dyn Harness,
) -> Verdict {
    for bytes in [&b""[..], b"\xff", b"\xff\xff\xff", &[0xff; 40]] {
        let decoded = transport.decode_position(bytes);
        ensure_refused!(decoded, Kind::Config { .. }, "decoding the bytes {bytes:?}");
    }
    let encoded = transport.encode_position(Position::MAX);
    ensure_refused!(encoded, Kind::Config { .. }, "encoding the greatest position");
    Ok(())
}
