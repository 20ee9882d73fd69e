#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use msgstream_core::adapter;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Header, Meta, Stamp};
use msgstream_core::{MsgType, Timestamp, UnmarshalDispatcher};
use proptest::prelude::*;

use super::*;

fn names() -> MsgTypeNames {
    MsgTypeNames::default()
}

fn record(payload: Vec<u8>) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), payload)
}

fn payload(entry: &EncodedEntry) -> Payload {
    batch(entry.messages as i32, entry.payload.clone())
}

fn batch(messages: i32, data: Vec<u8>) -> Payload {
    let metadata = Metadata { num_messages_in_batch: Some(messages), ..Metadata::default() };
    Payload::Sound { metadata, data: data.into() }
}

/// Why a record can't be read.
fn reason(record: &Record) -> String {
    UnmarshalDispatcher::new().unmarshal(record).map(drop).unwrap_err().to_string()
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
            (
                proptest::collection::vec(any::<u8>(), 0..300),
                "[a-z]{1,3}",
                "\\PC{0,20}",
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            ),
            0..20,
        ),
        limit in 600..3000usize,
        skip in 0..25usize,
    ) {
        let records: Vec<_> = given.into_iter().map(|(payload, name, value, key)| {
            let mut record = record(payload);
            record.extra.push(Header::new(name, value));
            if let Some(key) = key {
                adapter::add_key(&mut record, key.into());
            }
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
        let metadata = Metadata {
            num_messages_in_batch: messages,
            compression,
            uncompressed_size,
            ..Metadata::default()
        };
        let data = data.into();
        let records = read(3, Payload::Sound { metadata, data }, Position::default());
        prop_assert!(records.len() <= 5);
        prop_assert!(records.iter().all(|r| r.position.words()[..2] == [4, 3]));
        prop_assert!(messages.is_some_and(|n| n <= 0) || !records.is_empty());
    }
}

#[test]
fn a_batch_that_breaks_off_gives_what_is_left_of_it() {
    let entry = &encode(&[record(vec![1]), record(vec![2; 50])], &names(), 1000)[0];
    let mut cut = entry.payload.clone();
    cut.truncate(cut.len() - 10);
    // The batch says that there are two more.
    let records = read(0, batch(4, cut.clone()), Position::default());
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].payload, [1].as_slice());
    assert_eq!(records[1].position, Position::from_words([4, 0, 2]));
    assert_eq!(
        reason(&records[1]),
        "the record can't be read: its batch breaks off in it; the 2 behind it in its batch are lost with it"
    );
    // A reader that continues after it finds nothing more.
    assert_eq!(read(0, batch(4, cut), Position::from_words([4, 0, 3])), []);
}

/// A message of a batch as others may write it: one of ours, with one more property.
fn message(property: [&[u8]; 2], payload: &[u8]) -> Vec<u8> {
    let ours = record(Vec::new());
    let mut properties: Vec<_> = adapter::encode_headers(&ours, &names())
        .map(|(name, value)| Property {
            key: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::copy_from_slice(&value),
        })
        .collect();
    let [key, value] = property.map(Bytes::copy_from_slice);
    properties.push(Property { key, value });
    let payload_size = Some(payload.len() as i32);
    let metadata = SingleMetadata { properties, payload_size, ..SingleMetadata::default() };
    let metadata = metadata.encode_to_vec();
    [&(metadata.len() as u32).to_be_bytes(), &*metadata, payload].concat()
}

#[test]
fn a_property_that_is_not_text_costs_one_message_of_its_batch() {
    let data = [
        message([b"a", b"text"], b"first"),
        message([b"b\xff", b"name"], b"second"),
        message([b"c", b"\xffvalue"], b"third"),
        message([b"d", b"text"], b"fourth"),
    ];
    let records = read(0, batch(4, data.concat()), Position::default());
    let places: Vec<_> = records.iter().map(|record| record.position.words()[2]).collect();
    assert_eq!(places, [1, 2, 3, 4]);
    let payloads: Vec<_> = records.iter().map(|record| &record.payload[..]).collect();
    assert_eq!(payloads, [b"first".as_slice(), b"second", b"third", b"fourth"]);
    let read: Vec<_> = records.iter().map(|record| record.meta.msg_type).collect();
    let bad = MsgType::UNREADABLE;
    assert_eq!(
        [read[0] == bad, read[1] == bad, read[2] == bad, read[3] == bad],
        [false, true, true, false]
    );
    assert_eq!(
        reason(&records[1]),
        "the record can't be read: its property `b\u{fffd}` isn't UTF-8"
    );
    assert_eq!(&records[1].header("b\u{fffd}").unwrap()[..], b"name");
    assert_eq!(&records[2].header("c").unwrap()[..], b"\xffvalue");
}

#[test]
fn a_message_whose_metadata_is_nonsense_takes_what_is_behind_it_along() {
    let nonsense = [&3_u32.to_be_bytes()[..], b"\xff\xff\xff", b"payload"].concat();
    let data = [message([b"a", b"b"], b"first"), nonsense, message([b"a", b"b"], b"third")];
    let records = read(0, batch(3, data.concat()), Position::default());
    assert_eq!(records.len(), 2);
    let reason = reason(&records[1]);
    assert!(reason.contains("metadata can't be decoded"), "{reason}");
    assert!(reason.ends_with("the 1 behind it in its batch are lost with it"), "{reason}");
}

#[test]
fn what_is_encrypted_or_in_chunks_says_so() {
    let property = Property { key: "key".into(), value: "value".into() };
    let plain = Metadata { properties: vec![property], ..Metadata::default() };
    let keys = vec![Bytes::from_static(b"a key")];
    for (metadata, wanted) in [
        (Metadata { encryption_keys: keys.clone(), ..plain.clone() }, "it is encrypted"),
        (
            Metadata { encryption_keys: keys, num_messages_in_batch: Some(3), ..plain.clone() },
            "it is an encrypted batch of 3 messages",
        ),
        (
            Metadata { num_chunks_from_msg: Some(5), chunk_id: Some(1), ..plain },
            "it is chunk 2 of 5 of a message",
        ),
    ] {
        let payload = Payload::Sound { metadata, data: "data".into() };
        let records = read(7, payload, Position::default());
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.position, Position::from_words([4, 7, 0]));
        assert_eq!(
            (&*record.payload, &record.header("key").unwrap()[..]),
            (&b"data"[..], &b"value"[..])
        );
        assert_eq!(reason(record), format!("the record can't be read: {wanted}"));
    }
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
        check(&record, &names(), 1000).err().map(|failure| failure.kind)
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
    assert!(
        matches!(too_large, Err(Failure { kind: Kind::TooLarge { bytes, limit: 1000 }, .. }) if bytes > 1000)
    );
}
