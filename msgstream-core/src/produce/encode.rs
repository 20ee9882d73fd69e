//! Encodes messages to records.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::message::{Message, TsMsg};
use crate::record::{Meta, Record, Stamp};

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
                record.extra.extend(m.replicate_header());
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
    record.extra.retain(|header| &*header.name != Stamp::HEADER);
    record
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;
    use crate::message::StoredMessage;
    use crate::record::Header;
    use crate::record::{MsgType, Timestamp};

    #[derive(Debug)]
    struct Blob(&'static str, Bytes);

    impl TsMsg for Blob {
        fn msg_type(&self) -> MsgType {
            MsgType(70_000)
        }
        fn begin_ts(&self) -> Timestamp {
            Timestamp(1)
        }
        fn end_ts(&self) -> Timestamp {
            Timestamp(2)
        }
        fn set_ts(&mut self, _: Timestamp) {}
        fn vchannel(&self) -> &str {
            self.0
        }
        fn encoded_len(&self) -> usize {
            self.1.len()
        }
        fn marshal(&self, buf: &mut BytesMut) {
            buf.extend_from_slice(&self.1);
        }
    }

    fn blob(vchannel: &'static str, len: usize) -> Message {
        let bytes = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        Blob(vchannel, bytes).into()
    }

    #[test]
    fn payloads_are_those_of_their_messages_wherever_buffers_end() {
        let sizes = [0, 1, ARENA, ARENA + 1, 7, ARENA - 7, 1, 0, ARENA / 2, ARENA / 2, 5];
        let msgs: Vec<_> = sizes.iter().map(|len| blob("", *len)).collect();
        let records = encode(&msgs, None).records;
        assert_eq!(records.len(), msgs.len());
        for (msg, record) in msgs.iter().zip(&records) {
            let Message::Typed(m) = msg else { panic!("all are typed") };
            assert_eq!(*record, m.to_record());
        }
    }

    #[test]
    fn a_shared_buffer_is_bounded() {
        for lens in [vec![ARENA + 1, 1], vec![ARENA, 1], vec![ARENA - 1, 1, 1], vec![9; 10_000]] {
            let (count, capacity) = arena(&lens);
            assert!(count == 1 || capacity <= ARENA, "{count} messages in {capacity} bytes");
            assert_eq!(lens[..count].iter().sum::<usize>(), capacity);
            assert!(capacity + lens[count] > ARENA, "{count} could have been more");
        }
    }

    #[test]
    fn equal_neighbours_share_their_virtual_channel() {
        let records = encode(&["a", "a", "", "b", "a"].map(|v| blob(v, 1)), None).records;
        let names: Vec<_> = records.iter().map(|r| r.meta.vchannel.clone()).collect();
        let expected = [Some("a"), Some("a"), None, Some("b"), Some("a")];
        assert_eq!(names.iter().map(|n| n.as_deref()).collect::<Vec<_>>(), expected);
        assert!(Arc::ptr_eq(names[0].as_ref().unwrap(), names[1].as_ref().unwrap()));
    }

    #[test]
    fn a_record_passes_with_its_bytes_and_headers_but_not_its_session() {
        let mut record = Record::new(Meta::new(MsgType(9), Timestamp(3)), &b"\xff\x00raw"[..]);
        record.meta.stamp = Some("p;1;2".parse().unwrap());
        record.extra.extend([Header::new("trace", "x"), Header::new(Stamp::HEADER, "p;1;bye")]);
        let msgs = [blob("v", 3), StoredMessage::new("elsewhere".into(), record.clone()).into()];
        let records = encode(&msgs, None).records;
        record.extra.pop();
        record.meta.stamp = None;
        assert_eq!(records[1], record);
        assert_eq!(records[0].payload.len(), 3);
    }
}
