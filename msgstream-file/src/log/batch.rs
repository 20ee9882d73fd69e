//! Batches, encoded before the lock is taken.

use bytes::Bytes;
use msgstream_core::record::Record;

use crate::format::frame::{ALIGNMENT, Frame, HEADER};
use crate::format::record;

/// A batch is cut into frames of at most this size, in bytes, if its records are smaller: a reader holds
/// one frame in memory. Records with payloads of a power of two fill one, with what they have besides.
const FRAME: usize = 260 << 10;

/// A payload of so many bytes or more is written from where it is. To copy it takes about as long as to
/// compute its checksum.
const LARGE: usize = 16 << 10;

/// A batch of records as frames, which get their offsets when they are appended.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// All but the large payloads.
    bytes: Vec<u8>,
    /// The large payloads, and the place in `bytes` that each is in front of.
    large: Vec<(usize, Bytes)>,
    /// The frames, and the place of each one's header in `bytes`.
    frames: Vec<(usize, Frame)>,
}

impl Batch {
    pub(crate) fn new(records: &[Record]) -> Self {
        Self::of(records, FRAME)
    }

    /// Cuts the batch into frames of about a size, in bytes.
    pub(crate) fn of(records: &[Record], largest: usize) -> Self {
        let (mut copied, mut whole) = (0, 0);
        for record in records {
            let size = record::size(record);
            whole += size;
            copied += size - if is_large(record) { record.payload.len() } else { 0 };
        }
        let frames = (2 + whole / largest) * (HEADER + ALIGNMENT as usize);
        let mut batch = Self { bytes: Vec::with_capacity(copied + frames), ..Self::default() };
        let mut rest = records;
        while !rest.is_empty() {
            let count = first_frame(rest, largest);
            let (now, later) = rest.split_at(count);
            batch.add(now, !later.is_empty());
            rest = later;
        }
        batch
    }

    fn add(&mut self, records: &[Record], continued: bool) {
        let at = self.bytes.len();
        self.bytes.resize(at + HEADER, 0);
        let (mut checksum, mut summed, mut length) = (0, at + HEADER, 0);
        for record in records {
            record::encode(record, &mut self.bytes);
            if is_large(record) {
                checksum = crc32c::crc32c_append(checksum, self.from(summed));
                checksum = crc32c::crc32c_append(checksum, &record.payload);
                summed = self.bytes.len();
                length += record.payload.len();
                self.large.push((summed, record.payload.clone()));
            } else {
                self.bytes.extend_from_slice(&record.payload);
            }
        }
        length += self.bytes.len() - at - HEADER;
        let frame = Frame {
            continued,
            length: length as u32,
            count: records.len() as u32,
            checksum: crc32c::crc32c_append(checksum, self.from(summed)),
            ..Frame::default()
        };
        let padding = frame.size() as usize - HEADER - length;
        self.bytes.resize(self.bytes.len() + padding, 0);
        self.frames.push((at, frame));
    }

    fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Returns how many records it has.
    pub(crate) fn count(&self) -> u64 {
        self.frames.iter().map(|(_, frame)| u64::from(frame.count)).sum()
    }

    /// Returns how many bytes it takes in a segment.
    pub(crate) fn size(&self) -> usize {
        self.frames.iter().map(|(_, frame)| frame.size() as usize).sum()
    }

    /// Puts the batch at an offset. `like` says the rest of what the headers say.
    pub(super) fn put_at(&mut self, first: u64, like: Frame) {
        let mut next = first;
        for (at, frame) in &mut self.frames {
            (frame.first, frame.time, frame.durable) = (next, like.time, like.durable);
            next = frame.end();
            if let Some(place) = self.bytes.get_mut(*at..*at + HEADER) {
                place.copy_from_slice(&frame.encode());
            }
        }
    }

    /// Returns its bytes, in parts that follow each other.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.large.iter().map(|(at, payload)| (*at, &payload[..]));
        let ends = ends.chain([(self.bytes.len(), &[][..])]);
        let mut from = 0;
        ends.flat_map(move |(to, payload)| {
            let before = self.bytes.get(std::mem::replace(&mut from, to)..to).unwrap_or_default();
            [before, payload]
        })
    }
}

fn is_large(record: &Record) -> bool {
    record.payload.len() >= LARGE
}

/// Returns how many of the records go into one frame.
fn first_frame(records: &[Record], largest: usize) -> usize {
    let mut bytes = 0;
    let fit = |record: &&Record| {
        bytes += record::size(record);
        bytes <= largest
    };
    records.iter().take_while(fit).count().max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::record::Meta;

    use super::*;

    fn frames(sizes: &[usize]) -> Vec<(u32, bool)> {
        let record = |size: &usize| Record::new(Meta::default(), vec![0; *size]);
        let records: Vec<_> = sizes.iter().map(record).collect();
        let mut batch = Batch::new(&records);
        assert_eq!(batch.count(), sizes.len() as u64);
        let capacity = batch.bytes.capacity();
        batch.put_at(7, Frame { time: 1, durable: 2, ..Frame::default() });
        let bytes = batch.parts().collect::<Vec<_>>().concat();
        assert_eq!(bytes.len(), batch.size());
        assert_eq!(capacity, Batch::new(&records).bytes.capacity(), "it grew meanwhile");
        let (mut at, mut next, mut found) = (0, 7, Vec::new());
        while at < bytes.len() {
            let frame = Frame::decode(&bytes[at..]).unwrap();
            assert_eq!((frame.first, frame.time, frame.durable), (next, 1, 2));
            assert!(frame.matches(&bytes[at + HEADER..][..frame.length as usize]));
            found.push((frame.count, frame.continued));
            (at, next) = (at + frame.size() as usize, frame.end());
        }
        found
    }

    #[test]
    fn a_batch_is_one_frame_unless_it_is_large() {
        assert_eq!(frames(&[]), []);
        assert_eq!(frames(&[0, 1, 2]), [(3, false)]);
        assert_eq!(frames(&[FRAME * 3, 1, 2]), [(1, true), (2, false)]);
        assert_eq!(frames(&[FRAME / 2, FRAME / 3, FRAME / 2]), [(2, true), (1, false)]);
    }
}
