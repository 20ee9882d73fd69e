//! Splitting packs over channels: nothing lost, nothing twice, each row in the bucket of its key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use msgstream_core::message::proto::ids::IdField;
use msgstream_core::message::proto::{
    Blob, DeleteRequest, Ids, InsertDataVersion, InsertRequest, LongArray, MsgBase, StringArray,
};
use msgstream_core::message::{DeleteMsg, InsertMsg, MsgBody, ProtoMsg, TimeTickMsg};
use msgstream_core::record::{Meta, Record};
use msgstream_core::repack::{
    ByHashKey, DeleteByKey, HashKeys, InsertByRow, Repack, RepackError, Repacked, bucket,
};
use msgstream_core::{Message, MsgPack, MsgType, StoredMessage, Timestamp, TsMsg};
use proptest::prelude::*;

fn repack(by: &dyn Repack, msgs: Vec<Message>, channels: usize) -> Result<Repacked, RepackError> {
    let keys = HashKeys::of_messages(&msgs);
    by.repack(msgs, &keys, channels)
}

fn typed<M: TsMsg>(msg: &Message) -> &M {
    let Message::Typed(msg) = msg else { panic!("{msg:?} is not typed") };
    msg.downcast_ref().unwrap()
}

/// A row's number is its timestamp, its id and its bytes; its key is given.
fn insert(rows: &[(u64, u32)], counted: bool) -> InsertMsg {
    let numbers = || rows.iter().map(|(number, _)| *number);
    InsertMsg::new(InsertRequest {
        base: Some(MsgBase { msg_id: -7, source_id: 3, ..Default::default() }),
        shard_name: "v".to_owned(),
        collection_id: 42,
        timestamps: numbers().collect(),
        row_ids: numbers().map(|n| n as i64).collect(),
        row_data: numbers().map(|n| Blob { value: n.to_string().into() }).collect(),
        num_rows: if counted { rows.len() as u64 } else { 0 },
        ..Default::default()
    })
    .with_hash_keys(rows.iter().map(|(_, key)| *key).collect::<Vec<_>>())
}

#[derive(Clone, Copy, Debug)]
enum KeyKind {
    Legacy,
    Int,
    Str,
    Both,
}

fn delete(rows: &[(u64, u32)], kind: KeyKind) -> DeleteMsg {
    let ints: Vec<i64> = rows.iter().map(|(n, _)| *n as i64).collect();
    let strings = ints.iter().map(ToString::to_string).collect();
    let (legacy, keys) = match kind {
        KeyKind::Legacy => (ints, None),
        KeyKind::Int => (Vec::new(), Some(IdField::IntId(LongArray { data: ints }))),
        KeyKind::Str => (Vec::new(), Some(IdField::StrId(StringArray { data: strings }))),
        KeyKind::Both => (ints.clone(), Some(IdField::IntId(LongArray { data: ints }))),
    };
    DeleteMsg::new(DeleteRequest {
        timestamps: rows.iter().map(|(number, _)| *number).collect(),
        int64_primary_keys: legacy,
        primary_keys: keys.map(|keys| Ids { id_field: Some(keys) }),
        num_rows: rows.len() as i64,
        ..Default::default()
    })
    .with_hash_keys(rows.iter().map(|(_, key)| *key).collect::<Vec<_>>())
}

/// The rows of a delete: each key, in each form that it is in, must be its timestamp.
fn deleted(body: &DeleteRequest) -> Vec<u64> {
    let legacy = body.int64_primary_keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let keys = match body.primary_keys.as_ref().and_then(|k| k.id_field.clone()) {
        None => legacy.clone(),
        Some(IdField::IntId(keys)) => keys.data.iter().map(ToString::to_string).collect(),
        Some(IdField::StrId(keys)) => keys.data,
    };
    assert!(legacy.is_empty() || legacy == keys);
    let stamps: Vec<_> = body.timestamps.iter().map(ToString::to_string).collect();
    assert_eq!(stamps, keys);
    assert_eq!(body.num_rows, keys.len() as i64);
    body.timestamps.clone()
}

fn inserted(body: &InsertRequest) -> Vec<u64> {
    assert_eq!(body.row_ids.iter().map(|id| *id as u64).collect::<Vec<_>>(), body.timestamps);
    let data = body.row_data.iter().map(|b| String::from_utf8(b.value.to_vec()).unwrap());
    assert_eq!(data.map(|d| d.parse().unwrap()).collect::<Vec<u64>>(), body.timestamps);
    assert!(body.num_rows == 0 || body.num_rows == body.timestamps.len() as u64);
    body.timestamps.clone()
}

/// Checks what a repack by row made of messages whose rows are numbered through, in order.
fn check_rows<B: MsgBody>(
    repacked: &Repacked,
    rows: &[(u64, u32)],
    channels: usize,
    numbers: impl Fn(&B) -> Vec<u64>,
) {
    let mut seen = BTreeSet::new();
    for (channel, pack) in repacked {
        let mut before = 0;
        for msg in &pack.msgs {
            let msg = typed::<ProtoMsg<B>>(msg);
            msg.body().check().unwrap();
            let numbers = numbers(msg.body());
            assert!(!numbers.is_empty(), "a part without rows");
            assert_eq!(msg.hash_keys().len(), numbers.len());
            assert_eq!(msg.begin_ts(), Timestamp(numbers[0]));
            assert_eq!(msg.body().base().as_ref().unwrap().timestamp, msg.end_ts().0);
            for (number, key) in numbers.into_iter().zip(msg.hash_keys()) {
                assert_eq!(rows[number as usize - 1], (number, *key));
                assert_eq!(bucket(*key, channels).unwrap(), *channel);
                assert!(number > before, "{number} after {before}");
                assert!(seen.insert(number), "{number} twice");
                before = number;
            }
        }
    }
    assert_eq!(seen.len(), rows.len());
}

/// Hash keys of the rows of some messages, each with a row at least, and a number of channels.
fn packs() -> impl Strategy<Value = (Vec<Vec<u32>>, usize)> {
    let messages = prop::collection::vec(prop::collection::vec(any::<u32>(), 1..8), 0..12);
    (messages, 1..7_usize)
}

/// Rows with numbers from 1 on, by message, and all of them.
type Numbered = (Vec<Vec<(u64, u32)>>, Vec<(u64, u32)>);

fn number(keys: &[Vec<u32>]) -> Numbered {
    let mut numbers = 1..;
    let messages: Vec<Vec<_>> = keys
        .iter()
        .map(|keys| keys.iter().map(|k| (numbers.next().unwrap(), *k)).collect())
        .collect();
    let all = messages.concat();
    (messages, all)
}

proptest! {
    #[test]
    fn inserts_are_split_by_row((keys, channels) in packs(), counted: bool) {
        let (messages, rows) = number(&keys);
        let msgs = messages.iter().map(|rows| insert(rows, counted).into()).collect();
        let repacked = repack(&InsertByRow, msgs, channels).unwrap();
        check_rows(&repacked, &rows, channels, inserted);

        // A part has an id of its own, a message that wasn't split keeps its id.
        let mut ids = BTreeSet::new();
        let mut whole = 0;
        for msg in repacked.values().flat_map(|p| &p.msgs) {
            let msg = typed::<InsertMsg>(msg);
            assert_eq!(msg.body().base.as_ref().unwrap().source_id, 3);
            assert_eq!((msg.vchannel(), msg.collection_id()), ("v", 42));
            if msg.msg_id() == -7 { whole += 1 } else { assert!(ids.insert(msg.msg_id())) }
        }
        let buckets = |keys: &Vec<u32>| keys.iter().map(|k| bucket(*k, channels).unwrap()).collect::<BTreeSet<_>>();
        prop_assert_eq!(whole, keys.iter().filter(|keys| buckets(keys).len() == 1).count());
    }

    #[test]
    fn deletes_are_split_by_key(
        (keys, channels) in packs(),
        kind in prop::sample::select(vec![KeyKind::Legacy, KeyKind::Int, KeyKind::Str, KeyKind::Both]),
    ) {
        let (messages, rows) = number(&keys);
        let msgs = messages.iter().map(|rows| delete(rows, kind).into()).collect();
        check_rows(&repack(&DeleteByKey, msgs, channels).unwrap(), &rows, channels, deleted);
    }

    #[test]
    fn messages_go_whole_by_their_first_key((keys, channels) in packs()) {
        let (messages, _) = number(&keys);
        let msgs: Vec<Message> = messages.iter().map(|rows| insert(rows, false).into()).collect();
        let repacked = repack(&ByHashKey, msgs, channels).unwrap();
        let mut expected = vec![Vec::new(); channels];
        for rows in &messages {
            expected[bucket(rows[0].1, channels).unwrap()].push(rows[0].0);
        }
        for (channel, expected) in expected.into_iter().enumerate() {
            let got = repacked.get(&channel).map(|p| p.msgs.as_slice()).unwrap_or_default();
            let got: Vec<_> = got.iter().map(|m| typed::<InsertMsg>(m).body().timestamps[0]).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn keys_are_found_by_message((keys, _) in packs()) {
        let flat = HashKeys::from_iter(keys.iter().map(Vec::as_slice));
        prop_assert_eq!(flat.iter().map(<[u32]>::to_vec).collect::<Vec<_>>(), keys.clone());
        prop_assert_eq!(flat.of(keys.len()), [0; 0]);
    }
}

fn tick() -> Message {
    TimeTickMsg::new(Timestamp(5)).into()
}

fn stored() -> Message {
    let record = Record::new(Meta::new(MsgType::INSERT, Timestamp(5)), "");
    StoredMessage::new(Arc::from("a"), record).into()
}

#[test]
fn a_message_without_a_hash_key_is_refused_and_named() {
    let no_key: Message = InsertMsg::new(InsertRequest::default()).into();
    for msg in [no_key, stored()] {
        let error = repack(&ByHashKey, vec![insert(&[(1, 1)], true).into(), msg], 1).unwrap_err();
        let RepackError::NoHashKey { index, msg_type } = error else { panic!("{error}") };
        assert_eq!((index, msg_type), (1, MsgType::INSERT));
    }
    let error = repack(&InsertByRow, vec![insert(&[], true).into()], 2).unwrap_err();
    assert!(matches!(error, RepackError::NoHashKey { index: 0, .. }), "{error}");
}

#[test]
fn a_tick_belongs_to_every_channel() {
    let error = repack(&ByHashKey, vec![tick()], 2).unwrap_err();
    assert!(matches!(error, RepackError::Tick { index: 0 }), "{error}");
}

#[test]
fn mixed_types_are_refused() {
    let by_row: [(&dyn Repack, Message); 2] = [
        (&InsertByRow, delete(&[(1, 1)], KeyKind::Int).into()),
        (&DeleteByKey, insert(&[(1, 1)], true).into()),
    ];
    for (by, other) in by_row {
        for msg in [tick(), stored(), other] {
            let error = repack(by, vec![msg], 2).unwrap_err();
            assert!(matches!(error, RepackError::MixedTypes { index: 0, .. }), "{error}");
        }
    }
    let error = repack(&InsertByRow, vec![stored()], 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "message 0 of the pack is an undecoded record of type 400, but this repack takes only \
         inserts: send other messages with another repack"
    );
}

#[test]
fn each_row_needs_a_key() {
    let msg = insert(&[(1, 1), (2, 2)], true).with_hash_keys([1]);
    let error = repack(&InsertByRow, vec![msg.into()], 2).unwrap_err();
    assert!(matches!(error, RepackError::KeyCount { index: 0, keys: 1, rows: 2 }), "{error}");
    let msg = delete(&[(1, 1)], KeyKind::Str).with_hash_keys([1, 2]);
    let error = repack(&DeleteByKey, vec![msg.into()], 2).unwrap_err();
    assert!(matches!(error, RepackError::KeyCount { index: 0, keys: 2, rows: 1 }), "{error}");
}

#[test]
fn a_message_that_contradicts_itself_is_refused() {
    let mut body = insert(&[(1, 1), (2, 2)], true).into_body();
    body.row_ids.pop();
    let msg = InsertMsg::new(body).with_hash_keys([1, 2]);
    let error = repack(&InsertByRow, vec![msg.into()], 2).unwrap_err();
    assert!(matches!(error, RepackError::Inconsistent { index: 0, .. }), "{error}");
}

#[test]
fn what_cant_be_told_apart_by_row_passes_to_one_channel_only() {
    let mut columns = insert(&[(1, 1), (2, 2)], true).into_body();
    columns.row_data.clear();
    columns.set_version(InsertDataVersion::ColumnBased);
    columns.fields_data = vec!["columns".into()];
    let columns = InsertMsg::new(columns);
    let mut keys = delete(&[(1, 1), (2, 2)], KeyKind::Str).into_body();
    keys.int64_primary_keys = vec![9];
    let keys = DeleteMsg::new(keys);

    let split: [(&dyn Repack, Message); 2] = [
        (&InsertByRow, columns.clone().with_hash_keys([1, 2]).into()),
        (&DeleteByKey, keys.clone().with_hash_keys([1, 2]).into()),
    ];
    for (by, msg) in split {
        let error = repack(by, vec![msg], 2).unwrap_err();
        assert!(matches!(error, RepackError::Inseparable { index: 0, channels: 2, .. }), "{error}");
    }
    let columns = columns.with_hash_keys([1, 3]);
    let repacked = repack(&InsertByRow, vec![columns.clone().into()], 2).unwrap();
    assert_eq!(typed::<InsertMsg>(&repacked[&1].msgs[0]), &columns);
    let keys = keys.with_hash_keys([1, 3]);
    let repacked = repack(&DeleteByKey, vec![keys.clone().into()], 2).unwrap();
    assert_eq!(typed::<DeleteMsg>(&repacked[&1].msgs[0]), &keys);
}

#[test]
fn no_channels_is_an_error_and_no_messages_is_none() {
    for by in [&ByHashKey as &dyn Repack, &InsertByRow] {
        let error = repack(by, vec![insert(&[(1, 1)], true).into()], 0).unwrap_err();
        assert!(matches!(error, RepackError::NoSuchChannel { channels: 0, .. }), "{error}");
        assert!(repack(by, Vec::new(), 0).unwrap().is_empty());
    }
}

#[test]
fn a_moved_type_number_stays_with_the_parts() {
    let msg = insert(&[(1, 1), (2, 2)], true).with_msg_type(MsgType(4_000));
    let repacked = repack(&InsertByRow, vec![msg.into()], 2).unwrap();
    let msgs = repacked.values().flat_map(|pack: &MsgPack| &pack.msgs);
    assert_eq!(msgs.map(Message::msg_type).collect::<Vec<_>>(), [MsgType(4_000); 2]);
}
