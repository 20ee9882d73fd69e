//! Records as messages.

use std::borrow::Cow;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::Failure;
use msgstream_core::adapter::{encode_headers, read_record};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::TransportErrorKind;

use crate::name::{escape, unescape_bytes};

/// Begins a header's value that is written with escapes, because the protocol would change it.
const ESCAPED: &str = "%ms:";

/// Begins the names of headers that are instructions to the server.
pub(crate) const RESERVED: &str = "Nats-";

/// How many headers every record has first, under names that differ.
const DISTINCT: usize = 5;

/// Headers that are read without a list of their own.
const FEW: usize = 8;

/// Returns the headers of a record, and what the message counts against the server's limit, in
/// bytes.
pub(crate) fn encode(record: &Record, names: &MsgTypeNames) -> Result<(HeaderMap, usize), Failure> {
    let mut map = HeaderMap::new();
    let mut size = envelope(record);
    for (number, (name, value)) in encode_headers(record, names).enumerate() {
        let (key, value) = (key(name)?, spell(value));
        size += line(name, &value);
        // What was spelled has no line breaks, which would be refused by a panic.
        let value = HeaderValue::from(value);
        match number {
            ..DISTINCT => map.insert(key, value),
            _ => map.append(key, value),
        }
    }
    Ok((map, size))
}

/// Returns the same size, without building the headers.
pub(crate) fn measure(record: &Record, names: &MsgTypeNames) -> Result<usize, Failure> {
    let mut size = envelope(record);
    for (name, value) in encode_headers(record, names) {
        key(name)?;
        size += line(name, &spell(value));
    }
    Ok(size)
}

fn envelope(record: &Record) -> usize {
    "NATS/1.0\r\n\r\n".len() + record.payload.len()
}

const fn line(name: &str, value: &str) -> usize {
    name.len() + ": \r\n".len() + value.len()
}

/// Returns a header's name. The names that every record has aren't allocated each time.
fn key(name: &str) -> Result<HeaderName, Failure> {
    macro_rules! known {
        ($($known:literal)*) => {
            match name {
                $($known => return Ok(const { HeaderName::from_static($known) }),)*
                _ => {}
            }
        };
    }
    known!("msg_type" "msg_id" "timestamp" "vchannel" "collection_id" "ms-session");
    let invalid = |reason: &str| {
        let (name, reason) = (name.to_owned(), reason.to_owned());
        Failure::from(TransportErrorKind::InvalidHeader { name, reason })
    };
    if name.get(..RESERVED.len()).is_some_and(|n| n.eq_ignore_ascii_case(RESERVED)) {
        return Err(invalid("the server reads names that begin with `Nats-` as instructions"));
    }
    let key = name.parse::<HeaderName>().ok().filter(|_| !name.is_empty());
    key.ok_or_else(|| {
        invalid("a name can have only ASCII letters, digits and signs other than `:`")
    })
}

/// Returns the record of a message. The payload must be a copy: that of the message keeps the whole
/// network buffer that it came in.
pub(crate) fn decode(
    position: Position,
    headers: Option<&HeaderMap>,
    payload: Bytes,
    names: &MsgTypeNames,
) -> Record {
    let written = || {
        let headers = headers.into_iter().flat_map(HeaderMap::iter);
        headers.filter(|(name, _)| {
            let name: &str = (*name).as_ref();
            !name.starts_with(RESERVED)
        })
    };
    // Mostly there are few, and none is escaped.
    let mut few = [("", b"".as_slice()); FEW];
    let mut count = 0;
    let mut is_plain = true;
    for (name, values) in written() {
        for value in values {
            let value = value.as_str();
            is_plain &= count < FEW && !value.starts_with(ESCAPED);
            if let Some(place) = few.get_mut(count) {
                *place = (name.as_ref(), value.as_bytes());
                count += 1;
            }
        }
    }
    let mut record = if is_plain {
        read_record(position, few[..count].iter().copied(), payload, names)
    } else {
        let read = written().flat_map(|(name, values)| {
            values.iter().map(|value| (name.as_ref(), read_value(value.as_str())))
        });
        let read: Vec<(&str, _)> = read.collect();
        let read = read.iter().map(|(name, value)| (*name, &**value));
        read_record(position, read, payload, names)
    };
    // The map has another order at each read, and a record must not. The sort is stable: values of
    // one name keep their order.
    record.extra.sort_by(|a, b| a.name.cmp(&b.name));
    record
}

/// Returns a value in a form that survives: readers trim it, and a line break ends it.
fn spell(value: Cow<'_, [u8]>) -> String {
    let value = match String::from_utf8(value.into_owned()) {
        Ok(text)
            if text.trim() == text
                && !text.contains(char::is_control)
                && !text.starts_with(ESCAPED) =>
        {
            return text;
        }
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut spelled = ESCAPED.to_owned();
    for byte in value {
        match byte {
            b'%' => escape(b"%", &mut spelled),
            b if b.is_ascii_graphic() => spelled.push(char::from(b)),
            b => escape(&[b], &mut spelled),
        }
    }
    spelled
}

fn read_value(spelled: &str) -> Cow<'_, [u8]> {
    match spelled.strip_prefix(ESCAPED).and_then(unescape_bytes) {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(spelled.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use msgstream_core::record::{Header, Meta};
    use msgstream_core::{MsgType, Timestamp};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn record(extra: Vec<Header>) -> Record {
        let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "payload");
        record.extra = extra.into_iter().collect();
        record
    }

    #[test]
    fn plain_values_are_written_as_they_are() {
        for value in ["", "text", "a: b; c=\"d\"", "Ünïcode 頻道", "%41"] {
            assert_eq!(spell(value.as_bytes().into()), value);
        }
    }

    #[test]
    fn what_the_protocol_would_change_is_escaped() {
        assert_eq!(spell(b" around ".as_slice().into()), "%ms:%20around%20");
        assert_eq!(spell(b"two\r\nlines".as_slice().into()), "%ms:two%0D%0Alines");
        assert_eq!(spell(b"%ms:%41".as_slice().into()), "%ms:%25ms:%2541");
        assert_eq!(spell(b"\xff".as_slice().into()), "%ms:%FF");
    }

    #[test]
    fn another_programs_value_that_looks_escaped_is_left_alone() {
        assert_eq!(&*read_value("%ms:100%"), b"%ms:100%");
    }

    #[test]
    fn names_that_can_t_be_written_are_refused() {
        for name in ["", "a b", "a:b", "ä", "a\r\nb", "Nats-Rollup", "nats-msg-id"] {
            let (record, names) = (record(vec![Header::new(name, "x")]), MsgTypeNames::default());
            assert_eq!(encode(&record, &names).map(drop), measure(&record, &names).map(drop));
            match encode(&record, &names) {
                Err(Failure {
                    kind: TransportErrorKind::InvalidHeader { name: refused, .. },
                    ..
                }) => {
                    assert_eq!(refused, name);
                }
                other => panic!("{name:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn instructions_to_the_server_are_no_headers_of_a_record() {
        let names = MsgTypeNames::default();
        let (mut map, _) = encode(&record(vec![]), &names).unwrap();
        map.insert("Nats-Msg-Id", "1");
        let read = decode(Position::new(1), Some(&map), "payload".into(), &names);
        assert!(read.extra.is_empty());
    }

    proptest! {
        #[test]
        fn a_record_comes_back(
            extra in vec(("[!-9;-~]{1,8}", vec(any::<u8>(), 0..12)), 0..7),
            vchannel in ".{0,6}",
        ) {
            let names = MsgTypeNames::default();
            let extra = extra.into_iter().map(|(name, value)| Header::new(name, value));
            let mut wrote = record(extra.collect());
            wrote.meta.vchannel = Some(vchannel).filter(|v| !v.is_empty()).map(Into::into);
            wrote.extra.sort_by(|a, b| a.name.cmp(&b.name));
            let (map, size) = encode(&wrote, &names).unwrap();
            for (name, value) in map.iter().flat_map(|(n, vs)| vs.iter().map(move |v| (n, v))) {
                prop_assert_eq!(value.as_str().trim(), value.as_str(), "{}", name);
            }
            prop_assert!(size > wrote.payload.len());
            prop_assert_eq!(measure(&wrote, &names).unwrap(), size);
            let read = decode(Position::default(), Some(&map), wrote.payload.clone(), &names);
            prop_assert_eq!(read, wrote);
        }
    }
}
