//! Records, as the frames hold them.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use msgstream_core::adapter::Copies;
use msgstream_core::record::{Header, Meta, Origin, Position, Record, Stamp};
use msgstream_core::{MsgType, Timestamp};

use super::Fields;

const MSG_ID: u8 = 1;
const COLLECTION: u8 = 2;
const VCHANNEL: u8 = 4;
const STAMP: u8 = 8;
const EXTRA: u8 = 16;

/// The least that a record takes, in bytes.
const LEAST: usize = 1 + 4 + 8 + 4;

/// Returns how many bytes [`encode`] writes, at most.
pub(crate) fn size(record: &Record) -> usize {
    let meta = &record.meta;
    let stamp = meta.stamp.as_ref().map_or(0, |stamp| 36 + stamp.origin.producer.len());
    let vchannel = meta.vchannel.as_ref().map_or(0, |name| 4 + name.len());
    let extra: usize = record.extra.iter().map(|h| 8 + h.name.len() + h.value.len()).sum();
    LEAST + 16 + stamp + vchannel + 4 + extra + record.payload.len()
}

/// Appends a record to a frame, all but its payload, which comes last.
pub(crate) fn encode(record: &Record, to: &mut Vec<u8>) {
    let Meta { msg_type, msg_id, timestamp, collection_id, vchannel, stamp, .. } = &record.meta;
    let flag = |there: bool, flag: u8| u8::from(there) * flag;
    let flags = flag(*msg_id != 0, MSG_ID)
        | flag(*collection_id != 0, COLLECTION)
        | flag(vchannel.is_some(), VCHANNEL)
        | flag(stamp.is_some(), STAMP)
        | flag(!record.extra.is_empty(), EXTRA);
    to.put_u8(flags);
    to.put_u32_le(msg_type.0);
    to.put_u64_le(timestamp.0);
    if *msg_id != 0 {
        to.put_i64_le(*msg_id);
    }
    if *collection_id != 0 {
        to.put_i64_le(*collection_id);
    }
    if let Some(name) = vchannel {
        counted(name.as_bytes(), to);
    }
    if let Some(Stamp { origin, seq }) = stamp {
        counted(origin.producer.as_bytes(), to);
        for word in origin.epoch.words() {
            to.put_u64_le(word);
        }
        to.put_u64_le(*seq);
    }
    if !record.extra.is_empty() {
        to.put_u32_le(length(record.extra.len()));
        for header in &record.extra {
            counted(header.name.as_bytes(), to);
            counted(&header.value, to);
        }
    }
    to.put_u32_le(length(record.payload.len()));
}

fn counted(bytes: &[u8], to: &mut Vec<u8>) {
    to.put_u32_le(length(bytes.len()));
    to.extend_from_slice(bytes);
}

/// A writer refuses a record that comes near 4 GiB before it is encoded.
const fn length(bytes: usize) -> u32 {
    bytes as u32
}

/// Reads the records of frames.
///
/// Neighbours mostly have the same session and virtual channel, which they share in memory. A
/// payload is a part of the buffer that the frame is in if it is at least a fifth of it, else a copy, so
/// that a small one doesn't keep a large buffer. With a fifth, it may be one of four of the same size.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    copies: Copies,
    origin: Option<Arc<Origin>>,
    vchannel: Option<Arc<str>>,
}

impl Decoder {
    /// Returns the record at a place in a frame, and the place behind it; `None` if there is none. The
    /// frame is in a buffer of so many bytes.
    pub(crate) fn decode(
        &mut self,
        frame: &Bytes,
        at: usize,
        buffer: usize,
    ) -> Option<(Record, usize)> {
        let mut fields = Fields(frame.get(at..)?);
        let flags = fields.u8()?;
        if flags & !(MSG_ID | COLLECTION | VCHANNEL | STAMP | EXTRA) != 0 {
            return None;
        }
        let has = |flag: u8| flags & flag != 0;
        let (msg_type, timestamp) = (MsgType(fields.u32()?), Timestamp(fields.u64()?));
        let mut meta = Meta::new(msg_type, timestamp);
        if has(MSG_ID) {
            meta.msg_id = fields.u64()?.cast_signed();
        }
        if has(COLLECTION) {
            meta.collection_id = fields.u64()?.cast_signed();
        }
        if has(VCHANNEL) {
            meta.vchannel = Some(self.vchannel(str::from_utf8(fields.counted()?).ok()?));
        }
        if has(STAMP) {
            let producer = str::from_utf8(fields.counted()?).ok()?;
            let epoch = Position::from_words([fields.u64()?, fields.u64()?, fields.u64()?]);
            meta.stamp = Some(Stamp { origin: self.origin(producer, epoch), seq: fields.u64()? });
        }
        let extra = if has(EXTRA) { fields.u32()? } else { 0 };
        let mut headers = msgstream_core::record::Headers::new();
        for _ in 0..extra {
            let name = str::from_utf8(fields.counted()?).ok()?;
            let value = fields.counted()?;
            headers.push(Header::new(name, self.copies.copy(value)));
        }
        let payload = fields.counted()?;
        let end = frame.len() - fields.0.len();
        let payload = match payload.len() >= buffer / 5 {
            true => frame.slice(end - payload.len()..end),
            false => self.copies.copy(payload),
        };
        let mut record = Record::new(meta, payload);
        record.extra = headers;
        Some((record, end))
    }

    fn vchannel(&mut self, name: &str) -> Arc<str> {
        match &self.vchannel {
            Some(last) if **last == *name => Arc::clone(last),
            _ => Arc::clone(self.vchannel.insert(name.into())),
        }
    }

    fn origin(&mut self, producer: &str, epoch: Position) -> Arc<Origin> {
        match &self.origin {
            Some(last) if *last.producer == *producer && last.epoch == epoch => Arc::clone(last),
            _ => Arc::clone(
                self.origin.insert(Arc::new(Origin { producer: producer.into(), epoch })),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn whole(record: &Record, to: &mut Vec<u8>) {
        encode(record, to);
        to.extend_from_slice(&record.payload);
    }

    prop_compose! {
        fn records()(
            (msg_type, msg_id, timestamp, collection_id) in any::<(u32, i64, u64, i64)>(),
            ids: bool,
            vchannel in prop::option::of("\\PC{0,9}"),
            stamp in prop::option::of(("[a-z]{1,3}", any::<[u64; 3]>(), any::<u64>())),
            extra in vec(("\\PC{0,9}", vec(any::<u8>(), 0..9)), 0..4),
            payload in vec(any::<u8>(), 0..200),
        ) -> Record {
            let mut meta = Meta::new(MsgType(msg_type), Timestamp(timestamp));
            if ids {
                (meta.msg_id, meta.collection_id) = (msg_id, collection_id);
            }
            meta.vchannel = vchannel.map(Into::into);
            meta.stamp = stamp.map(|(producer, words, seq)| {
                let (producer, epoch) = (producer.into(), Position::from_words(words));
                Stamp { origin: Arc::new(Origin { producer, epoch }), seq }
            });
            let mut record = Record::new(meta, payload);
            record.extra = extra.into_iter().map(|(name, value)| Header::new(name, value)).collect();
            record
        }
    }

    proptest! {
        #[test]
        fn records_are_read_as_they_were_written(records in vec(records(), 0..5)) {
            let mut bytes = Vec::new();
            for record in &records {
                let before = bytes.len();
                whole(record, &mut bytes);
                prop_assert!(bytes.len() - before <= size(record));
            }
            let (bytes, mut decoder, mut at) = (Bytes::from(bytes), Decoder::default(), 0);
            for record in &records {
                let (read, next) = decoder.decode(&bytes, at, bytes.len()).unwrap();
                prop_assert_eq!(&read, record);
                at = next;
            }
            prop_assert_eq!(at, bytes.len());
            prop_assert!(decoder.decode(&bytes, at, bytes.len()).is_none());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..80)) {
            let bytes = Bytes::from(bytes);
            let length = bytes.len();
            if let Some((_, end)) = Decoder::default().decode(&bytes, 0, length) {
                prop_assert!(end <= length);
            }
        }
    }

    #[test]
    fn a_small_payload_keeps_no_large_buffer() {
        let mut bytes = Vec::new();
        whole(&Record::new(Meta::default(), vec![1; 100]), &mut bytes);
        let small_end = bytes.len();
        whole(&Record::new(Meta::default(), vec![2; 100_000]), &mut bytes);
        let bytes = Bytes::from(bytes);
        let within = |payload: &Bytes| bytes.as_ptr_range().contains(&payload.as_ptr());
        let mut decoder = Decoder::default();
        let mut payload = |at, buffer| decoder.decode(&bytes, at, buffer).unwrap().0.payload;
        assert!(!within(&payload(0, bytes.len())));
        assert!(within(&payload(small_end, bytes.len())));
        assert!(!within(&payload(small_end, 1 << 20)));
    }
}
