#![allow(clippy::unwrap_used)]

use msgstream_core::record::{Origin, Position, Stamp};
use msgstream_core::{DecodeError, Timestamp, UnmarshalDispatcher};
use proptest::prelude::*;

use super::*;

fn key(id: &str, byte: u8) -> Key {
    Key::new(id, &[byte; Key::BYTES]).unwrap()
}

fn meta() -> Meta {
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(7));
    (meta.msg_id, meta.collection_id) = (5, 3);
    meta.vchannel = Some("v".into());
    let origin = Origin { producer: "p".into(), epoch: Position::new(1) };
    meta.stamp = Some(Stamp { origin: origin.into(), seq: 9 });
    meta
}

fn sealed(payload: &[u8]) -> Record {
    let payload = seal(&key("k", 1), [4; NONCE], "orders", &meta(), payload).unwrap();
    let mut record = Record::new(meta(), payload);
    record.extra.push(Header::new("owner", "billing"));
    record.extra.push(header(&key("k", 1)));
    record
}

fn reason(record: &Record) -> String {
    assert_eq!(record.meta.msg_type, MsgType::UNREADABLE);
    match UnmarshalDispatcher::new().unmarshal(record) {
        Err(DecodeError::Unreadable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn opened_with(record: Record, keys: &[Key]) -> Record {
    open(record, "orders", |id| keys.iter().find(|key| key.id() == id).cloned())
}

proptest! {
    #[test]
    fn what_is_sealed_opens(payload: Vec<u8>, nonce: [u8; NONCE]) {
        let text = seal(&key("k", 1), nonce, "orders", &meta(), &payload).unwrap();
        prop_assert_eq!(text.len(), payload.len() + OVERHEAD);
        let opened = opened_with(sealed(&payload), &[key("k", 1)]);
        prop_assert_eq!(&opened.payload, &payload);
        prop_assert_eq!(opened.meta, meta());
        prop_assert_eq!(opened.extra.as_slice(), [Header::new("owner", "billing")]);
    }

    #[test]
    fn a_changed_bit_is_found(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
        let mut record = sealed(&payload);
        let mut bytes = record.payload.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        record.payload = bytes.into();
        let opened = opened_with(record.clone(), &[key("k", 1)]);
        prop_assert!(reason(&opened).starts_with("it was changed"));
        prop_assert_eq!(opened.payload, record.payload);
    }

    #[test]
    fn any_record_is_opened_or_unreadable(payload: Vec<u8>, header in "\\PC{0,20}") {
        let mut record = Record::new(meta(), payload);
        record.extra.push(Header::new(HEADER, header));
        prop_assert!(!reason(&opened_with(record, &[key("k", 1)])).is_empty());
    }
}

#[test]
fn everything_that_is_bound_is_bound() {
    let changes: [fn(&mut Meta); 5] = [
        |meta| meta.msg_type = MsgType::DELETE,
        |meta| meta.msg_id += 1,
        |meta| meta.timestamp.0 += 1,
        |meta| meta.collection_id += 1,
        |meta| meta.vchannel = None,
    ];
    for change in changes {
        let mut record = sealed(b"payload");
        change(&mut record.meta);
        let meta = record.meta.clone();
        let opened = opened_with(record, &[key("k", 1)]);
        assert!(reason(&opened).starts_with("it was changed"), "{meta:?}");
    }
    let elsewhere = open(sealed(b"payload"), "prices", |_| Some(key("k", 1)));
    assert!(reason(&elsewhere).starts_with("it was changed"));
    // Another name of the same key is another key.
    let mut renamed = sealed(b"payload");
    renamed.extra[1] = header(&key("j", 1));
    let opened = opened_with(renamed, &[key("j", 1)]);
    assert!(reason(&opened).starts_with("it was changed"));
}

#[test]
fn a_session_and_headers_may_change() {
    let mut record = sealed(b"payload");
    record.meta.stamp = None;
    record.extra.insert(0, Header::new("trace", "1"));
    assert_eq!(opened_with(record, &[key("k", 1)]).payload, "payload");
}

#[test]
fn what_cant_be_opened_says_why_and_keeps_its_place() {
    let wrong = opened_with(sealed(b"payload"), &[key("k", 2)]);
    assert_eq!(reason(&wrong), "it was changed, or sealed with another key than the `k` here");
    let mut kept = meta();
    kept.msg_type = MsgType::UNREADABLE;
    assert_eq!(wrong.meta, kept);
    let unknown = opened_with(sealed(b"payload"), &[]);
    assert_eq!(reason(&unknown), "the key `k` isn't there");
    let plain = opened_with(Record::new(meta(), "payload"), &[key("k", 1)]);
    assert_eq!(reason(&plain), "it isn't sealed, so anyone may have written it");
    let mut short = sealed(b"");
    short.payload.truncate(OVERHEAD - 1);
    assert_eq!(reason(&opened_with(short, &[key("k", 1)])), "its sealed payload is cut short");
    let mut later = sealed(b"payload");
    later.extra[1] = Header::new(HEADER, "2;k");
    assert_eq!(reason(&opened_with(later, &[key("k", 1)])), "its header `ms-sealed` is `2;k`");
}

#[test]
fn ticks_and_what_the_transport_couldnt_read_stay() {
    let tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), "tick");
    let foreign = unreadable(Position::new(3), "no type", [], "bytes".into());
    for record in [tick, foreign] {
        assert_eq!(opened_with(record.clone(), &[]), record);
    }
}
