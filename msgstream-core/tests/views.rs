//! Views and messages agree on whatever may be encoded: on fields that come again, in several parts or
//! in an odd form, and on bytes that are no message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "decoders/numbers.rs"]
mod numbers;
#[path = "decoders/views.rs"]
mod views;

use bytes::{BufMut, Bytes, BytesMut};
use msgstream_core::message::view::{DeleteView, IdFieldView, InsertView};
use msgstream_core::message::{FromRecord, InsertMsg};
use msgstream_core::record::{Meta, Record};
use msgstream_core::{Message, MsgPack, MsgType, StoredMessage, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::encoding::{WireType, encode_key, encode_varint};

use Kind::{Bytes as Blob, Message as Nested, Number, Packable, Text};
use numbers::Numbers;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Text,
    Bytes,
    /// Numbers, packed or not.
    Packable,
    /// A map of texts is a list of these.
    Message(Schema),
}

type Schema = &'static [(u32, Kind)];

const ENTRY: Schema = &[(1, Text), (2, Text)];
const REPLICATE_INFO: Schema = &[(1, Number), (2, Number), (3, Text)];
const BASE: Schema =
    &[(1, Number), (2, Number), (3, Number), (6, Nested(ENTRY)), (7, Nested(REPLICATE_INFO))];
const NUMBERS: Schema = &[(1, Number), (2, Number), (3, Number), (4, Number)];
const BLOB: Schema = &[(1, Blob)];
const INSERT: Schema = &[
    (1, Nested(BASE)),
    (2, Text),
    (9, Number),
    (10, Packable),
    (11, Packable),
    (12, Nested(BLOB)),
    (13, Blob),
    (15, Number),
    (16, Text),
];
const IDS: Schema = &[(1, Nested(&[(1, Packable)])), (2, Nested(&[(1, Text)]))];
const DELETE: Schema =
    &[(1, Nested(BASE)), (9, Packable), (10, Packable), (12, Nested(IDS)), (13, Number)];
const SEARCH: Schema = &[(1, Nested(BASE)), (3, Text), (6, Packable), (7, Blob)];
const SEARCH_RESULTS: Schema = &[(1, Nested(BASE)), (5, Number), (6, Text), (7, Blob)];
/// Of segment statistics and of time syncs.
const STATISTICS: Schema = &[(1, Nested(BASE)), (2, Number), (3, Nested(NUMBERS))];
const SYNC: Schema = &[(1, Nested(BASE)), (2, Nested(NUMBERS))];
const CREATE: Schema = &[
    (1, Nested(BASE)),
    (2, Text),
    (5, Number),
    (8, Blob),
    (9, Text),
    (10, Text),
    (11, Packable),
    (12, Text),
    (13, Blob),
];
const DATA_NODE: Schema = &[(1, Nested(BASE)), (2, Text), (3, Number), (4, Nested(NUMBERS))];
const REPLICATE: Schema = &[(1, Nested(BASE)), (2, Number), (3, Number), (4, Text), (5, Text)];
const ALL: [Schema; 9] =
    [INSERT, DELETE, SEARCH, SEARCH_RESULTS, STATISTICS, SYNC, CREATE, DATA_NODE, REPLICATE];

/// Returns fields of a message, any of them any number of times, and now and then something else.
fn message(schema: Schema, random: &mut Numbers, depth: u32) -> BytesMut {
    let mut out = BytesMut::new();
    for _ in 0..random.below(7) {
        let (tag, kind) = schema[random.below(schema.len())];
        match random.below(12) {
            0 => odd(random, depth, &mut out),
            _ => field(tag, kind, random, depth, &mut out),
        }
    }
    out
}

fn field(tag: u32, kind: Kind, random: &mut Numbers, depth: u32, out: &mut BytesMut) {
    let bytes = match kind {
        Number => {
            encode_key(tag, WireType::Varint, out);
            return number(random, out);
        }
        Packable if random.below(2) == 0 => return field(tag, Number, random, depth, out),
        Packable => {
            let mut packed = BytesMut::new();
            (0..random.below(4)).for_each(|_| number(random, &mut packed));
            packed
        }
        Text => ["", "a", "é", "name"][random.below(4)].into(),
        Blob => random.next().to_le_bytes()[..random.below(4)].into(),
        Nested(schema) => message(schema, random, depth + 1),
    };
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.put(bytes);
}

/// A small number, any number, or one that is longer than it must be.
fn number(random: &mut Numbers, out: &mut BytesMut) {
    match random.below(8) {
        0 => encode_varint(random.next(), out),
        1 => encode_varint(random.next() >> random.below(64), out),
        2 => out.put_slice(&[0x83, 0x80, 0]),
        3 => {
            out.put_bytes(0xff, 9);
            out.put_u8(random.below(3) as u8);
        }
        _ => out.put_u8(random.below(3) as u8),
    }
}

/// A field that isn't in the schema, or isn't encoded as it says.
fn odd(random: &mut Numbers, depth: u32, out: &mut BytesMut) {
    // Number 0 isn't valid, nor is a key of more than 32 bits.
    let tag = match random.below(20) as u64 {
        0 => random.next() >> (32 + random.below(5)),
        tag => tag,
    };
    let wire_type = random.below(7) as u64;
    encode_varint(tag << 3 | wire_type, out);
    match wire_type {
        0 => number(random, out),
        1 => out.put_u64(random.next()),
        2 => {
            let bytes = message(BASE, random, depth);
            encode_varint(bytes.len() as u64, out);
            out.put(bytes);
        }
        3 => {
            if depth < 4 {
                out.put(message(BASE, random, depth + 1));
            }
            encode_varint(tag << 3 | 4, out);
        }
        5 => out.put_u32(random.next() as u32),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn any_fields(schema in 0..ALL.len(), seed in any::<u64>()) {
        views::compare_all(&message(ALL[schema], &mut Numbers(seed), 0));
    }

    #[test]
    fn any_change(
        schema in 0..ALL.len(),
        seed in any::<u64>(),
        changes in vec(any::<(prop::sample::Index, u8)>(), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = message(ALL[schema], &mut Numbers(seed), 0);
        bytes.put_u8(0x1a);
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        bytes.truncate(cut.map_or(usize::MAX, |at| at.index(bytes.len())));
        views::compare_all(&bytes);
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..40)) {
        views::compare_all(&bytes);
    }
}

#[test]
fn most_of_the_fields_are_accepted() {
    let accepted = ALL.map(|schema| {
        let bytes = (0..1_000).map(|seed| message(schema, &mut Numbers(seed), 0));
        bytes.filter(|bytes| views::compare_all(bytes) > 0).count()
    });
    assert!(accepted.iter().all(|accepted| *accepted > 300), "{accepted:?}");
}

fn record(payload: &[u8]) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), Bytes::copy_from_slice(payload))
}

#[test]
fn nesting_ends_where_it_ends_for_messages() {
    for levels in 95..105 {
        let group = [[0x8b, 1].repeat(levels), [0x8c, 1].repeat(levels)].concat();
        let within = [vec![0x0a], varint(group.len()), group.clone()].concat();
        let blob = [vec![0x62], varint(group.len()), group.clone()].concat();
        for payload in [&group, &within, &blob] {
            views::compare_all(payload);
        }
        assert_eq!(InsertView::from_record(&record(&group)).is_ok(), levels <= 100);
    }
}

fn varint(value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(value as u64, &mut out);
    out
}

#[test]
fn lists_are_merged_over_their_parts() {
    // Row ids 1; 2 and 3, packed; a segment; 4.
    let payload = [0x58, 1, 0x5a, 2, 2, 3, 0x48, 9, 0x58, 4];
    let insert = record(&payload);
    let insert = InsertView::from_record(&insert).unwrap();
    assert_eq!(insert.row_ids.iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((insert.row_ids.iter().len(), insert.rows(), insert.segment_id), (4, 4, 9));
    views::compare_all(&payload);

    // Number keys 1 and 2 in two parts; then string keys `a` and `b`, which replace them.
    let numbers = [0x62, 5, 0x0a, 3, 0x0a, 1, 1, 0x62, 4, 0x0a, 2, 0x08, 2];
    let strings = [0x62, 10, 0x12, 3, 0x0a, 1, b'a', 0x12, 3, 0x0a, 1, b'b'];
    let (delete, both) = (record(&numbers), record(&[&numbers[..], &strings].concat()));
    let delete = DeleteView::from_record(&delete).unwrap();
    assert_eq!(delete.keys(), 2);
    let Some(IdFieldView::IntId(keys)) = delete.primary_keys.unwrap().id_field else { panic!() };
    assert_eq!(keys.iter().collect::<Vec<_>>(), [1, 2]);
    let both = DeleteView::from_record(&both).unwrap();
    let Some(IdFieldView::StrId(keys)) = both.primary_keys.unwrap().id_field else { panic!() };
    assert_eq!(keys.iter().collect::<Vec<_>>(), ["a", "b"]);
    views::compare_all(&[&numbers[..], &strings, &numbers].concat());
}

#[test]
fn a_pack_is_decoded_to_views_as_to_messages() {
    let stored =
        |payload: &[u8]| Message::from(StoredMessage::new("orders".into(), record(payload)));
    let mut pack = MsgPack::new(vec![stored(&[0x48, 9]), stored(&[0x48]), stored(&[0x50, 5])]);
    let mut other = record(&[]);
    other.meta.msg_type = MsgType::DELETE;
    pack.msgs.push(StoredMessage::new("orders".into(), other).into());

    let mut views = pack.decode::<InsertView>();
    let mut messages = pack.decode::<InsertMsg>();
    for (view, message) in views.by_ref().zip(messages.by_ref()) {
        match (view, message) {
            (Ok(view), Ok(message)) => {
                assert_eq!(view.value.segment_id, message.value.body().segment_id);
                assert_eq!((view.timestamp, view.channel), (message.timestamp, message.channel));
                assert_eq!(view.value.base.unwrap().timestamp, 7);
            }
            (Err(view), Err(message)) => {
                assert_eq!(view.source.to_string(), message.source.to_string());
            }
            (view, message) => panic!("{view:?}, but {message:?}"),
        }
    }
    assert!(messages.next().is_none());
    assert_eq!((views.others(), messages.others()), (1, 1));
}
