#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::message::{TimeTickMsg, TsMsg};
use crate::record::{Origin, Position};

const FIVE: [(&str, &[u8]); 5] = [
    (MSG_TYPE, b"70001"),
    (MSG_ID, b"-3"),
    (TIMESTAMP, b"18446744073709551615"),
    (VCHANNEL, b"v"),
    (COLLECTION_ID, b"42"),
];

fn decode(headers: &[(&str, &[u8])], payload: &Bytes) -> Result<(Meta, Headers), DecodeError> {
    decode_headers(headers.iter().copied(), payload, &MsgTypeNames::default())
}

proptest! {
    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them(
        value in prop_oneof![
            any::<u64>().prop_map(|n| n.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            "[-+0-9]{0,21}",
            "\\PC{0,20}",
        ],
    ) {
        let read = |value: &str| number::<u64>(MSG_ID, value.as_bytes()).ok();
        prop_assert_eq!(read(&value), value.parse().ok());
        let read = |value: &str| number::<i64>(MSG_ID, value.as_bytes()).ok();
        prop_assert_eq!(read(&value), value.parse().ok());
    }
}

fn tick() -> Bytes {
    let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)).with_msg_id(8));
    tick.to_record().payload
}

#[test]
fn five_headers_are_enough_whatever_the_payload() {
    let (meta, extra) = decode(&FIVE, &Bytes::from_static(b"\xff")).unwrap();
    assert_eq!((meta.msg_type, meta.msg_id, meta.timestamp), (MsgType(70_001), -3, Timestamp::MAX));
    assert_eq!((meta.vchannel.as_deref(), meta.collection_id), (Some("v"), 42));
    assert!(extra.is_empty());
}

#[test]
fn each_missing_header_leaves_id_and_time_to_the_payload() {
    for missing in 0..5 {
        let mut four = FIVE.to_vec();
        let (name, _) = four.remove(missing);
        let (meta, extra) = decode(&four, &tick()).unwrap();
        assert_eq!((meta.msg_id, meta.timestamp), (8, Timestamp(5)), "without {name}");
        let header_or = |header, other| if name == MSG_TYPE { other } else { header };
        assert_eq!(meta.msg_type, header_or(MsgType(70_001), MsgType::TIME_TICK));
        assert_eq!(meta.vchannel.is_none(), name == VCHANNEL);
        assert_eq!(meta.collection_id == 0, name == COLLECTION_ID);
        assert!(extra.is_empty());
    }
    assert!(matches!(decode(&FIVE[1..], &Bytes::new()), Err(DecodeError::Inconsistent { .. })));
    assert!(matches!(decode(&FIVE[1..], &tick().slice(..3)), Err(DecodeError::Corrupt { .. })));
}

#[test]
fn unreadable_metadata_is_refused_by_name() {
    for (at, value) in [
        (0, b"Unheard".as_slice()),
        (1, b"1.5"),
        (2, b"-1"),
        (3, b"\xff"),
        (4, b"9223372036854775808"),
    ] {
        let mut headers = FIVE;
        headers[at].1 = value;
        match decode(&headers, &tick()) {
            Err(error @ DecodeError::Header { name, .. }) => {
                assert_eq!(name, headers[at].0);
                // A type that isn't known is no number that can't be parsed.
                assert_eq!(error.source().is_some(), at > 0, "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn repeated_and_unknown_headers_are_extra() {
    let more: [(&str, &[u8]); 2] = [("replicate_id", b"r"), (TIMESTAMP, b"6")];
    let (meta, extra) = decode(&[&FIVE[..], &more[..]].concat(), &Bytes::new()).unwrap();
    assert_eq!(meta.timestamp, Timestamp::MAX);
    let names: Vec<_> = extra.iter().map(|h| (&*h.name, &*h.value)).collect();
    assert_eq!(names, more);
}

#[test]
fn a_name_that_isn_t_text_is_refused() {
    let headers = [(b"msg_type".as_slice(), b"70001".as_slice()), (b"a\xff", b"")];
    let read = decode_headers(headers, &tick(), &MsgTypeNames::default());
    assert!(matches!(read, Err(DecodeError::HeaderName { name, .. }) if name == "a\u{fffd}"));
}

prop_compose! {
    fn metas()(
        msg_type: u32,
        msg_id: i64,
        timestamp: u64,
        collection_id: i64,
        vchannel in "\\PC{0,12}",
        stamp: Option<([u64; 3], u64)>,
    ) -> Meta {
        let vchannel = Some(vchannel).filter(|v| !v.is_empty()).map(Into::into);
        let stamp = stamp.map(|(words, seq)| {
            let (producer, epoch) = ("p".into(), Position::from_words(words));
            Stamp { origin: Arc::new(Origin { producer, epoch }), seq }
        });
        let meta = Meta::new(MsgType(msg_type), Timestamp(timestamp));
        Meta { msg_id, collection_id, vchannel, stamp, ..meta }
    }
}

proptest! {
    #[test]
    fn headers_round_trip(
        meta in metas(),
        extra in vec(("\\PC{0,12}", vec(any::<u8>(), 0..12)), 0..4),
    ) {
        let names = MsgTypeNames::default();
        let mut record = Record::new(meta, "");
        record.extra = extra.into_iter().map(|(name, value)| Header::new(name, value)).collect();
        let headers: Vec<_> = encode_headers(&record, &names).collect();
        let read = headers.iter().map(|(name, value)| (*name, &**value));
        let read = decode_headers(read, &Bytes::new(), &names).unwrap();
        prop_assert_eq!(read, (record.meta, record.extra));
    }
}
