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
