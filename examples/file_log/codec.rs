//! Records as bytes: everything has its length before it, as a big-endian number.

use bytes::{Buf, BufMut, Bytes};
use msgstream_core::MsgTypeNames;
use msgstream_core::adapter::{encode_headers, read_record};
use msgstream_core::record::{Position, Record};

pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 + record.payload.len());
    put(&mut body, &record.payload);
    for (name, value) in encode_headers(record, &MsgTypeNames::default()) {
        put(&mut body, name.as_bytes());
        put(&mut body, &value);
    }
    let mut framed = Vec::with_capacity(4 + body.len());
    put(&mut framed, &body);
    framed
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here comes near 4 GiB: payloads are limited to 1 MiB.
    to.put_u32(bytes.len() as u32);
    to.put_slice(bytes);
}

fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = from.try_get_u32().ok()? as usize;
    (length <= from.len()).then(|| from.split_to(length))
}

/// Returns the record at a place in a file, and where the next one is. `None` at the end, and if the
/// file ends within a record.
pub(crate) fn decode(file: &Bytes, at: usize) -> Option<(Record, usize)> {
    let mut rest = file.slice(at.min(file.len())..);
    let mut body = take(&mut rest)?;
    let payload = take(&mut body)?;
    let mut headers = Vec::new();
    while let Some(name) = take(&mut body) {
        headers.push((name, take(&mut body)?));
    }
    let headers = headers.iter().map(|(name, value)| (name, &value[..]));
    let record = read_record(Position::new(at as u64), headers, payload, &MsgTypeNames::default());
    Some((record, file.len() - rest.len()))
}
