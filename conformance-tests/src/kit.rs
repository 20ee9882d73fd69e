//! What the scenarios share: channels, numbered records, reading to the end, cancelling.

use msgstream_core::transport::ReaderOptions;
use msgstream_core::transport::TransportExt as _;
use std::fmt;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use msgstream_core::record::{Incarnation, Meta, Position, Record};
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Limit, Outcome, ReadBatch, Start, Transport, TransportError,
    TransportErrorKind as Kind, Unstored,
};
use msgstream_core::{MsgType, Timestamp};

use crate::{Failure, Harness};

/// Longer than any scenario's deadline: a wait that must be ended by an event.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(3600);

/// A new channel's name.
pub(crate) async fn channel(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Result<String, Failure> {
    let name = harness.channel_name();
    harness.make_channel(transport, &name).await?;
    Ok(name)
}

/// Returns a record whose number identifies it.
pub(crate) fn record(number: u64) -> Record {
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(number));
    meta.msg_id = number.cast_signed();
    Record::new(meta, number.to_string())
}

/// The numbers of records, in their order; `None` for a payload that isn't a number.
#[derive(PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) Vec<Option<u64>>);

/// Shows runs as ranges, because nobody sees what is missing in a list of thousands.
impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let follows = |a: &Option<u64>, b: &Option<u64>| a.is_some() && a.map(|a| a + 1) == *b;
        let mut list = f.debug_list();
        for run in self.0.chunk_by(follows) {
            match run {
                [Some(first), .., Some(last)] => list.entry(&format_args!("{first}..={last}")),
                [Some(one)] => list.entry(one),
                _ => list.entry(&format_args!("not a number")),
            };
        }
        list.finish()
    }
}

/// Returns the numbers of records, in their order.
pub(crate) fn numbers(records: &[Record]) -> Numbers {
    let number = |r: &Record| std::str::from_utf8(&r.payload).ok()?.parse().ok();
    Numbers(records.iter().map(number).collect())
}

/// Returns what [`numbers`] returns of the records that [`record`] makes.
pub(crate) fn all(numbers: impl IntoIterator<Item = u64>) -> Numbers {
    Numbers(numbers.into_iter().map(Some).collect())
}

pub(crate) fn positions(records: &[Record]) -> Vec<Position> {
    records.iter().map(|r| r.position).collect()
}

pub(crate) fn strictly_grow(positions: &[Position]) -> bool {
    positions.is_sorted_by(|a, b| a < b)
}

/// The positions of a batch that must be stored whole.
#[track_caller]
pub(crate) fn stored(outcome: Outcome) -> Result<Vec<Position>, Failure> {
    match outcome.rest {
        None => Ok(outcome.stored),
        Some(Unstored { fate, error, .. }) => Err(Failure::new(format!(
            "only {} records were stored, the rest is {fate:?}: {error}",
            outcome.stored.len()
        ))),
    }
}

/// Appends records as one batch, and returns their positions.
pub(crate) async fn append(
    writer: &mut dyn ChannelWriter,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<Vec<Position>, Failure> {
    let records: Vec<_> = numbers.into_iter().map(record).collect();
    let count = records.len();
    writer.ready().await?;
    let positions = stored(writer.submit(records).await)?;
    ensure_eq!(positions.len(), count, "the number of positions in the receipt");
    Ok(positions)
}

/// Appends records with a writer of their own, and returns their positions.
pub(crate) async fn write(
    transport: &dyn Transport,
    channel: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<Vec<Position>, Failure> {
    let mut writer = transport.writer(channel).await?;
    let positions = append(&mut *writer, numbers).await?;
    writer.close().await?;
    Ok(positions)
}

/// A reader of the channel's present life.
pub(crate) async fn reader(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
) -> Result<Box<dyn ChannelReader>, TransportError> {
    transport.reader(channel, start).await
}

/// Reads exactly so many records, however they are cut into batches.
pub(crate) async fn read(
    reader: &mut dyn ChannelReader,
    count: usize,
) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    while records.len() < count {
        let limit = Limit::default().with_records(count - records.len());
        records.extend(reader.read(limit).await?.records);
    }
    ensure_eq!(records.len(), count, "records in batches that were limited to so many");
    Ok(records)
}

/// Reads to the end of a channel that nobody writes to.
pub(crate) async fn drain(reader: &mut dyn ChannelReader) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    loop {
        let batch = reader.read(Limit::default()).await?;
        records.extend(batch.records);
        if batch.caught_up {
            return Ok(records);
        }
    }
}

/// Reads a channel that nobody writes to, from a start to the end.
pub(crate) async fn read_from(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
) -> Result<Vec<Record>, Failure> {
    drain(&mut *reader(transport, channel, start).await?).await
}

/// Reads what is left of records that have the numbers from 0 on and were stored at these positions.
/// It is the end of them, with all from an index on. Returns the first number that is left.
pub(crate) async fn what_is_left(
    transport: &dyn Transport,
    channel: &str,
    written: &[Position],
    from: usize,
) -> Result<usize, Failure> {
    let records = read_from(transport, channel, Start::Earliest).await?;
    let first = written.len().saturating_sub(records.len());
    let all_that_is_left = all(first as u64..written.len() as u64);
    ensure_eq!(numbers(&records), all_that_is_left, "what is left after a trim before {from}");
    ensure_eq!(positions(&records), written[first..], "the positions of what is left");
    ensure!(first <= from, "record {from} went with a trim before it; {first} is the first left");
    Ok(first)
}

/// Opens a reader and reads once: what is wrong with a start may show at either.
pub(crate) async fn open_and_read(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
    incarnation: Option<Incarnation>,
) -> Result<ReadBatch, TransportError> {
    let mut reader = transport
        .reader_with(channel, ReaderOptions::new(start).with_incarnation(incarnation))
        .await?;
    reader.read(Limit::default()).await
}

/// Seeks and reads once: what is wrong with a start may show at either.
pub(crate) async fn seek_and_read(
    reader: &mut dyn ChannelReader,
    start: Start,
) -> Result<ReadBatch, TransportError> {
    reader.seek(start).await?;
    reader.read(Limit::default()).await
}

/// A position that is surely past a channel's end, made from one at its end.
pub(crate) fn far_beyond(end: Position) -> Position {
    let [first, second, third] = end.words();
    Position::from_words([first.saturating_add(1_000_000), second, third])
}

/// A record whose payload no channel takes: one byte more than the bound that all have.
pub(crate) fn oversized(transport: &dyn Transport) -> Result<Record, Failure> {
    let bound = transport.capabilities().max_payload;
    let bound = bound.ok_or_else(|| Failure::new("the scenario needs a limit to the payload"))?;
    let meta = Meta::new(MsgType::INSERT, Timestamp(1));
    Ok(Record::new(meta, vec![b'x'; bound + 1]))
}

/// Checks that an error names the size, with the headers if they count, and the limit of the channel.
#[track_caller]
pub(crate) fn is_too_large(kind: &Kind, oversized: &Record) -> Result<(), Failure> {
    let payload = oversized.payload.len();
    match *kind {
        Kind::TooLarge { bytes, limit } if bytes >= payload && limit < payload => Ok(()),
        ref other => {
            Err(Failure::new(format!("a payload of {payload} bytes was refused with {other:?}")))
        }
    }
}

/// Drives a future until it is done or was polled so many times, then drops it.
pub(crate) async fn cancelled_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_are_shown_as_runs() {
        let mut records: Vec<_> = [0, 1, 2, 4, 3, 4].map(record).into();
        records.push(Record::new(Meta::default(), "x"));
        assert_eq!(format!("{:?}", numbers(&records)), "[0..=2, 4, 3..=4, not a number]");
        assert_eq!(format!("{:?}", numbers(&[])), "[]");
    }

    #[tokio::test]
    async fn a_future_is_polled_so_often_and_no_more() {
        for polls in 0..5 {
            let mut polled = 0;
            let done = cancelled_after(polls, async {
                for _ in 0..3 {
                    polled += 1;
                    tokio::task::yield_now().await;
                }
            });
            let done = done.await.is_some();
            assert_eq!((polled, done), (polls.min(3), polls > 3), "{polls} polls");
        }
    }
}
