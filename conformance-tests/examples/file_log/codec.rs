//! Records as bytes: everything has its length before it, numbers are big-endian.

use bytes::{Buf, BufMut, Bytes};
use msgstream_core::record::{Header, Meta, Position, Record};
use msgstream_core::{MsgType, Timestamp};

pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let meta = &record.meta;
    let mut body = Vec::with_capacity(64 + record.payload.len());
    body.put_u32(meta.msg_type.0);
    body.put_i64(meta.msg_id);
    body.put_u64(meta.timestamp.0);
    body.put_i64(meta.collection_id);
    // None is the empty one.
    put(&mut body, meta.vchannel.as_deref().unwrap_or_default().as_bytes());
    put(&mut body, &record.payload);
    for header in &record.extra {
        put(&mut body, header.name.as_bytes());
        put(&mut body, &header.value);
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

/// The record that stands at a place in a file, and where the next one stands. `None` at the end,
/// and where the file ends within a record.
pub(crate) fn decode(file: &Bytes, at: usize) -> Option<(Record, usize)> {
    let mut rest = file.slice(at.min(file.len())..);
    let mut body = take(&mut rest)?;
    let next = file.len() - rest.len();
    let mut meta = Meta::default();
    meta.msg_type = MsgType(body.try_get_u32().ok()?);
    meta.msg_id = body.try_get_i64().ok()?;
    meta.timestamp = Timestamp(body.try_get_u64().ok()?);
    meta.collection_id = body.try_get_i64().ok()?;
    let vchannel = take(&mut body)?;
    meta.vchannel =
        (!vchannel.is_empty()).then(|| String::from_utf8_lossy(&vchannel).into_owned().into());
    let mut record = Record::new(meta, take(&mut body)?);
    record.position = Position::new(at as u64);
    while let Some(name) = take(&mut body) {
        let name = String::from_utf8_lossy(&name).into_owned();
        record.extra.push(Header::new(name, take(&mut body)?));
    }
    Some((record, next))
}
