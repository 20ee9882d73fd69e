#![allow(clippy::unwrap_used, clippy::panic)]

mod ticks;

use futures::FutureExt;

use super::*;
use crate::record::Header;
use crate::record::{END_HEADER, Position, SENT_HEADER, Stamp};
use crate::transport::{TransportError, TransportErrorKind};

fn queue() -> UnackedQueue {
    let origin = Arc::new(Origin { producer: "p".into(), epoch: Position::new(9) });
    let (now, counts) = (Instant::now(), Counts::default());
    UnackedQueue::new("a".into(), Some(origin), 4, Timestamp(1), 10_000, now, counts)
}

fn batch(types: &str) -> Vec<Record> {
    let record = |c| match c {
        't' => Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), Vec::new()),
        // One that is late for it.
        'l' => Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), vec![1, 2]),
        _ => Record::new(Meta::new(MsgType::INSERT, Timestamp(8)), vec![1, 2]),
    };
    types.chars().map(record).collect()
}

fn take(queue: &mut UnackedQueue, types: &str) -> Receipt {
    take_at(queue, types, Instant::now())
}

/// Takes a pack, or a tick that messages may be sent ahead of.
fn take_at(queue: &mut UnackedQueue, types: &str, now: Instant) -> Receipt {
    let (reply, receipt) = Receipt::pending();
    match types {
        "t" => queue.take_tick(batch(types), reply, now),
        _ => queue.take(batch(types), Vec::new(), reply, now),
    }
    receipt
}

/// The numbers of the next piece.
fn piece(queue: &mut UnackedQueue) -> Option<Vec<u64>> {
    let piece = queue.piece()?;
    queue.sent(Receipt::pending().1);
    Some(piece.iter().map(|r| r.meta.stamp.as_ref().unwrap().seq).collect())
}

fn stored(positions: impl IntoIterator<Item = u64>) -> Outcome {
    Outcome::stored(positions.into_iter().map(Position::new).collect())
}

#[test]
fn pieces_end_before_ticks_that_wait_for_them() {
    let mut queue = queue();
    let (mut first, mut second) = (take(&mut queue, "mmtm"), take(&mut queue, "m"));
    assert_eq!(piece(&mut queue), Some(vec![5, 6]));
    assert_eq!(piece(&mut queue), None);
    queue.settle(stored([1, 2])).unwrap();
    assert_eq!(piece(&mut queue), Some(vec![6, 7]));
    assert_eq!(piece(&mut queue), Some(vec![8]));
    assert!(queue.is_sent() && !queue.is_empty());
    let bytes = queue.bytes();
    queue.settle(stored([3, 4])).unwrap();
    assert_eq!(queue.bytes(), batch("m")[0].footprint());
    assert!(bytes > 4 * queue.bytes());
    assert_eq!((&mut first).now_or_never().unwrap().stored.len(), 4);
    assert!((&mut second).now_or_never().is_none());
    queue.settle(stored([5])).unwrap();
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[test]
fn what_isnt_acknowledged_is_sent_again_with_the_same_numbers() {
    let mut queue = queue();
    let receipts = [take(&mut queue, "mmm"), take(&mut queue, "mm")];
    assert_eq!(piece(&mut queue), Some(vec![5, 6, 7]));
    assert_eq!(piece(&mut queue), Some(vec![8, 9]));
    let error = TransportError::new("submit", TransportErrorKind::Closed);
    let partial = Outcome::partial(vec![Position::new(1)], Fate::NotStored, error);
    let (fate, _) = queue.settle(partial).unwrap_err();
    queue.rewind(fate, Instant::now());
    assert_eq!(piece(&mut queue), Some(vec![6, 7]));
    queue.rewind(Fate::Unknown, Instant::now());
    assert_eq!(piece(&mut queue), Some(vec![6, 7]));
    assert_eq!(piece(&mut queue), Some(vec![8, 9]));
    queue.settle(stored([5, 6])).unwrap();
    queue.settle(stored([7, 8])).unwrap();
    let stored = receipts.map(|r| r.now_or_never().unwrap().stored);
    assert_eq!(stored[0], [1, 5, 6].map(Position::new));
    assert_eq!(stored[1], [7, 8].map(Position::new));
    assert_eq!(queue.counts.get().unknown_resolved, 2);
}

#[test]
fn what_is_sent_again_is_the_same_but_for_what_is_stored() {
    let mut queue = queue();
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
    queue.take(records.clone(), buffers, reply, Instant::now());
    let origin = queue.origin.clone().unwrap();
    for (record, seq) in records.iter_mut().zip(5..) {
        record.meta.stamp = Some(Stamp { origin: origin.clone(), seq });
    }
    assert_eq!(queue.piece().unwrap(), records);
    for stored in 1..6 {
        let error = TransportError::new("submit", TransportErrorKind::Closed);
        let one = vec![Position::new(stored)];
        let (fate, _) = queue.settle(Outcome::partial(one, Fate::NotStored, error)).unwrap_err();
        queue.rewind(fate, Instant::now());
        assert_eq!(queue.piece().unwrap(), records[stored as usize..]);
    }
}

#[test]
fn an_empty_batch_is_stored_at_once() {
    let mut queue = queue();
    let receipt = take(&mut queue, "");
    assert!(receipt.now_or_never().is_some_and(|outcome| outcome.rest.is_none()));
    assert!(queue.is_empty() && piece(&mut queue).is_none());
}

#[test]
fn the_end_tells_what_was_never_sent() {
    let mut queue = queue();
    let receipts = [take(&mut queue, "mm"), take(&mut queue, "m")];
    assert_eq!(piece(&mut queue), Some(vec![5, 6]));
    queue.end(TransportError::new("submit", TransportErrorKind::NotFound));
    let [first, second] = receipts.map(|r| r.now_or_never().unwrap().rest.unwrap());
    assert_eq!((first.fate, first.error.kind()), (Fate::Unknown, &TransportErrorKind::NotFound));
    assert_eq!(
        (second.fate, second.error.kind()),
        (Fate::NotStored, &TransportErrorKind::Poisoned)
    );
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn a_receipt_without_all_positions_is_a_failure() {
    let mut queue = queue();
    let _receipt = take(&mut queue, "mm");
    assert_eq!(piece(&mut queue), Some(vec![5, 6]));
    let (fate, error) = queue.settle(stored([1])).unwrap_err();
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), TransportErrorKind::Protocol { .. }));
}

/// Sends everything and acknowledges it, and returns how many control records there were.
fn flush(queue: &mut UnackedQueue) -> usize {
    let mut bases = 0;
    while let Some(piece) = queue.piece() {
        bases += piece.iter().filter(|record| record.header(Stamp::HEADER).is_some()).count();
        queue.sent(Receipt::pending().1);
        queue.settle(stored((1..).take(piece.len()))).unwrap();
    }
    bases
}

#[test]
fn a_base_is_written_when_no_tick_has_told_the_number_for_long() {
    let mut queue = queue();
    let start = Instant::now();
    let mut at = |types: &str, seconds| {
        let _receipt = take_at(&mut queue, types, start + Duration::from_secs(seconds));
        flush(&mut queue)
    };
    // Before the first message nothing is to be told, however long it was silent.
    assert_eq!([at("m", 100), at("m", 100), at("t", 130)], [0, 1, 0]);
    assert_eq!([at("t", 300), at("m", 600)], [0, 0]);
    assert_eq!([at("m", 601), at("m", 602), at("mt", 655)], [1, 0, 0]);
    assert_eq!([at("m", 700), at("m", 714), at("m", 715)], [0, 0, 1]);
    assert_eq!(queue.counts.get().bases_sent, 3);
}

#[test]
fn a_base_is_written_after_many_messages_without_a_tick() {
    let origin = Arc::new(Origin { producer: "p".into(), epoch: Position::new(9) });
    let (now, counts) = (Instant::now(), Counts::default());
    let mut queue =
        UnackedQueue::new("a".into(), Some(origin), 60_000, Timestamp(1), 10_000, now, counts);
    let mut take = |count| {
        queue.take(batch(&"m".repeat(count)), Vec::new(), Receipt::pending().0, now);
        flush(&mut queue)
    };
    assert_eq!([take(99_999), take(1), take(1), take(1)], [0, 0, 1, 0]);
}

#[test]
fn it_tells_what_is_unsent_and_since_when_it_fails() {
    let mut queue = queue();
    let now = Instant::now();
    let _receipts = [take(&mut queue, "mt"), take(&mut queue, "m")];
    assert!(!queue.is_sent());
    assert_eq!(piece(&mut queue), Some(vec![5]));
    assert!(!queue.is_sent() && queue.fails_since().is_none());
    queue.rewind(Fate::NotStored, now);
    queue.rewind(Fate::NotStored, now + Duration::from_secs(1));
    assert_eq!(queue.fails_since(), Some(now));
    assert_eq!(flush(&mut queue), 0);
    assert!(queue.is_sent() && queue.fails_since().is_none());
    assert_eq!(queue.counts.get().resent_batches, 3);
    assert_eq!(queue.counts.get().resent_records, 3);
}
