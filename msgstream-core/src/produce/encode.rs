//! Encodes messages to records.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::message::{Message, TsMsg};
use crate::record::{Meta, Record, SENT_HEADER, Stamp};

/// The payloads of a batch share buffers of at most this size, in bytes; a larger payload has a
/// buffer of its own. A payload keeps its whole buffer alive, so buffers stay small.
const ARENA: usize = 64 << 10;

/// Messages that were encoded for one channel.
pub(super) struct Encoded {
    pub(super) records: Vec<Record>,
    /// The buffers that payloads share, in their order.
    pub(super) buffers: Vec<Bytes>,
}

/// Converts records whose payloads may share no buffers.
impl From<Vec<Record>> for Encoded {
    fn from(records: Vec<Record>) -> Self {
        Self { records, buffers: Vec::new() }
    }
}

/// Encodes the messages for one channel, in order, each with the stamp.
pub(super) fn encode(msgs: &[Message], stamp: Option<&Stamp>) -> Encoded {
    let lens: Vec<usize> = msgs.iter().map(encoded_len).collect();
    let mut records = Vec::with_capacity(msgs.len());
    let mut buffers = Vec::new();
    let mut vchannel = None;
    let mut from = 0;
    while from < msgs.len() {
        let (count, capacity) = arena(&lens[from..]);
        let msgs = &msgs[from..from + count];
        buffers.push(encode_arena(msgs, capacity, stamp, &mut vchannel, &mut records));
        from += count;
    }
    Encoded { records, buffers }
}

/// Returns the bytes that a message needs in a buffer. A stored record already has its payload.
fn encoded_len(msg: &Message) -> usize {
    match msg {
        Message::Typed(m) => m.encoded_len(),
        Message::Stored(_) => 0,
    }
}

/// Returns how many messages share the next buffer, at least one, and the buffer's size.
fn arena(lens: &[usize]) -> (usize, usize) {
    let mut total = lens[0];
    let mut count = 1;
    for len in &lens[1..] {
        if total + len > ARENA {
            break;
        }
        total += len;
        count += 1;
    }
    (count, total)
}

fn encode_arena(
    msgs: &[Message],
    capacity: usize,
    stamp: Option<&Stamp>,
    vchannel: &mut Option<Arc<str>>,
    records: &mut Vec<Record>,
) -> Bytes {
    let first = records.len();
    let mut arena = BytesMut::with_capacity(capacity);
    let mut ends = Vec::with_capacity(msgs.len());
    for msg in msgs {
        let mut record = match msg {
            Message::Typed(m) => {
                m.marshal(&mut arena);
                let mut record = Record::new(meta(&**m, vchannel), Bytes::new());
                record.extra.extend(m.extra());
                record
            }
            Message::Stored(m) => passed_on(&m.record),
        };
        record.meta.stamp = stamp.cloned();
        records.push(record);
        ends.push(arena.len());
    }
    let arena = arena.freeze();
    let mut start = 0;
    for ((msg, record), end) in msgs.iter().zip(&mut records[first..]).zip(ends) {
        if matches!(msg, Message::Typed(_)) {
            record.payload = arena.slice(start..end);
        }
        start = end;
    }
    arena
}

/// Returns the metadata of a message. Neighbours with an equal virtual channel share its name.
fn meta(msg: &dyn TsMsg, last: &mut Option<Arc<str>>) -> Meta {
    let vchannel = msg.vchannel();
    if last.as_deref().unwrap_or_default() != vchannel {
        *last = Some(vchannel).filter(|v| !v.is_empty()).map(Arc::from);
    }
    let mut meta = Meta::new(msg.msg_type(), msg.end_ts());
    meta.msg_id = msg.msg_id();
    meta.collection_id = msg.collection_id();
    meta.vchannel = last.clone();
    meta
}

/// Returns a record that was read, for writing to another channel: the same bytes and headers,
/// without what a session added, which is void on another channel.
pub(super) fn passed_on(record: &Record) -> Record {
    let mut record = record.clone();
    record.meta.stamp = None;
    record.extra.retain(|header| ![Stamp::HEADER, SENT_HEADER].contains(&&*header.name));
    record
}

#[cfg(test)]
mod tests;
