//! What an entry is on the wire.

use msgstream_conformance::{BadKind, PlainRecord};
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::encode_with_key;
use msgstream_core::record::Record;
use prost::Message as _;
use pulsar::message::proto::{EncryptionKeys, KeyValue, MessageMetadata, SingleMessageMetadata};

use crate::crc32c::crc32c;

const NO_NUMBER: BadKind = BadKind::new("a time that is no number");
const NO_TYPE: BadKind = BadKind::new("a type that nobody has");
const NO_PROPERTIES: BadKind = BadKind::new("no properties");
const NO_TEXT: BadKind = BadKind::new("a property that isn't UTF-8");
const NO_TEXT_IN_A_BATCH: BadKind =
    BadKind::new("a property that isn't UTF-8, in a batch with others");
const NO_LZ4: BadKind = BadKind::new("a payload that isn't the LZ4 that it is said to be");
const ENCRYPTED: BadKind = BadKind::new("an encrypted payload");
const A_CHUNK: BadKind = BadKind::new("a part of a message");

pub(super) const BAD_KINDS: &[BadKind] =
    &[NO_NUMBER, NO_TYPE, NO_PROPERTIES, NO_TEXT, NO_TEXT_IN_A_BATCH, NO_LZ4, ENCRYPTED, A_CHUNK];

/// As long as `WRONG`, which takes its place.
const RIGHT: &str = "right";
const WRONG: &[u8] = b"\xff\xfe\xfd\xfc\xfb";

/// The most messages of a batch.
const BATCH: usize = 100;

/// What the broker stores as one.
#[derive(Default)]
pub(super) struct Entry {
    metadata: MessageMetadata,
    is_wrong: bool,
    payload: Vec<u8>,
    pub(super) messages: i32,
    pub(super) is_chunk: bool,
}

/// The entries of records: batches, and each record alone that is bad as an entry.
pub(super) fn entries(records: &[PlainRecord]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut is_open = false;
    for record in records {
        let message = match record {
            PlainRecord::Good(record) => good(record),
            PlainRecord::Bad { kind, payload } if *kind == NO_TEXT_IN_A_BATCH => {
                wrong(message(None, vec![property("colour", RIGHT)], payload))
            }
            PlainRecord::Bad { kind, payload } => {
                entries.push(alone(*kind, payload));
                is_open = false;
                continue;
            }
        };
        match entries.last_mut().filter(|last| is_open && last.messages < BATCH as i32) {
            Some(batch) => batch.add(&message),
            None => {
                entries.push(Entry::default());
                entries.iter_mut().last().into_iter().for_each(|batch| batch.add(&message));
            }
        }
        is_open = true;
    }
    entries
}

fn property(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_owned() }
}

fn good(record: &Record) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let names = MsgTypeNames::default();
    let (key, headers) = encode_with_key(record, &names);
    let properties = headers.map(|(name, value)| property(name, &text(&value))).collect();
    message(key.map(|key| text(key)), properties, &record.payload)
}

/// A message of a batch.
fn message(partition_key: Option<String>, properties: Vec<KeyValue>, payload: &[u8]) -> Vec<u8> {
    let payload_size = payload.len() as i32;
    let metadata =
        SingleMessageMetadata { partition_key, properties, payload_size, ..Default::default() };
    let metadata = metadata.encode_to_vec();
    [&(metadata.len() as u32).to_be_bytes()[..], &metadata, payload].concat()
}

/// An entry that is one message.
fn alone(kind: BadKind, payload: &[u8]) -> Entry {
    let mut metadata = MessageMetadata::default();
    let mut entry = Entry { payload: payload.to_vec(), messages: 1, ..Default::default() };
    match kind {
        NO_NUMBER => {
            let names = ["msg_type", "msg_id", "vchannel", "collection_id"];
            let values = ["Insert", "1", "", "0"];
            let meta = names.into_iter().zip(values).chain([("timestamp", "soon")]);
            metadata.properties = meta.map(|(name, value)| property(name, value)).collect();
        }
        NO_TYPE => metadata.properties = vec![property("msg_type", "no such type")],
        NO_TEXT => {
            metadata.properties = vec![property("colour", RIGHT)];
            entry.is_wrong = true;
        }
        NO_LZ4 => {
            metadata.compression = Some(1);
            metadata.uncompressed_size = Some(1_000);
        }
        ENCRYPTED => {
            let key = EncryptionKeys {
                key: "key".to_owned(),
                value: b"k".to_vec(),
                ..Default::default()
            };
            metadata.encryption_keys = vec![key];
        }
        A_CHUNK => {
            metadata.uuid = Some("a message".to_owned());
            metadata.num_chunks_from_msg = Some(2);
            metadata.total_chunk_msg_size = Some(1_000);
            metadata.chunk_id = Some(0);
            entry.is_chunk = true;
        }
        _ => {}
    }
    Entry { metadata, ..entry }
}

impl Entry {
    fn add(&mut self, message: &[u8]) {
        self.payload.extend_from_slice(message);
        self.messages += 1;
        self.metadata.num_messages_in_batch = Some(self.messages);
    }

    /// What follows the command: a mark, the checksum of the rest, the length of the metadata, the
    /// metadata and the payload.
    pub(super) fn bytes(&self, sequence_id: u64) -> Vec<u8> {
        let metadata = MessageMetadata {
            producer_name: "plain".to_owned(),
            sequence_id,
            publish_time: 1,
            ..self.metadata.clone()
        };
        let mut metadata = metadata.encode_to_vec();
        if self.is_wrong {
            metadata = wrong(metadata);
        }
        let length = (metadata.len() as u32).to_be_bytes();
        let rest = [&length[..], &metadata, &self.payload].concat();
        [&[0x0e, 0x01], &crc32c(&rest).to_be_bytes()[..], &rest].concat()
    }
}

/// The same with what isn't UTF-8, which the protocol's own types can't hold.
fn wrong(mut encoded: Vec<u8>) -> Vec<u8> {
    let right = RIGHT.as_bytes();
    let at = encoded.windows(right.len()).position(|part| part == right);
    if let Some(at) = at {
        encoded[at..at + right.len()].copy_from_slice(WRONG);
    }
    encoded
}
