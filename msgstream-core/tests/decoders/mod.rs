//! Every decoder of this crate, with what must hold for any bytes: it answers or refuses, never
//! panics, and what it accepted it writes and reads again as the same.
//!
//! The fuzz targets and the test over the seeds share this file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub(crate) mod views;

use bytes::Bytes;
use msgstream_core::adapter::positions::{EntryId, offset_from_bytes, offset_to_bytes};
use msgstream_core::adapter::{decode_headers, encode_headers};
use msgstream_core::message::{
    CreateCollectionMsg, CreatePartitionMsg, DeleteMsg, DropCollectionMsg, InsertMsg, SearchMsg,
    SearchResultMsg, SegStatisticsMsg, SerdeBody, SerdeMsg, TimeSyncMsg, TimeTickMsg, Unmarshal,
};
use msgstream_core::record::{Meta, Record};
use msgstream_core::{
    Checkpoint, DecodeError, MsgType, MsgTypeNames, Timestamp, UnmarshalDispatcher,
};

pub(crate) type Decoder = fn(&[u8]);

/// The decoders by name; a fuzz target and a folder of seeds go with each.
pub(crate) const ALL: [(&str, Decoder); 5] = [
    ("messages", messages),
    ("headers", headers),
    ("payload_header", payload_header),
    ("positions", positions),
    ("checkpoint", checkpoint),
];

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Json(serde_json::Value);

impl SerdeBody for Json {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

/// A payload, as a message of each type, and as a view of it.
pub(crate) fn messages(data: &[u8]) {
    views::compare_all(data);
    message::<InsertMsg>(data);
    message::<DeleteMsg>(data);
    message::<SearchMsg>(data);
    message::<SearchResultMsg>(data);
    message::<SegStatisticsMsg>(data);
    message::<TimeTickMsg>(data);
    message::<TimeSyncMsg>(data);
    message::<CreateCollectionMsg>(data);
    message::<DropCollectionMsg>(data);
    message::<CreatePartitionMsg>(data);
    message::<SerdeMsg<Json>>(data);
}

fn message<M: Unmarshal>(data: &[u8]) {
    let mut dispatcher = UnmarshalDispatcher::empty();
    dispatcher.add_msg_template::<M>();
    let meta = Meta::new(M::MSG_TYPE, Timestamp(7));
    let record = Record::new(meta, Bytes::copy_from_slice(data));
    let Ok(message) = dispatcher.unmarshal(&record) else { return };

    assert!(message.begin_ts() <= message.end_ts());
    let written = message.to_record();
    assert_eq!(written.payload.len(), message.encoded_len());
    assert_eq!(dispatcher.unmarshal(&written).unwrap().to_record(), written);
}

/// Headers, one `name: value` a line up to an empty line; then the payload.
pub(crate) fn headers(data: &[u8]) {
    let mut rest = data;
    let mut headers = Vec::new();
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.iter().position(|b| *b == b':') else { break };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { break };
        let value = &line[colon + 1..];
        headers.push((name, value.strip_prefix(b" ").unwrap_or(value)));
    }
    metadata(&headers, rest);
}

/// A payload whose headers are lost.
pub(crate) fn payload_header(data: &[u8]) {
    metadata(&[], data);
}

fn metadata(headers: &[(&str, &[u8])], payload: &[u8]) {
    let names = MsgTypeNames::default();
    let payload = Bytes::copy_from_slice(payload);
    let read = decode_headers(headers.iter().copied(), &payload, &names);
    let Ok((meta, extra)) = read else { return };
    let mut record = Record::new(meta, payload);
    record.extra = extra;

    let written: Vec<_> = encode_headers(&record, &names).collect();
    let written = written.iter().map(|(name, value)| (*name, &**value));
    let again = decode_headers(written, &record.payload, &names).unwrap();
    assert_eq!(again, (record.meta, record.extra));
}

/// A position's bytes, in each format.
pub(crate) fn positions(data: &[u8]) {
    if let Ok(position) = offset_from_bytes(data) {
        assert_eq!(offset_to_bytes(position), data);
    }
    if let Ok(id) = EntryId::from_bytes(data) {
        assert_eq!(EntryId::from_bytes(&id.to_bytes()).unwrap(), id);
        let again: Result<EntryId, DecodeError> =
            EntryId::from_position(id.position(), id.partition);
        assert_eq!(again.unwrap().position(), id.position());
    }
}

/// A checkpoint's JSON.
pub(crate) fn checkpoint(data: &[u8]) {
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(data) else { return };
    let written = serde_json::to_vec(&checkpoint).unwrap();
    assert_eq!(serde_json::from_slice::<Checkpoint>(&written).unwrap(), checkpoint);
}
