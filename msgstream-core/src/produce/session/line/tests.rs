#![allow(clippy::unwrap_used, clippy::panic)]

use futures::FutureExt;

use super::*;
use crate::record::Header;

fn line() -> Line {
    let origin = Arc::new(Origin { producer: "p".into(), epoch: Position::new(9) });
    Line::new("a".into(), origin, 4, Timestamp(1), Instant::now(), Counts::default())
}

fn batch(types: &str) -> Vec<Record> {
    let record = |c| match c {
        't' => Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), Vec::new()),
        _ => Record::new(Meta::new(MsgType::INSERT, Timestamp(8)), vec![1, 2]),
    };
    types.chars().map(record).collect()
}

fn take(line: &mut Line, types: &str) -> Receipt {
    let (reply, receipt) = Receipt::pending();
    line.take(batch(types), Vec::new(), reply, Instant::now());
    receipt
}

/// The numbers of the next piece.
fn piece(line: &mut Line) -> Option<Vec<u64>> {
    let piece = line.piece()?;
    line.sent(Receipt::pending().1);
    Some(piece.iter().map(|r| r.meta.stamp.as_ref().unwrap().seq).collect())
}

fn stored(positions: impl IntoIterator<Item = u64>) -> Outcome {
    Outcome::stored(positions.into_iter().map(Position::new).collect())
}

#[test]
fn pieces_end_before_ticks_that_wait_for_them() {
    let mut line = line();
    let (mut first, mut second) = (take(&mut line, "mmtm"), take(&mut line, "m"));
    assert_eq!(piece(&mut line), Some(vec![5, 6]));
    assert_eq!(piece(&mut line), None);
    line.settle(stored([1, 2])).unwrap();
    assert_eq!(piece(&mut line), Some(vec![6, 7]));
    assert_eq!(piece(&mut line), Some(vec![8]));
    assert!(line.is_sent() && !line.is_empty());
    let bytes = line.bytes();
    line.settle(stored([3, 4])).unwrap();
    assert_eq!(line.bytes(), batch("m")[0].footprint());
    assert!(bytes > 4 * line.bytes());
    assert_eq!((&mut first).now_or_never().unwrap().stored.len(), 4);
    assert!((&mut second).now_or_never().is_none());
    line.settle(stored([5])).unwrap();
    assert!(line.is_empty() && line.bytes() == 0);
}

#[test]
fn what_isnt_acknowledged_is_sent_again_with_the_same_numbers() {
    let mut line = line();
    let receipts = [take(&mut line, "mmm"), take(&mut line, "mm")];
    assert_eq!(piece(&mut line), Some(vec![5, 6, 7]));
    assert_eq!(piece(&mut line), Some(vec![8, 9]));
    let error = TransportError::new("submit", TransportErrorKind::Closed);
    let partial = Outcome::partial(vec![Position::new(1)], Fate::NotStored, error);
    let (fate, _) = line.settle(partial).unwrap_err();
    line.rewind(fate, Instant::now());
    assert_eq!(piece(&mut line), Some(vec![6, 7]));
    line.rewind(Fate::Unknown, Instant::now());
    assert_eq!(piece(&mut line), Some(vec![6, 7]));
    assert_eq!(piece(&mut line), Some(vec![8, 9]));
    line.settle(stored([5, 6])).unwrap();
    line.settle(stored([7, 8])).unwrap();
    let stored = receipts.map(|r| r.now_or_never().unwrap().stored);
    assert_eq!(stored[0], [1, 5, 6].map(Position::new));
    assert_eq!(stored[1], [7, 8].map(Position::new));
    assert_eq!(line.counts.get().unknown_resolved, 2);
}

#[test]
fn what_is_sent_again_is_the_same_but_for_what_is_stored() {
    let mut line = line();
    let names: [Arc<str>; 2] = ["v".into(), "w".into()];
    let mut records = batch("mmmmmm");
    for (record, name) in records.iter_mut().zip([None, Some(0), Some(0), None, Some(0), Some(1)]) {
        record.meta.vchannel = name.map(|name: usize| names[name].clone());
    }
    for (at, value) in [(1, "one"), (4, "four")] {
        records[at].extra.push(Header::new("h", value));
    }
    // The third payload is in none of the buffers.
    let buffers = ["abcd", "efg"].map(Bytes::from).to_vec();
    let slices = [(0, 0..2), (0, 2..4), (1, 0..1), (1, 1..1), (1, 1..3)];
    for (record, (buffer, range)) in records.iter_mut().zip(slices) {
        record.payload = buffers[buffer].slice(range);
    }
    records[2].payload = Bytes::from("own");
    let (reply, _receipt) = Receipt::pending();
    line.take(records.clone(), buffers, reply, Instant::now());
    let origin = line.origin.clone();
    for (record, seq) in records.iter_mut().zip(5..) {
        record.meta.stamp = Some(Stamp { origin: origin.clone(), seq });
    }
    assert_eq!(line.piece().unwrap(), records);
    for stored in 1..6 {
        let error = TransportError::new("submit", TransportErrorKind::Closed);
        let one = vec![Position::new(stored)];
        let (fate, _) = line.settle(Outcome::partial(one, Fate::NotStored, error)).unwrap_err();
        line.rewind(fate, Instant::now());
        assert_eq!(line.piece().unwrap(), records[stored as usize..]);
    }
}

#[test]
fn an_empty_batch_is_stored_at_once() {
    let mut line = line();
    let receipt = take(&mut line, "");
    assert!(receipt.now_or_never().is_some_and(|outcome| outcome.rest.is_none()));
    assert!(line.is_empty() && piece(&mut line).is_none());
}

#[test]
fn the_end_tells_what_was_never_sent() {
    let mut line = line();
    let receipts = [take(&mut line, "mm"), take(&mut line, "m")];
    assert_eq!(piece(&mut line), Some(vec![5, 6]));
    line.end(TransportError::new("submit", TransportErrorKind::NotFound));
    let [first, second] = receipts.map(|r| r.now_or_never().unwrap().rest.unwrap());
    assert_eq!((first.fate, first.error.kind()), (Fate::Unknown, &TransportErrorKind::NotFound));
    assert_eq!(
        (second.fate, second.error.kind()),
        (Fate::NotStored, &TransportErrorKind::Poisoned)
    );
    assert_eq!(line.bytes(), 0);
}

#[test]
fn a_receipt_without_all_positions_is_a_failure() {
    let mut line = line();
    let _receipt = take(&mut line, "mm");
    assert_eq!(piece(&mut line), Some(vec![5, 6]));
    let (fate, error) = line.settle(stored([1])).unwrap_err();
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), TransportErrorKind::Protocol { .. }));
}

/// Sends everything and acknowledges it; gives how many control records there were.
fn flush(line: &mut Line) -> usize {
    let mut bases = 0;
    while let Some(piece) = line.piece() {
        bases += piece.iter().filter(|record| record.header(Stamp::HEADER).is_some()).count();
        line.sent(Receipt::pending().1);
        line.settle(stored((1..).take(piece.len()))).unwrap();
    }
    bases
}

#[test]
fn a_base_is_written_when_no_tick_has_told_the_number_for_long() {
    let mut line = line();
    let start = Instant::now();
    let mut at = |types: &str, seconds| {
        line.take(
            batch(types),
            Vec::new(),
            Receipt::pending().0,
            start + Duration::from_secs(seconds),
        );
        flush(&mut line)
    };
    // Before the first message nothing is to be told, however long it was silent.
    assert_eq!([at("m", 100), at("m", 100), at("t", 130)], [0, 1, 0]);
    assert_eq!([at("t", 300), at("m", 600)], [0, 0]);
    assert_eq!([at("m", 601), at("m", 602), at("mt", 655)], [1, 0, 0]);
    assert_eq!([at("m", 700), at("m", 714), at("m", 715)], [0, 0, 1]);
    assert_eq!(line.counts.get().bases_sent, 3);
}

#[test]
fn a_base_is_written_after_many_messages_without_a_tick() {
    let origin = Arc::new(Origin { producer: "p".into(), epoch: Position::new(9) });
    let now = Instant::now();
    let mut line = Line::new("a".into(), origin, 60_000, Timestamp(1), now, Counts::default());
    let mut take = |count| {
        line.take(batch(&"m".repeat(count)), Vec::new(), Receipt::pending().0, now);
        flush(&mut line)
    };
    assert_eq!([take(99_999), take(1), take(1), take(1)], [0, 0, 1, 0]);
}

#[test]
fn it_tells_what_is_unsent_and_since_when_it_fails() {
    let mut line = line();
    let now = Instant::now();
    let _receipts = [take(&mut line, "mt"), take(&mut line, "m")];
    assert!(!line.is_sent());
    assert_eq!(piece(&mut line), Some(vec![5]));
    assert!(!line.is_sent() && line.fails_since().is_none());
    line.rewind(Fate::NotStored, now);
    line.rewind(Fate::NotStored, now + Duration::from_secs(1));
    assert_eq!(line.fails_since(), Some(now));
    assert_eq!(flush(&mut line), 0);
    assert!(line.is_sent() && line.fails_since().is_none());
    assert_eq!(line.counts.get().resent_batches, 3);
    assert_eq!(line.counts.get().resent_records, 3);
}
