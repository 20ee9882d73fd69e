#![allow(clippy::unwrap_used)]
use super::*;

fn batch(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(|n| Record { position: Position::new(n), ..Record::default() }).collect()
}

#[test]
fn the_first_live_record_is_found_over_taken_ones() {
    let mut chunks = Chunks::default();
    let a = chunks.next_seq();
    chunks.push(batch(0..2), 2, 0);
    let b = chunks.next_seq();
    chunks.push(batch(2..4), 2, 2);
    assert_eq!(chunks.first_live(), Some((a, Position::new(0))));
    assert_eq!(chunks.take(b).unwrap().position, Position::new(2));
    chunks.take(a).unwrap();
    assert_eq!(chunks.first_live().unwrap().1, Position::new(1));
    chunks.take(a.next()).unwrap();
    assert_eq!(chunks.first_live(), Some((b.next(), Position::new(3))));
    chunks.take(b.next()).unwrap();
    assert_eq!((chunks.first_live(), chunks.live(), chunks.slot_bytes()), (None, 0, 0));
}

#[test]
fn what_is_live_after_a_place_is_counted_without_it() {
    let mut chunks = Chunks::default();
    let before = Seq::new(0, 0);
    let a = chunks.next_seq();
    chunks.push(batch(0..3), 3, 0);
    let b = chunks.next_seq();
    chunks.push(batch(3..5), 2, 3);
    let after = |chunks: &Chunks, seq| chunks.bytes_after(seq) / Record::OVERHEAD;
    assert_eq!([before, a, a.next(), b, b.next()].map(|seq| after(&chunks, seq)), [5, 4, 3, 1, 0]);
    chunks.take(a.next()).unwrap();
    assert_eq!([before, a, a.next()].map(|seq| after(&chunks, seq)), [4, 3, 3]);
    assert_eq!(chunks.bytes_after(b), Record::OVERHEAD);
}

#[test]
fn truncating_forgets_what_follows() {
    let mut chunks = Chunks::default();
    let a = chunks.next_seq();
    chunks.push(batch(0..3), 3, 0);
    chunks.push(batch(3..5), 2, 3);
    let mut gone = Vec::new();
    chunks.truncate(a, |r| gone.push(r.position.offset()));
    gone.sort();
    assert_eq!(gone, [1, 2, 3, 4]);
    assert_eq!((chunks.live(), chunks.slot_bytes()), (1, size_of::<Record>()));
    let b = chunks.next_seq();
    assert!(b > a);
    chunks.push(batch(1..2), 1, 1);
    assert_eq!(chunks.take(b).unwrap().position, Position::new(1));
}
