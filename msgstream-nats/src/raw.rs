//! Messages as the server keeps them, which the client library may be unable to parse.
//!
//! The server accepts any bytes as headers, and some of them make the library end the connection. So
//! a message that may have such headers is fetched alone, in a JSON answer, and parsed here by the
//! library's own rules: a record is the same whichever way it came.

use std::str;

use async_nats::header::{HeaderName, HeaderValue};
use async_nats::{HeaderMap, StatusCode};
use bytes::Bytes;
use msgstream_core::MsgTypeNames;
use msgstream_core::record::unreadable;
use msgstream_core::record::{Header, Position, Record};

use crate::admin::Stored;
use crate::headers::{RESERVED, decode};

/// The first line of headers.
const VERSION: &str = "NATS/1.0";

/// Returns the record of a message that was fetched alone, and whether the library would have
/// parsed it.
pub(crate) fn record(message: Stored, names: &MsgTypeNames) -> (Record, bool) {
    let position = Position::new(message.sequence);
    match parse(&message.headers) {
        Ok(map) => {
            let map = (!map.is_empty()).then_some(&map);
            let record = decode(position, map, message.payload, names);
            (record, is_plain(&message.subject))
        }
        Err(what) => {
            let reason = format!("its headers can't be parsed: {what}");
            (unreadable(position, reason, split(&message.headers), message.payload), false)
        }
    }
}

/// Returns whether the library can parse the line with this subject. Bytes that aren't UTF-8 are
/// U+FFFD in an answer.
fn is_plain(subject: &str) -> bool {
    !subject.contains(|c: char| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER)
}

/// Parses headers by the rules of the library, or returns what it doesn't accept.
fn parse(block: &[u8]) -> Result<HeaderMap, &'static str> {
    let mut map = HeaderMap::new();
    if block.is_empty() {
        return Ok(map);
    }
    let mut lines = str::from_utf8(block).map_err(|_| "they aren't UTF-8")?.lines().peekable();
    let version = lines.next().and_then(|line| line.strip_prefix(VERSION));
    let status = version.ok_or("they don't begin with `NATS/1.0`")?.trim();
    let status = status.split_once(' ').map_or(status, |(status, _)| status);
    if !status.is_empty() && status.parse::<StatusCode>().is_err() {
        return Err("the status after `NATS/1.0` is invalid");
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or("a line has no colon")?;
        let name: HeaderName =
            name.parse().map_err(|_| "a name has other characters than ASCII signs")?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        // A carriage return within a line makes the library panic.
        let value: HeaderValue =
            value.trim_end().parse().map_err(|_| "a value contains a carriage return")?;
        map.append(name, value);
    }
    Ok(map)
}

/// Returns the lines of headers that can't be parsed, as they are.
fn split(block: &[u8]) -> impl Iterator<Item = Header> {
    let lines = block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty() && *line != VERSION.as_bytes());
    lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let name = String::from_utf8_lossy(name);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // As in records that can be read: they are instructions to the server.
        let is_own = name.starts_with(RESERVED);
        (!is_own).then(|| Header::new(&*name, Bytes::copy_from_slice(value)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::MsgType;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn stored(headers: &[u8]) -> Stored {
        let (subject, payload) = ("orders".to_owned(), "bytes".into());
        Stored { sequence: 7, subject, headers: Bytes::copy_from_slice(headers), payload }
    }

    fn read(headers: &[u8]) -> (Record, bool) {
        record(stored(headers), &MsgTypeNames::default())
    }

    #[test]
    fn headers_are_read_by_the_librarys_rules() {
        let map = parse(
            b"NATS/1.0 100 Why not\r\na:  b \r\n\r\nc: d\r\n  e\r\na:x\nms-\"q\": Gr\xc3\xbc\xc3\x9fe\r\n\r\n",
        );
        let map = map.unwrap();
        let values = |name: &str| -> Vec<String> {
            map.get_all(name).map(|value| value.as_str().to_owned()).collect()
        };
        assert_eq!(values("a"), ["b", "x"]);
        assert_eq!(values("c"), ["d  e"]);
        assert_eq!(values("ms-\"q\""), ["Gr\u{fc}\u{df}e"]);
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn what_the_library_doesnt_take_is_unreadable_and_whole() {
        for (headers, reason) in [
            (b"NATS/1.0\r\nx: \xff\r\n\r\n".as_slice(), "UTF-8"),
            (b"NATS/2.0\r\nx: \r\n\r\n", "NATS/1.0"),
            (b"NATS/1.0 soon\r\nx: \r\n\r\n", "status"),
            (b"NATS/1.0\r\nx\r\n\r\n", "colon"),
            (b"NATS/1.0\r\nx y: \r\n\r\n", "ASCII"),
            (b"NATS/1.0\r\nx: a\rb\r\n\r\n", "carriage return"),
        ] {
            let (record, is_read) = read(headers);
            assert_eq!((record.meta.msg_type, is_read), (MsgType::UNREADABLE, false), "{reason}");
            assert_eq!((record.position, &record.payload[..]), (Position::new(7), &b"bytes"[..]));
            let told = record.extra.last().unwrap();
            assert!(String::from_utf8_lossy(&told.value).contains(reason), "{told:?}");
        }
        let (record, _) = read(b"NATS/1.0\r\nx: \xff \r\nNats-Msg-Id: 1\r\ny:z:1\r\n\r\n");
        let written: Vec<_> = record.extra.iter().map(|h| (&*h.name, &h.value[..])).collect();
        assert_eq!(written[..2], [("x", b"\xff".as_slice()), ("y", b"z:1")]);
        assert_eq!(written.len(), 3);
    }

    #[test]
    fn a_subject_can_be_what_the_library_doesnt_take() {
        for (subject, is_read) in [("a.b", true), ("a\u{3000}b", false), ("a\u{fffd}", false)] {
            let message = Stored { subject: subject.to_owned(), ..stored(b"") };
            let (record, read) = record(message, &MsgTypeNames::default());
            assert_eq!(read, is_read, "{subject:?}");
            assert_eq!(record.payload, "bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record(headers in vec(any::<u8>(), 0..64), cut in 0_usize..20) {
            let version = b"NATS/1.0\r\na: b\r\n";
            let headers = [&version[..cut.min(version.len())], &headers[..]].concat();
            prop_assert_eq!(read(&headers).0.position, Position::new(7));
        }
    }
}
