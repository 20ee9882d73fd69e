//! Frames: what a segment consists of behind its header. A batch is one frame, or a few if it is
//! large, and is there whole or not at all.

use super::Fields;

/// The size of a frame's header, in bytes.
pub(crate) const HEADER: usize = 48;

/// Frames begin at multiples of this many bytes.
pub(crate) const ALIGNMENT: u64 = 8;

const MAGIC: [u8; 4] = *b"MSF1";

/// The batch goes on in the next frame.
const CONTINUED: u32 = 1;
/// There are no records here any more: a repair gave up what was damaged.
const VOID: u32 = 2;

/// What comes before the records of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) continued: bool,
    pub(crate) void: bool,
    /// The size of the records, in bytes.
    pub(crate) length: u32,
    /// How many offsets it covers.
    pub(crate) count: u32,
    /// The offset of the first record.
    pub(crate) first: u64,
    /// When it was appended, in Unix milliseconds: never before the frame in front of it.
    pub(crate) time: u64,
    /// Everything before this offset was durable when the frame was written.
    pub(crate) durable: u64,
    /// The checksum of the records.
    pub(crate) checksum: u32,
}

impl Frame {
    /// Returns the offset behind its last record.
    pub(crate) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }

    /// Returns the size of the whole frame, in bytes.
    pub(crate) const fn size(&self) -> u64 {
        (HEADER as u64 + self.length as u64).next_multiple_of(ALIGNMENT)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let flags = u32::from(self.continued) * CONTINUED | u32::from(self.void) * VOID;
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..44]);
        bytes[44..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Returns what a header says; `None` if it isn't one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let mut fields = Fields(bytes);
        let magic = fields.bytes(4)?;
        let flags = fields.u32()?;
        let frame = Self {
            continued: flags & CONTINUED != 0,
            void: flags & VOID != 0,
            length: fields.u32()?,
            count: fields.u32()?,
            first: fields.u64()?,
            time: fields.u64()?,
            durable: fields.u64()?,
            checksum: fields.u32()?,
        };
        let sound = magic == MAGIC
            && flags & !(CONTINUED | VOID) == 0
            && fields.u32()? == crc32c::crc32c(&bytes[..44])
            && frame.first.checked_add(u64::from(frame.count)).is_some();
        sound.then_some(frame)
    }

    /// Returns whether these are the records that the header is about.
    pub(crate) fn matches(&self, records: &[u8]) -> bool {
        crc32c::crc32c(records) == self.checksum
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(
            (continued, void, length, count) in any::<(bool, bool, u32, u32)>(),
            (first, time, durable, checksum) in (0..u64::MAX >> 1, any::<u64>(), any::<u64>(), any::<u32>()),
            (byte, bit) in (0..HEADER, 0..8),
        ) {
            let frame = Frame { continued, void, length, count, first, time, durable, checksum };
            let mut bytes = frame.encode();
            prop_assert_eq!(Frame::decode(&bytes), Some(frame));
            bytes[byte] ^= 1_u8 << bit;
            prop_assert_eq!(Frame::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(Frame::decode(&bytes), None);
        }
    }

    #[test]
    fn frames_are_aligned() {
        let size = |length| Frame { length, ..Frame::default() }.size();
        assert_eq!([0, 1, 8, 9].map(size), [48, 56, 56, 64]);
        assert_eq!(size(u32::MAX), (u64::from(u32::MAX) + 48).next_multiple_of(8));
    }
}
