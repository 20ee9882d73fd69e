#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_core::Timestamp;
use msgstream_core::record::Meta;
use proptest::prelude::*;

use super::*;

const NO_LIMIT: fn() -> Limit = || Limit::default().with_records(usize::MAX).with_bytes(usize::MAX);

fn record(len: usize) -> Record {
    Record::new(Meta::default(), vec![0; len])
}

fn batch(lens: &[usize]) -> Vec<Record> {
    lens.iter().map(|len| record(*len)).collect()
}

fn offsets(batch: &ReadBatch) -> Vec<u64> {
    batch.records.iter().map(|r| r.position.offset()).collect()
}

fn at_ms(ms: u64) -> Start {
    Start::Time(Timestamp::from_unix_millis(ms as i64).unwrap())
}

#[test]
fn an_empty_log_has_one_place() {
    let log = Log::default();
    for start in [Start::Earliest, Start::Latest, Start::At(Position::default()), at_ms(5)] {
        assert_eq!(log.resolve(start), Ok(0), "{start:?}");
    }
    assert!(log.slice(0, NO_LIMIT()).unwrap().is_empty());
    assert_eq!(log.first(), None);
    let end = Position::default();
    assert_eq!(
        log.resolve(Start::After(end)),
        Err(TransportErrorKind::PositionBeyondEnd { position: end, end })
    );
}

#[test]
fn positions_of_elsewhere_are_refused() {
    let mut log = Log::default();
    log.append(batch(&[1, 1]), 0);
    let end = Position::new(2);
    for position in [Position::new(3), Position::from_words([2, 0, 1]), Position::MAX] {
        let beyond = Err(TransportErrorKind::PositionBeyondEnd { position, end });
        assert_eq!(log.resolve(Start::At(position)), beyond);
        assert_eq!(log.resolve(Start::After(position)), beyond);
    }
    assert_eq!(log.resolve(Start::At(end)), Ok(2));
    assert_eq!(log.resolve(Start::After(Position::new(1))), Ok(2));
    let foreign = log.resolve(Start::At(Position::from_words([1, 7, 0])));
    assert!(matches!(foreign, Err(TransportErrorKind::Config { .. })), "{foreign:?}");
}

#[test]
fn retention_keeps_the_newest_and_names_the_first_left() {
    let mut log = Log::default();
    log.append(batch(&[10, 20, 30]), 0);
    log.retain((record(20).footprint() + record(30).footprint()) as u64);
    assert_eq!(log.first(), Some(1));
    let trimmed =
        TransportErrorKind::PositionTrimmed { position: Position::new(0), first: Position::new(1) };
    assert_eq!(log.resolve(Start::At(Position::new(0))), Err(trimmed.clone()));
    assert_eq!(log.slice(0, NO_LIMIT()).err(), Some(trimmed));
    assert_eq!(log.resolve(Start::After(Position::new(0))), Ok(1));
    log.retain(0);
    assert_eq!(log.resolve(Start::Earliest), Ok(2));
    assert_eq!(offsets(&log.slice(2, NO_LIMIT()).unwrap().read(NO_LIMIT())), [2]);
}

#[test]
fn trimmed_to_its_end_a_log_is_empty_and_goes_on() {
    let mut log = Log::default();
    log.append(batch(&[1; 5]), 7);
    assert_eq!(log.trim(3).len(), 0);
    assert_eq!((log.first(), log.end()), (Some(3), 5));
    log.trim(2);
    assert_eq!(log.first(), Some(3));
    assert_eq!(log.trim(5).len(), 1);
    assert_eq!((log.first(), log.end(), log.bytes), (None, 5, 0));
    for start in [Start::Earliest, Start::Latest, Start::At(Position::new(5)), at_ms(0), at_ms(8)] {
        assert_eq!(log.resolve(start), Ok(5), "{start:?}");
    }
    assert!(log.slice(5, NO_LIMIT()).unwrap().is_empty());
    log.append(batch(&[1]), 9);
    assert_eq!(
        (log.first(), offsets(&log.slice(5, NO_LIMIT()).unwrap().read(NO_LIMIT()))),
        (Some(5), vec![5])
    );
}

#[test]
fn trimmed_records_let_go_of_their_payloads_before_their_chunk_goes() {
    let mut log = Log::default();
    let records = batch(&[100, 100, 100]);
    let payloads: Vec<_> = records.iter().map(|r| r.payload.clone()).collect();
    log.append(records, 0);
    // A reader that is at it keeps what it reads, and no longer.
    let slice = log.slice(0, NO_LIMIT()).unwrap();
    log.retain(2 * record(100).footprint() as u64);
    assert!(!payloads[0].is_unique());
    assert_eq!(offsets(&slice.read(NO_LIMIT())), [0, 1, 2]);
    drop(slice);
    log.retain(record(100).footprint() as u64);
    assert!(payloads[0].is_unique() && payloads[1].is_unique() && !payloads[2].is_unique());
}

#[test]
fn small_batches_share_chunks_also_after_a_reader_was_there() {
    let mut log = Log::default();
    for _ in 0..JOINED_CHUNK {
        log.append(batch(&[1]), 0);
        drop(log.slice(0, NO_LIMIT()).unwrap());
    }
    assert_eq!(log.chunks.len(), 1);
    let reading = log.slice(0, NO_LIMIT()).unwrap();
    log.append(batch(&[1]), 0);
    assert_eq!(log.chunks.len(), 2);
    assert_eq!(reading.read(NO_LIMIT()).records.len(), JOINED_CHUNK);
}

#[test]
fn times_never_go_back() {
    let mut log = Log::default();
    for ms in [5, 9, 7, 9, 12] {
        log.append(batch(&[1]), ms);
    }
    let starts = [0, 5, 6, 9, 10, 12, 13].map(|ms| log.resolve(at_ms(ms)).unwrap());
    assert_eq!(starts, [0, 0, 1, 1, 4, 4, 5]);
    log.retain(0);
    assert_eq!(log.resolve(at_ms(9)), Ok(4));
    assert_eq!(log.times.len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        lens: Vec<usize>,
        ms: u64,
    },
    Retain {
        keep: u64,
    },
    /// Up to this part of the log, in percent.
    Trim {
        percent: u64,
    },
    Hold,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let lens = prop_oneof![
        4 => prop::collection::vec(0..200usize, 0..5),
        1 => prop::collection::vec(0..200usize, 30..300),
    ];
    prop_oneof![
        6 => (lens, 0..50u64).prop_map(|(lens, ms)| Step::Append { lens, ms }),
        1 => (0..100_000u64).prop_map(|keep| Step::Retain { keep }),
        1 => (0..=100u64).prop_map(|percent| Step::Trim { percent }),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
    ]
}

/// The log as one list: each record's footprint and append time.
#[derive(Default)]
struct Model {
    records: Vec<(usize, u64)>,
    first: usize,
}

impl Model {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { lens, ms } => {
                let ms = self.records.last().map_or(*ms, |(_, last)| *ms.max(last));
                self.records.extend(lens.iter().map(|len| (record(*len).footprint(), ms)));
            }
            Step::Trim { percent } => {
                self.first = self.first.max(self.part(*percent));
            }
            Step::Retain { keep } => {
                let left = |first: usize| -> usize {
                    self.records[first..].iter().map(|(footprint, _)| footprint).sum()
                };
                while left(self.first) as u64 > *keep && self.first + 1 < self.records.len() {
                    self.first += 1;
                }
            }
            Step::Hold | Step::Release => {}
        }
    }

    fn part(&self, percent: u64) -> usize {
        self.records.len() * percent as usize / 100
    }

    /// The end of a read from an offset.
    fn read(&self, from: usize, limit: Limit) -> usize {
        let (mut to, mut bytes) = (from, 0);
        while to < self.records.len() && to - from < limit.records.max(1) {
            bytes += self.records[to].0;
            if bytes > limit.bytes && to > from {
                break;
            }
            to += 1;
        }
        to
    }
}

proptest! {
    #[test]
    fn a_log_is_a_list(
        steps in prop::collection::vec(step(), 0..30),
        (records, bytes) in (0..400usize, 0..100_000usize),
        ms in 0..60u64,
    ) {
        let (mut log, mut model, mut held) = (Log::default(), Model::default(), Vec::new());
        for step in &steps {
            model.step(step);
            match step {
                Step::Append { lens, ms } => {
                    log.append(batch(lens), *ms);
                }
                Step::Retain { keep } => log.retain(*keep),
                Step::Trim { percent } => drop(log.trim(model.part(*percent) as u64)),
                Step::Hold => held.push((log.first, log.slice(log.first, NO_LIMIT()).unwrap())),
                Step::Release => held.clear(),
            }
        }
        let (first, end) = (model.first as u64, model.records.len() as u64);
        prop_assert_eq!(log.first(), (first < end).then_some(first));
        prop_assert_eq!(log.end(), end);
        let left = model.records[model.first..].iter().map(|(footprint, _)| *footprint as u64);
        prop_assert_eq!(log.bytes, left.sum::<u64>());

        // A slice shows what was there when it was taken, whatever came after.
        for (from, slice) in &held {
            let read = slice.read(NO_LIMIT());
            prop_assert_eq!(offsets(&read), (*from..slice.end).collect::<Vec<_>>());
        }

        // Reading on and on gives every record once, in batches as large as the limit lets them be.
        let limit = Limit::default().with_records(records).with_bytes(bytes);
        let mut from = model.first;
        while from < model.records.len() {
            let read = log.slice(from as u64, limit).unwrap().read(limit);
            let to = model.read(from, limit);
            prop_assert_eq!(offsets(&read), (from as u64..to as u64).collect::<Vec<_>>());
            prop_assert_eq!(read.next, Position::new(to as u64));
            prop_assert_eq!(read.caught_up, to == model.records.len());
            let footprints: Vec<_> = read.records.iter().map(Record::footprint).collect();
            let wanted: Vec<_> = model.records[from..to].iter().map(|(bytes, _)| *bytes).collect();
            prop_assert_eq!(footprints, wanted);
            from = to;
        }

        let by_time = model.records.iter().position(|(_, at)| *at >= ms).unwrap_or(model.records.len());
        prop_assert_eq!(log.resolve(at_ms(ms)), Ok(by_time.max(model.first) as u64));
    }
}
