//! What the two processes say to each other: each question and each answer is a line of JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::record::{Header, Incarnation, Meta, Origin, Position, Record, Stamp};
use msgstream_core::transport::{Limit, Start};
use msgstream_core::{MsgType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Failed;

/// A question about an object: a handle, a writer, a reader or a subscription. Whoever asks for a new
/// one chooses its number.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) id: u64,
    pub(crate) object: u64,
    pub(crate) ask: Ask,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Ask {
    Open,
    Create {
        channel: String,
        properties: BTreeMap<String, String>,
    },
    Delete {
        channel: String,
    },
    Trim {
        channel: String,
        before: Position,
    },
    List {
        prefix: String,
    },
    Describe {
        channel: String,
    },
    Writer {
        channel: String,
        object: u64,
    },
    Reader {
        channel: String,
        object: u64,
        start: Start,
        incarnation: Option<Incarnation>,
    },
    Subscription {
        channel: String,
        object: u64,
        name: String,
    },
    Unsubscribe {
        channel: String,
        name: String,
    },
    Subscriptions {
        channel: String,
    },
    EncodePosition {
        position: Position,
    },
    DecodePosition {
        bytes: Vec<u8>,
    },
    Ready,
    Check {
        records: Vec<Flat>,
    },
    Submit {
        records: Vec<Flat>,
    },
    Read {
        records: usize,
        bytes: usize,
        wait: Duration,
    },
    Seek {
        start: Start,
    },
    Ack {
        before: Position,
    },
    Acked,
    Close,
    /// Whoever asked an object last waits no longer.
    Cancel,
    /// Nobody uses the object any more.
    Drop,
}

impl Ask {
    pub(crate) const fn read(limit: Limit) -> Self {
        Self::Read { records: limit.records, bytes: limit.bytes, wait: limit.wait }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) answer: Answer,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Names(Vec<String>),
    Info {
        incarnation: Incarnation,
        first: Option<Position>,
        end: Position,
        records: Option<u64>,
        properties: BTreeMap<String, String>,
    },
    Reader {
        incarnation: Incarnation,
    },
    Bytes(Vec<u8>),
    Position(Option<Position>),
    Outcome {
        stored: Vec<Position>,
        rest: Option<Rest>,
    },
    Batch {
        records: Vec<Flat>,
        next: Position,
        caught_up: bool,
    },
    Failed(Failed),
    /// The call was cancelled before it did anything.
    Cancelled,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rest {
    /// Otherwise its fate isn't known.
    pub(crate) not_stored: bool,
    pub(crate) error: Failed,
}

/// A record as JSON has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Flat {
    position: Position,
    msg_type: MsgType,
    msg_id: i64,
    timestamp: Timestamp,
    collection_id: i64,
    vchannel: Option<String>,
    stamp: Option<(String, Position, u64)>,
    extra: Vec<(String, String)>,
    payload: String,
}

/// Returns a text with a character for each byte.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

impl From<&Record> for Flat {
    fn from(record: &Record) -> Self {
        let meta = &record.meta;
        let flat = |s: &Stamp| (s.origin.producer.to_string(), s.origin.epoch, s.seq);
        Self {
            position: record.position,
            msg_type: meta.msg_type,
            msg_id: meta.msg_id,
            timestamp: meta.timestamp,
            collection_id: meta.collection_id,
            vchannel: meta.vchannel.as_deref().map(str::to_owned),
            stamp: meta.stamp.as_ref().map(flat),
            extra: record.extra.iter().map(|h| (h.name.to_string(), text(&h.value))).collect(),
            payload: text(&record.payload),
        }
    }
}

impl From<Flat> for Record {
    fn from(flat: Flat) -> Self {
        let mut meta = Meta::new(flat.msg_type, flat.timestamp);
        (meta.msg_id, meta.collection_id) = (flat.msg_id, flat.collection_id);
        meta.vchannel = flat.vchannel.map(Into::into);
        meta.stamp = flat.stamp.map(|(producer, epoch, seq)| {
            let origin = Arc::new(Origin { producer: producer.into(), epoch });
            Stamp { origin, seq }
        });
        let mut record = Self::new(meta, bytes(&flat.payload));
        let header = |(name, value): (String, String)| Header::new(name, bytes(&value));
        record.extra = flat.extra.into_iter().map(header).collect();
        record.position = flat.position;
        record
    }
}
