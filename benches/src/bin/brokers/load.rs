//! What is written and read.

use std::hash::Hasher;

use bytes::Bytes;
use msgstream_core::message::proto::{Blob, InsertRequest, MsgBase};
use msgstream_core::record::{Meta, Record};
use msgstream_core::{MsgType, Timestamp};
use prost::Message as _;
use rustc_hash::FxHasher;

use crate::pairs::Case;
use crate::side::Result;

/// How many payloads there are; they take turns.
const PAYLOADS: usize = 512;

/// The time of each channel's first message, in Unix milliseconds.
const FIRST_MS: u64 = 1_750_000_000_000;

/// Messages in channels: as many in each, one per millisecond of event time.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) channels: Vec<String>,
    /// Messages in each channel.
    pub(crate) messages: u64,
    blobs: Vec<Bytes>,
    /// The blobs, or the encoded inserts that hold them if programs are measured.
    payloads: Vec<Bytes>,
}

impl Load {
    /// So many messages in channels whose names begin with that.
    pub(crate) fn new(case: Case, name: &str, messages: u64) -> Self {
        let blob = |seed: usize| -> Bytes {
            (0..case.payload).map(|at| (seed * 31 + at * 7) as u8).collect::<Vec<_>>().into()
        };
        let blobs: Vec<_> = (0..PAYLOADS).map(blob).collect();
        let mut load = Self {
            channels: (0..case.channels).map(|channel| format!("{name}-{channel}")).collect(),
            messages: messages.div_ceil(case.channels as u64),
            payloads: blobs.clone(),
            blobs,
        };
        if case.ticks.is_some() {
            let encoded = |number| load.insert(number).encode_to_vec().into();
            load.payloads = (0..PAYLOADS as u64).map(encoded).collect();
        }
        load
    }

    /// In all channels.
    pub(crate) fn total(&self) -> u64 {
        self.messages * self.channels.len() as u64
    }

    /// The time of a message, by its number.
    pub(crate) const fn timestamp(&self, number: u64) -> Timestamp {
        Timestamp((FIRST_MS + number) << Timestamp::LOGICAL_BITS)
    }

    pub(crate) fn blob(&self, number: u64) -> &Bytes {
        &self.blobs[number as usize % PAYLOADS]
    }

    /// A message by its number, which is below [`Self::messages`]; the same in each channel.
    pub(crate) fn message(&self, number: u64) -> Message {
        let payload = self.payloads[number as usize % PAYLOADS].clone();
        Message { timestamp: self.timestamp(number), msg_id: Message::id(number), payload }
    }

    /// The same as an insert of one row.
    pub(crate) fn insert(&self, number: u64) -> InsertRequest {
        let (ts, msg_id) = (self.timestamp(number), Message::id(number));
        InsertRequest {
            base: Some(MsgBase { msg_id, ..MsgBase::new(MsgType::INSERT, ts) }),
            collection_id: Message::COLLECTION,
            timestamps: vec![ts.0],
            row_ids: vec![msg_id],
            row_data: vec![Blob { value: self.blob(number).clone() }],
            num_rows: 1,
            ..InsertRequest::default()
        }
    }

    /// What has to come out.
    pub(crate) fn expected(&self) -> Found {
        self.sum_of(|number| &self.payloads[number as usize % PAYLOADS])
    }

    /// The same of the rows.
    pub(crate) fn expected_rows(&self) -> Found {
        self.sum_of(|number| self.blob(number))
    }

    fn sum_of<'a>(&'a self, bytes: impl Fn(u64) -> &'a Bytes) -> Found {
        let mut one = Found::default();
        for number in 0..self.messages {
            one.count(self.timestamp(number).0, bytes(number));
        }
        Found::sum(self.channels.iter().map(|_| one))
    }
}

/// A message as a program has it before it is written.
#[derive(Debug)]
pub(crate) struct Message {
    timestamp: Timestamp,
    msg_id: i64,
    pub(crate) payload: Bytes,
}

impl Message {
    const COLLECTION: i64 = 449_182_220_713_001_001;

    const fn id(number: u64) -> i64 {
        449_182_220_713_000_000 + number as i64
    }

    /// The header that a reader of the plain client needs, too.
    #[allow(dead_code, reason = "only brokers that are compiled in use it")]
    pub(crate) const TIMESTAMP: &str = "timestamp";

    pub(crate) fn into_record(self) -> Record {
        let mut meta = Meta::new(MsgType::INSERT, self.timestamp);
        (meta.msg_id, meta.collection_id) = (self.msg_id, Self::COLLECTION);
        Record::new(meta, self.payload)
    }

    /// The headers of that record, see the wire format.
    #[allow(dead_code, reason = "only brokers that are compiled in use it")]
    pub(crate) fn headers(&self) -> [(&'static str, String); 5] {
        [
            ("msg_type", "Insert".to_owned()),
            ("msg_id", self.msg_id.to_string()),
            (Self::TIMESTAMP, self.timestamp.0.to_string()),
            ("vchannel", String::new()),
            ("collection_id", Self::COLLECTION.to_string()),
        ]
    }
}

/// What was read of one channel, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) messages: u64,
    last: u64,
    sum: u64,
}

impl Found {
    /// One more message of a channel.
    pub(crate) fn add(&mut self, timestamp: u64, payload: &[u8]) -> Result<()> {
        if timestamp <= self.last {
            return Err(format!("message {timestamp} came after {}", self.last).into());
        }
        self.count(timestamp, payload);
        Ok(())
    }

    fn count(&mut self, timestamp: u64, payload: &[u8]) {
        let mut hash = FxHasher::default();
        hash.write_u64(timestamp);
        hash.write(payload);
        self.messages += 1;
        self.last = timestamp;
        self.sum = self.sum.wrapping_add(hash.finish());
    }

    /// Of several channels together.
    pub(crate) fn sum(channels: impl IntoIterator<Item = Self>) -> Self {
        channels.into_iter().fold(Self::default(), |all, one| Self {
            messages: all.messages + one.messages,
            last: all.last.max(one.last),
            sum: all.sum.wrapping_add(one.sum),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::MsgTypeNames;
    use msgstream_core::adapter::encode_headers;

    use super::*;
    use crate::pairs::Direction;

    fn load() -> Load {
        Load::new(
            Case { direction: Direction::Read, payload: 16, channels: 2, ticks: None },
            "a",
            1_001,
        )
    }

    #[test]
    fn both_sides_write_the_same_headers() {
        let names = MsgTypeNames::default();
        let headers = load().message(7).headers();
        let record = load().message(7).into_record();
        let encoded = encode_headers(&record, &names);
        let encoded: Vec<_> = encoded.map(|(name, value)| (name, value.into_owned())).collect();
        assert_eq!(encoded, headers.map(|(name, value)| (name, value.into_bytes())));
    }

    #[test]
    fn what_is_missing_changed_or_out_of_order_is_found() {
        let load = load();
        assert_eq!((load.messages, load.total()), (501, 1_002));
        let read = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut found = Found::default();
            for number in numbers {
                let message = load.message(number);
                found.add(message.timestamp.0, &message.payload)?;
            }
            Ok::<_, crate::side::Error>(Found::sum([found, found]))
        };
        assert_eq!(read(&mut (0..501)).unwrap(), load.expected());
        assert_ne!(read(&mut (0..500)).unwrap(), load.expected());
        assert!(read(&mut [0, 2, 1].into_iter()).is_err());
        assert!(read(&mut [0, 0].into_iter()).is_err());
        let mut changed = Found::default();
        changed.add(1, b"a").unwrap();
        let mut other = Found::default();
        other.add(1, b"b").unwrap();
        assert_ne!(changed, other);
    }
}
