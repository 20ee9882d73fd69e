//! Records as the entries of a log: each a batch of messages.

mod key;

use std::borrow::Cow;

use bytes::{Buf as _, Bytes};
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter;
use msgstream_core::adapter::Failure;
use msgstream_core::record::unreadable;
use msgstream_core::record::{Header, KEY_HEADER, Position, Record};
use msgstream_core::transport::TransportErrorKind as Kind;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::compression::decompress;
use crate::entry::{Metadata, Payload, Property, SingleMetadata};

/// What the broker counts besides an entry's messages: lengths, a checksum and the entry's own
/// metadata, in bytes. An upper bound.
pub(crate) const ENTRY_OVERHEAD: usize = 512;
/// How large an entry grows if there are more records, in bytes.
const ENTRY_GOAL: usize = 128 << 10;
/// An entry up to this length is shared by its records, in bytes; of a longer one each has a copy.
const SHARED: usize = 16 << 10;

/// Records together, ready to be sent.
#[derive(Debug)]
pub(crate) struct EncodedEntry {
    pub(crate) payload: Vec<u8>,
    pub(crate) messages: u32,
}

/// Fails if a record can't be written, or exceeds a limit in bytes.
pub(crate) fn check(record: &Record, names: &MsgTypeNames, limit: usize) -> Result<(), Failure> {
    for (at, header) in record.extra.iter().enumerate() {
        if &*header.name != KEY_HEADER {
            header.text()?;
        }
        let repeated = record.extra[..at].iter().any(|other| other.name == header.name);
        if repeated || is_reserved(&header.name, record.meta.stamp.is_some()) {
            return Err(Kind::InvalidHeader {
                name: header.name.to_string(),
                reason: "a message has only one property of each name, and this name is taken: use another name"
                    .to_owned(),
            }
            .into());
        }
    }
    let bytes = Lengths::of(record, names).whole();
    if bytes > limit { Err(Kind::TooLarge { bytes, limit }.into()) } else { Ok(()) }
}

/// Returns whether the metadata uses the name.
fn is_reserved(name: &str, stamped: bool) -> bool {
    let of_meta = ["msg_type", "msg_id", "timestamp", "vchannel", "collection_id"];
    of_meta.contains(&name) || stamped && name == msgstream_core::record::Stamp::HEADER
}

/// Encodes records, in their order, in entries that are no longer than the limit.
pub(crate) fn encode(records: &[Record], names: &MsgTypeNames, limit: usize) -> Vec<EncodedEntry> {
    let mut entries: Vec<EncodedEntry> = Vec::new();
    for record in records {
        let lengths = Lengths::of(record, names);
        let fits = |entry: &&mut EncodedEntry| {
            entry.payload.len() + lengths.whole() <= ENTRY_GOAL.min(limit)
        };
        if let Some(entry) = entries.last_mut().filter(fits) {
            append(&mut entry.payload, record, names, lengths);
            entry.messages += 1;
        } else {
            let mut payload = Vec::with_capacity(lengths.whole());
            append(&mut payload, record, names, lengths);
            entries.push(EncodedEntry { payload, messages: 1 });
        }
    }
    entries
}

/// The lengths of a message's parts, in bytes.
#[derive(Clone, Copy)]
struct Lengths {
    metadata: usize,
    payload: usize,
}

impl Lengths {
    fn of(record: &Record, names: &MsgTypeNames) -> Self {
        let (key, headers) = adapter::encode_with_key(record, names);
        let properties = headers.map(|(name, value)| field_len(property_len(name, &value)));
        let key = key.map_or(0, |key| key::encoded_len(key));
        let payload = record.payload.len();
        Self {
            metadata: properties.sum::<usize>() + key + 1 + encoded_len_varint(payload as u64),
            payload,
        }
    }

    const fn whole(self) -> usize {
        4 + self.metadata + self.payload
    }
}

fn property_len(name: &str, value: &[u8]) -> usize {
    field_len(name.len()) + field_len(value.len())
}

/// Returns the length of a field of so many bytes.
fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Appends a message: the length of its metadata, the metadata, the payload. The metadata is written field
/// by field, because the protocol's own types would own a copy of every header.
fn append(buffer: &mut Vec<u8>, record: &Record, names: &MsgTypeNames, lengths: Lengths) {
    buffer.reserve(lengths.whole());
    buffer.extend_from_slice(&(lengths.metadata as u32).to_be_bytes());
    let (key, headers) = adapter::encode_with_key(record, names);
    for (name, value) in headers {
        encode_key(1, WireType::LengthDelimited, buffer);
        encode_varint(property_len(name, &value) as u64, buffer);
        append_field(1, name.as_bytes(), buffer);
        append_field(2, &value, buffer);
    }
    if let Some(key) = key {
        key::append(key, buffer);
    }
    encode_key(3, WireType::Varint, buffer);
    encode_varint(lengths.payload as u64, buffer);
    buffer.extend_from_slice(&record.payload);
}

fn append_field(tag: u32, bytes: &[u8], buffer: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, buffer);
    encode_varint(bytes.len() as u64, buffer);
    buffer.extend_from_slice(bytes);
}

/// Decodes the records of an entry from a place on, and adds them to the others.
///
/// It can't fail: a log may hold anything. What can't be taken apart is one record that can't be
/// read.
pub(crate) fn decode(
    ledger: u64,
    entry: u64,
    payload: Payload,
    from: Position,
    names: &MsgTypeNames,
    records: &mut impl Extend<Record>,
) {
    let place = |third| Position::from_words([ledger, entry, third]);
    let mut whole = |reason: String, properties: &[Property], data| {
        records.extend(
            (place(0) >= from).then(|| unreadable(place(0), reason, headers(properties), data)),
        );
    };
    let (metadata, data) = match payload {
        Payload::Sound { metadata, data } => (metadata, data),
        Payload::Damaged { reason, whole: data } => return whole(reason, &[], data),
    };
    if let Some(reason) = closed(&metadata) {
        return whole(reason, &metadata.properties, data);
    }
    let plain = match decompress(&metadata, &data) {
        Some(Cow::Borrowed(_)) => data,
        Some(Cow::Owned(plain)) => Bytes::from(plain),
        None => {
            let reason = "it can't be decompressed".to_owned();
            return whole(reason, &metadata.properties, data);
        }
    };
    let Some(messages) = metadata.num_messages_in_batch else {
        let key = key::read(metadata.partition_key, metadata.partition_key_b64_encoded);
        let record = || read(place(0), &metadata.properties, key, plain, names);
        return records.extend((place(0) >= from).then(record));
    };
    let mut rest = plain.clone();
    for index in 0..messages {
        let at = place(u64::try_from(index).unwrap_or_default() + 1);
        let (single, payload) = match split_message(&mut rest) {
            Ok(split) => split,
            Err(mut reason) => {
                let behind = messages - index - 1;
                if behind > 0 {
                    reason += &format!("; the {behind} behind it in its batch are lost with it");
                }
                let record = || unreadable(at, reason, [], rest);
                return records.extend((at >= from).then(record));
            }
        };
        if at < from || single.compacted_out() {
            continue;
        }
        let payload = if plain.len() > SHARED { Bytes::copy_from_slice(&payload) } else { payload };
        let key = key::read(single.partition_key, single.partition_key_b64_encoded);
        records.extend([read(at, &single.properties, key, payload, names)]);
    }
}

/// Returns why nothing in an intact entry can be read.
fn closed(metadata: &Metadata) -> Option<String> {
    let Metadata { num_messages_in_batch, num_chunks_from_msg, chunk_id, .. } = metadata;
    if !metadata.encryption_keys.is_empty() {
        return Some(match num_messages_in_batch {
            Some(messages) => format!("it is an encrypted batch of {messages} messages"),
            None => "it is encrypted".to_owned(),
        });
    }
    let chunks = num_chunks_from_msg.unwrap_or_default();
    (chunks > 1 || chunk_id.is_some()).then(|| {
        let number = i64::from(chunk_id.unwrap_or_default()) + 1;
        format!("it is chunk {number} of {chunks} of a message")
    })
}

/// Returns the next message of a batch, or what is wrong with it.
fn split_message(rest: &mut Bytes) -> Result<(SingleMetadata, Bytes), String> {
    let mut left = rest.clone();
    let broken = || "its batch breaks off in it".to_owned();
    let length = left.try_get_u32().map_err(|_| broken())?;
    let metadata = left.split_to_checked(length as usize).ok_or_else(broken)?;
    let metadata = SingleMetadata::decode(metadata)
        .map_err(|error| format!("its metadata can't be decoded: {error}"))?;
    let size = metadata.payload_size.and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| "its metadata doesn't say how long it is".to_owned())?;
    let payload = left.split_to_checked(size).ok_or_else(broken)?;
    *rest = left;
    Ok((metadata, payload))
}

trait SplitChecked: Sized {
    fn split_to_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitChecked for Bytes {
    fn split_to_checked(&mut self, at: usize) -> Option<Self> {
        (at <= self.len()).then(|| self.split_to(at))
    }
}

/// Returns the record of a message. Its properties must be UTF-8, or it can't be read.
fn read(
    at: Position,
    properties: &[Property],
    key: Option<Bytes>,
    payload: Bytes,
    names: &MsgTypeNames,
) -> Record {
    let is_text = |bytes: &Bytes| std::str::from_utf8(bytes).is_ok();
    let odd =
        properties.iter().find(|property| !is_text(&property.key) || !is_text(&property.value));
    let mut record = match odd {
        None => {
            let headers = properties.iter().map(|property| (&property.key, &*property.value));
            adapter::read_record(at, headers, payload, names)
        }
        Some(property) => {
            let name = String::from_utf8_lossy(&property.key);
            let reason = format!("its property `{}` isn't UTF-8", name.escape_debug());
            unreadable(at, reason, headers(properties), payload)
        }
    };
    if let Some(key) = key {
        adapter::add_key(&mut record, key);
    }
    record
}

/// Returns properties as headers. In names, U+FFFD replaces bytes that aren't UTF-8.
fn headers(properties: &[Property]) -> impl Iterator<Item = Header> {
    properties.iter().map(|Property { key, value }| {
        Header::new(String::from_utf8_lossy(key), Bytes::copy_from_slice(value))
    })
}

#[cfg(test)]
mod tests;
