#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::collection::vec;
use proptest::prelude::*;
use url::form_urlencoded;

use super::*;
use crate::record::END_HEADER;
use crate::record::Timestamp;
use crate::record::{Meta, Stamp};
use crate::transport::TransportError;

/// What a channel with text headers says: one header of a name, none of ours, and so many bytes in all.
fn check(record: &Record, limit: usize) -> Result<()> {
    let refused = |kind| Err(TransportError::new("check", kind).into());
    for (at, header) in record.extra.iter().enumerate() {
        if let Err(kind) = header.text() {
            return refused(kind);
        }
        let repeated = record.extra[..at].iter().any(|other| other.name == header.name);
        if repeated
            || is_reserved(&header.name)
            || !header.name.bytes().all(|b| b.is_ascii_graphic())
        {
            let reason = "it is taken".to_owned();
            return refused(Kind::InvalidHeader { name: header.name.to_string(), reason });
        }
    }
    let headers: usize = record.extra.iter().map(|h| h.name.len() + h.value.len()).sum();
    let vchannel = record.meta.vchannel.as_deref().map_or(0, str::len);
    let bytes = record.payload.len() + headers + vchannel;
    if bytes > limit { refused(Kind::TooLarge { bytes, limit }) } else { Ok(()) }
}

fn letter(record: &Record, limit: usize) -> Record {
    let why = DecodeError::UnknownType { msg_type: record.meta.msg_type };
    let letter = DeadLetter::new("orders", Position::new(7), record, &why);
    letter.fit(|record| check(record, limit)).unwrap()
}

fn header<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.header(name).map(|value| str::from_utf8(value).unwrap())
}

fn record(msg_type: MsgType, extra: Vec<Header>) -> Record {
    let mut record = Record::new(Meta::new(msg_type, Timestamp(5)), "payload");
    record.extra = extra.into_iter().collect();
    record
}

#[test]
fn what_a_channel_takes_is_written_as_it_came() {
    let mut came = record(MsgType(9), vec![Header::new("trace", "x")]);
    came.meta.stamp = Some("p;1;2".parse().unwrap());
    let letter = letter(&came, 1_000);
    assert_eq!((&letter.payload, letter.meta.msg_type), (&came.payload, MsgType(9)));
    assert_eq!(letter.meta.stamp, None);
    assert_eq!(letter.extra[0], came.extra[0]);
    assert_eq!(header(&letter, PackDecoder::SESSION_HEADER), Some("p;1;2"));
    assert_eq!(header(&letter, PackDecoder::CHANNEL_HEADER), Some("orders"));
    assert_eq!(header(&letter, PackDecoder::CUT_HEADER), None);
}

#[test]
fn a_tick_and_an_end_are_neither() {
    let end = record(MsgType::TIME_TICK, vec![Header::new(END_HEADER, "1")]);
    let letter = letter(&end, 1_000);
    assert_eq!(letter.meta.msg_type, MsgType::UNREADABLE);
    assert_eq!(header(&letter, PackDecoder::TYPE_HEADER), Some("1200"));
}

#[test]
fn a_reason_is_one_line_and_short() {
    assert_eq!(text(" two\r\nlines\u{7f}", 100), "two\\r\\nlines\\u{7f}");
    assert_eq!(text(&"ä".repeat(10), 5), "ää…");
}

#[test]
fn a_letter_about_a_letter_has_both() {
    let first = letter(&record(MsgType(9), vec![Header::new("trace", "x")]), 1_000);
    let second = letter(&first, 2_000);
    let packed = header(&second, PackDecoder::HEADERS_HEADER).unwrap();
    let read: Vec<_> = form_urlencoded::parse(packed.as_bytes()).into_owned().collect();
    assert_eq!(read[0], ("trace".to_owned(), "x".to_owned()));
    assert_eq!(read[1], (PackDecoder::CHANNEL_HEADER.to_owned(), "orders".to_owned()));
    assert_eq!(second.extra.iter().filter(|h| &*h.name == PackDecoder::CHANNEL_HEADER).count(), 1);
}

#[test]
fn the_virtual_channel_goes_last() {
    let mut came = record(MsgType(9), vec![]);
    came.meta.vchannel = Some("v".repeat(5_000).into());
    let letter = letter(&came, 1_000);
    assert_eq!(letter.meta.vchannel, None);
    assert_eq!(header(&letter, PackDecoder::CUT_HEADER), Some("payload: 7, virtual channel: 5000"));
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    let name = prop_oneof![
        "\\PC{0,5}",
        "[a-z\n ]{0,3}",
        Just("msg_type".to_owned()),
        Just("timestamp".to_owned()),
        Just("_v".to_owned()),
        Just(Stamp::HEADER.to_owned()),
        Just(PackDecoder::REASON_HEADER.to_owned()),
    ];
    let header = (name, vec(any::<u8>(), 0..200));
    vec(header.prop_map(|(name, value)| Header::new(name, value)), 0..6)
}

proptest! {
    /// Any record fits any channel that has room for what a letter is about; nothing vanishes but what
    /// is said to be cut.
    #[test]
    fn every_record_is_written(
        extra in headers(),
        payload in vec(any::<u8>(), 0..3_000),
        vchannel in prop::option::of("\\PC{1,600}"),
        msg_type in prop_oneof![Just(MsgType::TIME_TICK), any::<u32>().prop_map(MsgType)],
        limit in 600..4_000_usize,
    ) {
        let mut came = record(msg_type, extra);
        came.payload = payload.into();
        came.meta.vchannel = vchannel.map(Into::into);
        let letter = letter(&came, limit);
        prop_assert!(check(&letter, limit).is_ok());
        prop_assert!(letter.meta.msg_type != MsgType::TIME_TICK);
        let cut = header(&letter, PackDecoder::CUT_HEADER).unwrap_or_default();
        prop_assert_eq!(cut.contains(&format!("payload: {}", came.payload.len())), letter.payload != came.payload);
        prop_assert!(came.payload.starts_with(&letter.payload));
        prop_assert_eq!(cut.contains("virtual channel"), letter.meta.vchannel != came.meta.vchannel);
        if let Some(packed) = header(&letter, PackDecoder::HEADERS_HEADER) {
            if !cut.contains("headers") && !came.extra.is_empty() {
                let pairs: Vec<_> = packed.split('&').map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap();
                    let decode = |text: &str| -> Vec<u8> {
                        let spaces = text.replace('+', " ");
                        percent_encoding::percent_decode_str(&spaces).collect()
                    };
                    (decode(name), decode(value))
                }).collect();
                let wanted = came.extra.iter().map(|h| (h.name.as_bytes().to_vec(), h.value.to_vec()));
                prop_assert!(pairs.into_iter().eq(wanted));
            }
        } else {
            prop_assert!(letter.extra.starts_with(&came.extra));
        }
    }
}
