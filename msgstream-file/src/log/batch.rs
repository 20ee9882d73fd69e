//! Batches, encoded before the lock is taken.

use msgstream_core::record::Record;

use crate::format::frame::{ALIGNMENT, Frame, HEADER};
use crate::format::record;

/// A batch is cut into frames of about this size, in bytes: a reader holds one frame in memory.
const FRAME: usize = 256 << 10;

/// A batch of records as frames, which get their offsets when they are appended.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// The frames, and where each is.
    frames: Vec<(usize, Frame)>,
}

impl Batch {
    pub(crate) fn new(records: &[Record]) -> Self {
        Self::of(records, FRAME)
    }

    /// Cuts the batch into frames of about a size, in bytes.
    pub(crate) fn of(records: &[Record], largest: usize) -> Self {
        let sizes: usize = records.iter().map(record::size).sum();
        let mut batch = Self {
            bytes: Vec::with_capacity(
                sizes + (2 + sizes / largest) * (HEADER + ALIGNMENT as usize),
            ),
            frames: Vec::with_capacity(1),
        };
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
        for record in records {
            record::encode(record, &mut self.bytes);
        }
        let body = self.bytes.get(at + HEADER..).unwrap_or_default();
        let frame = Frame {
            continued,
            length: body.len() as u32,
            count: records.len() as u32,
            checksum: crc32c::crc32c(body),
            ..Frame::default()
        };
        self.bytes.resize(at + frame.size() as usize, 0);
        self.frames.push((at, frame));
    }

    /// Returns how many records it has.
    pub(crate) fn count(&self) -> u64 {
        self.frames.iter().map(|(_, frame)| u64::from(frame.count)).sum()
    }

    /// Returns how many bytes it takes in a segment.
    pub(crate) const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns its bytes, as they are at an offset. `like` says the rest of what the headers say.
    pub(super) fn at(&mut self, first: u64, like: Frame) -> &[u8] {
        let mut next = first;
        for (at, frame) in &mut self.frames {
            (frame.first, frame.time, frame.durable) = (next, like.time, like.durable);
            next = frame.end();
            if let Some(place) = self.bytes.get_mut(*at..*at + HEADER) {
                place.copy_from_slice(&frame.encode());
            }
        }
        &self.bytes
    }
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
        let (capacity, size) = (batch.bytes.capacity(), batch.size());
        assert!(capacity >= size);
        let bytes = batch.at(7, Frame { time: 1, durable: 2, ..Frame::default() }).to_vec();
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
