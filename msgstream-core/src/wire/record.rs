//! Records from what a broker delivers.

use bytes::Bytes;

use super::decode_headers;
use crate::message::{MsgType, MsgTypeNames};
use crate::transport::{Header, Meta, Position, Record};

/// The record that a broker delivered as headers and a payload. It can't fail: a log may hold
/// anything, and a reader has to get past it.
///
/// Where the metadata can't be read, or a header's name isn't UTF-8, the type is
/// [`MsgType::UNREADABLE`] and all headers are extra ones, as they came, with U+FFFD for what isn't
/// UTF-8 in a name. The merge puts such a record just after its channel's last tick, and it
/// fails to decode, so that the policy for undecodable records applies to it.
///
/// ```
/// use msgstream_core::transport::Position;
/// use msgstream_core::{MsgType, MsgTypeNames, wire};
/// let headers = [("msg_type", b"no such type".as_slice())];
/// let names = MsgTypeNames::default();
/// let record = wire::read_record(Position::new(3), headers, "payload".into(), &names);
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
    let (meta, extra) = decode_headers(headers.clone(), &payload, names).unwrap_or_else(|_| {
        let raw = headers.map(|(name, value)| {
            let name = String::from_utf8_lossy(name.as_ref());
            Header::new(name, Bytes::copy_from_slice(value))
        });
        (Meta::new(MsgType::UNREADABLE, crate::Timestamp::MIN), raw.collect())
    });
    let mut record = Record::new(meta, payload);
    (record.position, record.extra) = (position, extra);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeError, UnmarshalDispatcher};

    #[test]
    fn what_can_t_be_read_is_handed_on_whole() {
        let number = [(b"timestamp".as_slice(), b"soon".as_slice()), (b"x", b"\xff")];
        let name = [(b"timestamp".as_slice(), b"7".as_slice()), (b"a\xff", b"y")];
        for (headers, second) in [(number, ("x", b"\xff")), (name, ("a\u{fffd}", b"y"))] {
            let names = MsgTypeNames::default();
            let record = read_record(Position::new(3), headers, "\u{7}nonsense".into(), &names);
            assert_eq!(record.position, Position::new(3));
            let raw: Vec<_> = record.extra.iter().map(|h| (&*h.name, &h.value[..])).collect();
            assert_eq!(raw, [("timestamp", headers[0].1), (second.0, &second.1[..])]);
            let error = UnmarshalDispatcher::new().unmarshal(&record).map(drop);
            assert!(matches!(error, Err(DecodeError::Unreadable)), "{error:?}");
        }
    }
}
