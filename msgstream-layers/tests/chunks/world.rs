//! Random writers, failures, trims and readers, decided by a seed, and what must hold of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::Timestamp;
use msgstream_core::record::{Header, Meta, MsgType, Position, Record};
use msgstream_core::transport::{
    Fate, Limit, Outcome, Receipt, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_layers::Chunks;
use tokio::task::yield_now;

use super::loom::{CHANNEL, Loom};

/// What went wrong.
pub(crate) type Violation = String;

/// A message that was submitted. Its number is its id.
fn message(number: i64, len: usize) -> Record {
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(number.cast_unsigned()));
    meta.msg_id = number;
    let bytes = number.to_le_bytes();
    let mut record = Record::new(meta, Vec::from_iter(bytes.into_iter().cycle().take(len)));
    record.extra.push(Header::new("length", len.to_string()));
    record
}

/// Whether a record that was read is as one that was submitted.
fn is_as_written(read: &Record) -> bool {
    let len = read.header("length").and_then(|len| str::from_utf8(len).ok()?.parse().ok());
    let mut written = message(read.meta.msg_id, len.unwrap_or_default());
    written.position = read.position;
    *read == written
}

/// What a batch may have become.
struct Fates {
    acked: BTreeMap<i64, Position>,
    unknown: Vec<i64>,
}

impl Fates {
    fn add(&mut self, numbers: Vec<i64>, Outcome { stored, rest, .. }: Outcome) {
        let unstored = numbers[stored.len()..].to_vec();
        self.acked.extend(numbers.into_iter().zip(stored));
        if rest.is_some_and(|rest| rest.fate == Fate::Unknown) {
            self.unknown.extend(unstored);
        }
    }
}

/// Reads what there is from a start on, in pieces of random sizes. Now and then the reader goes back to
/// where it goes on.
async fn read(chunks: &Chunks, rng: &mut fastrand::Rng, start: Start) -> Result<Vec<Record>, Kind> {
    let failed = |error: msgstream_core::transport::TransportError| error.kind().clone();
    let mut reader = chunks.reader(CHANNEL, start).await.map_err(failed)?;
    let mut records = Vec::new();
    loop {
        let limit = Limit::default()
            .with_records(rng.usize(1..5))
            .with_bytes(rng.usize(100..2_000))
            .with_wait(Duration::ZERO);
        let batch = reader.read(limit).await.map_err(failed)?;
        records.extend(batch.records);
        if batch.caught_up {
            return Ok(records);
        }
        if rng.u8(..) < 40 {
            reader.seek(Start::At(batch.next)).await.map_err(failed)?;
        }
    }
}

fn differ(what: &str, read: &Result<Vec<Record>, Kind>, expected: &[Record]) -> Option<Violation> {
    if read.as_deref() == Ok(expected) {
        return None;
    }
    let ids = |records: &[Record]| {
        let id = |record: &Record| (record.position.offset(), record.meta.msg_id);
        records.iter().map(id).collect::<Vec<_>>()
    };
    let read = read.as_deref().map(ids);
    Some(format!("{what}: {read:?} instead of {:?}", ids(expected)))
}

/// Runs a world. Returns what went wrong in it.
pub(crate) async fn run(seed: u64) -> Option<Violation> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let loom = Loom::new().await;
    let chunks = Chunks::over(loom.clone()).with_part_bytes(4);
    // With few bytes little is held, and most is read again.
    let chunks = chunks.with_message_bytes([60, 4_000][rng.usize(0..2)]);
    let mut writers = Vec::new();
    for _ in 0..rng.usize(1..4) {
        writers.push(chunks.writer(CHANNEL).await.unwrap());
    }
    // A repeated last part whose first copy is removed is gone, too.
    let removes = rng.u8(..) < 120;
    let twice = !removes && rng.bool();
    let cursor = chunks.subscription(CHANNEL, "cursor").await.unwrap();
    let mut fates = Fates { acked: BTreeMap::new(), unknown: Vec::new() };
    let mut waiting: Vec<(Vec<i64>, Receipt)> = Vec::new();
    let (mut next, mut kept) = (0, Position::default());
    for _ in 0..rng.usize(5..150) {
        let writer = rng.usize(0..writers.len());
        match rng.u8(0..100) {
            0..30 => {
                let lens = Vec::from_iter((0..rng.usize(0..4)).map(|_| rng.usize(0..40)));
                let records = (next..).zip(lens).map(|(number, len)| message(number, len));
                let records: Vec<_> = records.collect();
                let numbers = Vec::from_iter(next..next + records.len() as i64);
                next += records.len() as i64;
                waiting.push((numbers, writers[writer].submit(records)));
            }
            30..94 => {
                loom.step(writer, twice && rng.u8(..) < 30);
            }
            94..96 => loom.kill(writer, || rng.bool()),
            _ if removes => {
                let end = chunks.describe(CHANNEL).await.unwrap().end.offset();
                let place = Position::new(rng.u64(kept.offset()..=end));
                kept = kept.max(place);
                let removed = match rng.bool() {
                    true => chunks.trim(CHANNEL, place).await,
                    false => cursor.ack(place).await,
                };
                if let Err(error) = removed {
                    return Some(format!("removing failed: {error}"));
                }
            }
            _ => {}
        }
        // What is written by tasks is written now.
        for _ in 0..4 {
            yield_now().await;
        }
    }
    // In half of the worlds everything is stored in the end, in the others some writers die.
    for writer in 0..writers.len() {
        if rng.bool() {
            loom.kill(writer, || rng.bool());
        }
    }
    loop {
        let stepped = (0..writers.len()).filter(|writer| loom.step(*writer, false)).count();
        for _ in 0..4 {
            yield_now().await;
        }
        if stepped == 0 {
            break;
        }
    }
    for (numbers, receipt) in waiting {
        fates.add(numbers, receipt.await);
    }
    check(&chunks, &loom, &mut rng, &fates, kept, twice).await
}

async fn check(
    chunks: &Chunks,
    loom: &Arc<Loom>,
    rng: &mut fastrand::Rng,
    fates: &Fates,
    kept: Position,
    twice: bool,
) -> Option<Violation> {
    let all = match read(chunks, rng, Start::Earliest).await {
        Ok(all) => all,
        Err(kind) => return Some(format!("reading from the start failed: {kind}")),
    };
    for record in &all {
        let id = record.meta.msg_id;
        if !is_as_written(record) {
            return Some(format!("{record:?} was never written"));
        }
        if !fates.acked.contains_key(&id) && !fates.unknown.contains(&id) {
            return Some(format!("{id} was read, and isn't stored"));
        }
        let copies = all.iter().filter(|other| other.meta.msg_id == id).count();
        if copies > 1 && !twice {
            return Some(format!("{id} was read {copies} times"));
        }
    }
    for (id, position) in fates.acked.iter().filter(|(_, position)| **position >= kept) {
        let found = |record: &&Record| record.position == *position && record.meta.msg_id == *id;
        if all.iter().find(found).is_none() {
            return Some(format!("{id} is acknowledged at {position}, and isn't there"));
        }
    }
    // Wherever a reader starts that may, it reads the same.
    let raw = loom.raw().await;
    let from = |place: Position| {
        let later = all.iter().filter(move |record| record.position >= place);
        later.cloned().collect::<Vec<_>>()
    };
    let mut places = Vec::from_iter(raw.iter().map(|record| record.position));
    places.retain(|place| *place >= kept);
    rng.shuffle(&mut places);
    for place in places.into_iter().take(10) {
        let at = read(chunks, rng, Start::At(place)).await;
        if let Some(violation) = differ(&format!("from {place} on"), &at, &from(place)) {
            return Some(violation);
        }
    }
    // The broker removes records by itself: who goes on misses none of what follows, or is told.
    let edge = raw.get(rng.usize(0..raw.len().max(1)))?;
    loom.mem.trim(CHANNEL, edge.position).await.unwrap();
    let later = raw.iter().filter(|record| record.position > edge.position);
    for record in later.step_by(raw.len() / 10 + 1) {
        let after = read(chunks, rng, Start::At(record.position)).await;
        if !matches!(after, Err(Kind::PositionTrimmed { .. })) {
            let what = format!("from {} on after retention to {}", record.position, edge.position);
            if let Some(violation) = differ(&what, &after, &from(record.position)) {
                return Some(violation);
            }
        }
    }
    match read(chunks, rng, Start::Earliest).await {
        Ok(left) if left.iter().all(|record| all.contains(record)) => None,
        left => Some(format!("after retention to {} there is {left:?}", edge.position)),
    }
}
