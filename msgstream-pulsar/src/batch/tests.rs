#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_core::transport::{Header, Meta, Stamp};
use msgstream_core::{MsgType, Timestamp};
use proptest::prelude::*;

use super::*;

fn names() -> MsgTypeNames {
    MsgTypeNames::default()
}

fn record(payload: Vec<u8>) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), payload)
}

fn payload(entry: &EncodedEntry) -> Payload {
    let metadata = MessageMetadata {
        num_messages_in_batch: Some(entry.messages as i32),
        ..MessageMetadata::default()
    };
    Payload { metadata, data: entry.payload.clone() }
}

fn read(entry: u64, payload: Payload, from: Position) -> Vec<Record> {
    let mut records = Vec::new();
    decode(4, entry, payload, from, &names(), &mut records);
    records
}

proptest! {
    #[test]
    fn records_come_back(
        given in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..300), "[a-z]{1,3}", "\\PC{0,20}"), 0..20),
        limit in 600..3000usize,
        skip in 0..25usize,
    ) {
        let records: Vec<_> = given.into_iter().map(|(payload, name, value)| {
            let mut record = record(payload);
            record.extra.push(Header::new(name, value));
            record
        }).collect();
        let entries = encode(&records, &names(), limit);
        let mut at = Vec::new();
        let mut back = Vec::new();
        for (n, entry) in entries.iter().enumerate() {
            prop_assert!(entry.payload.len() <= limit);
            at.extend((1..=u64::from(entry.messages)).map(|i| Position::from_words([4, n as u64, i])));
        }
        let from = at.get(skip).copied().unwrap_or(Position::MAX);
        for (n, entry) in entries.iter().enumerate() {
            back.extend(read(n as u64, payload(entry), from));
        }
        let expected: Vec<_> = records.into_iter().zip(at).skip(skip).map(|(mut record, at)| {
            record.position = at;
            record
        }).collect();
        prop_assert_eq!(back, expected);
    }

    // What others wrote may be anything.
    #[test]
    fn nonsense_is_a_record_that_cannot_be_read(
        data in proptest::collection::vec(any::<u8>(), 0..60),
        messages in proptest::option::of(-2..5i32),
        compression in proptest::option::of(-1..6i32),
        uncompressed_size in proptest::option::of(any::<u32>()),
    ) {
        let metadata = MessageMetadata {
            num_messages_in_batch: messages,
            compression,
            uncompressed_size,
            ..MessageMetadata::default()
        };
        let records = read(3, Payload { metadata, data }, Position::default());
        prop_assert!(records.len() <= 5);
        prop_assert!(records.iter().all(|r| r.position.words()[..2] == [4, 3]));
        prop_assert!(messages.is_some_and(|n| n <= 0) || !records.is_empty());
    }
}

#[test]
fn a_batch_that_breaks_off_gives_what_is_left_of_it() {
    let entry = &encode(&[record(vec![1]), record(vec![2; 50])], &names(), 1000)[0];
    let mut cut = payload(entry);
    cut.data.truncate(cut.data.len() - 10);
    let records = read(0, cut, Position::default());
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].payload, [1].as_slice());
    assert_eq!(records[1].meta.msg_type, MsgType::UNREADABLE);
}

#[test]
fn a_small_record_of_a_large_entry_keeps_none_of_it() {
    let entry = &encode(&[record(vec![1]), record(vec![2; SHARED])], &names(), 1 << 20)[0];
    let records = read(0, payload(entry), Position::default());
    let [small, large] = &records[..] else { panic!("{} records", records.len()) };
    let small = small.payload.as_ptr() as usize;
    let large = large.payload.as_ptr() as usize;
    assert!(small.abs_diff(large) > 1 << 10 || small > large + SHARED);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |extra: Vec<Header>, stamped: bool| {
        let mut record = record(vec![1]);
        record.meta.stamp = stamped.then(|| "p;1;1".parse::<Stamp>().unwrap());
        record.extra = extra.into_iter().collect();
        check(&record, &names(), 1000).err()
    };
    assert_eq!(refused(vec![Header::new("a", "1"), Header::new("b", "1")], true), None);
    for extra in [
        vec![Header::new("a", "1"), Header::new("a", "1")],
        vec![Header::new("timestamp", "1")],
        vec![Header::new(Stamp::HEADER, "1")],
        vec![Header::new("a", b"\xff".as_slice())],
    ] {
        assert!(matches!(refused(extra, true), Some(Kind::InvalidHeader { .. })));
    }
    assert_eq!(refused(vec![Header::new(Stamp::HEADER, "p;;fence;1")], false), None);
    let too_large = check(&record(vec![0; 1000]), &names(), 1000);
    assert!(matches!(too_large, Err(Kind::TooLarge { bytes, limit: 1000 }) if bytes > 1000));
}
