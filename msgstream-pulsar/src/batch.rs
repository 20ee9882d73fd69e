//! Records as the entries of a log: each a batch of messages.

use std::borrow::Cow;

use bytes::Bytes;
use msgstream_core::MsgTypeNames;
use msgstream_core::transport::{Position, Record, TransportErrorKind as Kind};
use msgstream_core::wire;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use pulsar::Payload;
use pulsar::proto::{KeyValue, MessageMetadata, SingleMessageMetadata};

use crate::compression::decompress;

/// What the broker counts beside an entry's messages: lengths, a checksum and the entry's own
/// metadata, in bytes. An upper bound.
pub(crate) const ENTRY_OVERHEAD: usize = 512;
/// How long an entry grows where there are more records, in bytes.
const ENTRY_GOAL: usize = 128 << 10;
/// An entry up to this length is shared by its records, in bytes; of a longer one each has a copy.
const SHARED: usize = 16 << 10;

/// Records together, ready to be sent.
#[derive(Debug)]
pub(crate) struct EncodedEntry {
    pub(crate) payload: Vec<u8>,
    pub(crate) messages: u32,
}

/// Refuses a record that can't be written, or is over a limit in bytes.
pub(crate) fn check(record: &Record, names: &MsgTypeNames, limit: usize) -> Result<(), Kind> {
    for (at, header) in record.extra.iter().enumerate() {
        header.text()?;
        let repeated = record.extra[..at].iter().any(|other| other.name == header.name);
        if repeated || is_reserved(&header.name, record.meta.stamp.is_some()) {
            return Err(Kind::InvalidHeader {
                name: header.name.to_string(),
                reason: "a message has one property of a name, and this one is there already"
                    .to_owned(),
            });
        }
    }
    let bytes = Lengths::of(record, names).whole();
    if bytes > limit { Err(Kind::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// Whether the metadata takes the name.
fn is_reserved(name: &str, stamped: bool) -> bool {
    let of_meta = ["msg_type", "msg_id", "timestamp", "vchannel", "collection_id"];
    of_meta.contains(&name) || stamped && name == msgstream_core::transport::Stamp::HEADER
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
        let headers = wire::encode_headers(record, names);
        let properties: usize = headers
            .map(|(name, value)| {
                let length = property_len(name, &value);
                1 + encoded_len_varint(length as u64) + length
            })
            .sum();
        let payload = record.payload.len();
        Self { metadata: properties + 1 + encoded_len_varint(payload as u64), payload }
    }

    const fn whole(self) -> usize {
        4 + self.metadata + self.payload
    }
}

fn property_len(name: &str, value: &[u8]) -> usize {
    let field = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    field(name.len()) + field(value.len())
}

/// A message: the length of its metadata, the metadata, the payload. The metadata is written field
/// by field, for the protocol's own types would own a copy of every header.
fn append(buffer: &mut Vec<u8>, record: &Record, names: &MsgTypeNames, lengths: Lengths) {
    buffer.reserve(lengths.whole());
    buffer.extend_from_slice(&(lengths.metadata as u32).to_be_bytes());
    for (name, value) in wire::encode_headers(record, names) {
        encode_key(1, WireType::LengthDelimited, buffer);
        encode_varint(property_len(name, &value) as u64, buffer);
        for (tag, text) in [(1, name.as_bytes()), (2, &value)] {
            encode_key(tag, WireType::LengthDelimited, buffer);
            encode_varint(text.len() as u64, buffer);
            buffer.extend_from_slice(text);
        }
    }
    encode_key(3, WireType::Varint, buffer);
    encode_varint(lengths.payload as u64, buffer);
    buffer.extend_from_slice(&record.payload);
}

/// The records of an entry from a place on, added to the others.
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
    let Payload { metadata, data } = payload;
    let place = |third| Position::from_words([ledger, entry, third]);
    let whole = Bytes::from(data);
    let Some(data) = decompress(&metadata, &whole).map(|data| match data {
        Cow::Borrowed(_) => whole.clone(),
        Cow::Owned(data) => Bytes::from(data),
    }) else {
        return records.extend((place(0) >= from).then(|| unreadable(place(0), &metadata, whole)));
    };
    let Some(messages) = metadata.num_messages_in_batch else {
        let record = (place(0) >= from)
            .then(|| wire::read_record(place(0), properties(&metadata.properties), data, names));
        return records.extend(record);
    };
    let mut rest = data.clone();
    for index in 0..u64::try_from(messages).unwrap_or_default() {
        let at = place(index + 1);
        let Some((single, payload)) = split_message(&mut rest) else {
            // What is left can't be told apart.
            return records.extend((at >= from).then(|| unreadable(at, &metadata, rest)));
        };
        if at < from || single.compacted_out() {
            continue;
        }
        let payload = if data.len() > SHARED { Bytes::copy_from_slice(&payload) } else { payload };
        records.extend([wire::read_record(at, properties(&single.properties), payload, names)]);
    }
}

fn split_message(rest: &mut Bytes) -> Option<(SingleMessageMetadata, Bytes)> {
    let mut left = rest.clone();
    let length = left.split_to_checked(4)?;
    let length = u32::from_be_bytes(length.as_ref().try_into().ok()?);
    let metadata = left.split_to_checked(length as usize)?;
    let metadata = SingleMessageMetadata::decode(metadata).ok()?;
    let payload = left.split_to_checked(usize::try_from(metadata.payload_size).ok()?)?;
    *rest = left;
    Some((metadata, payload))
}

trait SplitChecked: Sized {
    fn split_to_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitChecked for Bytes {
    fn split_to_checked(&mut self, at: usize) -> Option<Self> {
        (at <= self.len()).then(|| self.split_to(at))
    }
}

fn properties(all: &[KeyValue]) -> impl Iterator<Item = (&str, &[u8])> + Clone {
    all.iter().map(|property| (&*property.key, property.value.as_bytes()))
}

/// A record that no policy takes for a message.
fn unreadable(at: Position, metadata: &MessageMetadata, data: Bytes) -> Record {
    // A type that nobody has: the properties stay as they are.
    let mark = [("msg_type", b"\xff".as_slice())];
    let mut record = wire::read_record(at, mark, data, &MsgTypeNames::default());
    record.extra = properties(&metadata.properties)
        .map(|(name, value)| {
            msgstream_core::transport::Header::new(name, Bytes::copy_from_slice(value))
        })
        .collect();
    record
}

#[cfg(test)]
mod tests;
