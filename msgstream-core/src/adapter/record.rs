//! Makes records of what a broker delivers.

use std::error::Error as _;

use bytes::Bytes;

use super::{decode_headers, with_causes};
use crate::message::DecodeError;
use crate::record::{Header, MsgTypeNames, Position, Record, key_header, unreadable};

/// Returns the record that a broker delivered as headers and a payload. It never fails: a log may
/// hold anything, and a reader has to get past it.
///
/// If the metadata can't be read, or the name of a header isn't UTF-8, the record is [`unreadable`]
/// and has all headers as they came, with U+FFFD in place of what isn't UTF-8 in a name.
///
/// ```
/// use msgstream_core::record::Position;
/// use msgstream_core::{MsgType, MsgTypeNames, adapter};
/// let headers = [("msg_type", b"no such type".as_slice())];
/// let names = MsgTypeNames::default();
/// let record = adapter::read_record(Position::new(3), headers, "payload".into(), &names);
/// assert_eq!(record.meta.msg_type, MsgType::UNREADABLE);
/// assert_eq!(&record.header("msg_type").unwrap()[..], b"no such type");
/// ```
pub fn read_record<'a, N, H>(
    position: Position,
    headers: H,
    payload: Bytes,
    names: &MsgTypeNames,
) -> Record
where
    N: AsRef<[u8]>,
    H: IntoIterator<Item = (N, &'a [u8]), IntoIter: Clone>,
{
    let headers = headers.into_iter();
    match decode_headers(headers.clone(), &payload, names) {
        Ok((meta, extra)) => {
            let mut record = Record::new(meta, payload);
            (record.position, record.extra) = (position, extra);
            record
        }
        Err(error) => {
            let raw = headers.map(|(name, value)| {
                let name = String::from_utf8_lossy(name.as_ref());
                Header::new(name, Bytes::copy_from_slice(value))
            });
            let reason = match error {
                DecodeError::Unreadable { reason } => reason,
                other => with_causes(other.to_string(), other.source()),
            };
            unreadable(position, reason, raw, payload)
        }
    }
}

/// Adds the key that a broker has in a place of its own to a record that was read.
///
/// It stands before a header of its name, which is another program's.
///
/// ```
/// use msgstream_core::adapter::add_key;
/// use msgstream_core::record::{Header, KEY_HEADER, Record};
/// let mut record = Record::default();
/// record.extra.push(Header::new(KEY_HEADER, "theirs"));
/// add_key(&mut record, "ann".into());
/// assert_eq!(record.key().unwrap(), "ann");
/// assert_eq!(record.extra.len(), 2);
/// ```
pub fn add_key(record: &mut Record, key: Bytes) {
    record.extra.insert(0, key_header(key));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used)]

    use super::*;
    use crate::UnmarshalDispatcher;
    use crate::record::MsgType;

    /// It may even have all of our headers.
    #[test]
    fn what_milvus_streaming_nodes_wrote_is_unreadable_by_name() {
        let theirs =
            [("_v", "1"), ("_t", "2"), ("_tt", "7"), ("_vc", "dml_0"), ("_lc", "x"), ("_tx", "y")];
        let meta = ["msg_type", "msg_id", "timestamp", "vchannel", "collection_id"];
        let ours = meta.into_iter().zip(["Insert", "1", "7", "", "0"]);
        for headers in [theirs.to_vec(), ours.chain([("_v", "2")]).collect()] {
            let raw = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            // The payload alone would be a tick at 5.
            let payload = Bytes::from_static(&[10, 5, 8, 176, 9, 24, 5]);
            let names = MsgTypeNames::milvus_2x();
            let record = read_record(Position::new(3), raw, payload.clone(), &names);
            assert_eq!((record.meta.msg_type, &record.payload), (MsgType::UNREADABLE, &payload));
            let kept = record.extra.iter().map(|h| (&*h.name, &h.value[..]));
            assert!(kept.take(headers.len()).eq(headers.iter().map(|(n, v)| (*n, v.as_bytes()))));
            let error = UnmarshalDispatcher::milvus_2x().unmarshal(&record).map(drop).unwrap_err();
            assert!(error.to_string().contains("the header `_v`"), "{error}");
        }
    }

    #[test]
    fn what_can_t_be_read_is_handed_on_whole() {
        let number = [(b"timestamp".as_slice(), b"soon".as_slice()), (b"x", b"\xff")];
        let name = [(b"timestamp".as_slice(), b"7".as_slice()), (b"a\xff", b"y")];
        for (headers, second) in [(number, ("x", b"\xff")), (name, ("a\u{fffd}", b"y"))] {
            let names = MsgTypeNames::default();
            let record = read_record(Position::new(3), headers, "\u{7}nonsense".into(), &names);
            assert_eq!(record.position, Position::new(3));
            let raw: Vec<_> = record.extra.iter().map(|h| (&*h.name, &h.value[..])).collect();
            assert_eq!(raw[..2], [("timestamp", headers[0].1), (second.0, &second.1[..])]);
            let error = UnmarshalDispatcher::new().unmarshal(&record).map(drop);
            let Err(DecodeError::Unreadable { reason }) = error else { panic!("{error:?}") };
            assert_eq!(raw[2..], [("ms-unreadable", reason.as_bytes())]);
        }
    }
}
