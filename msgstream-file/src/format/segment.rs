//! The header of a segment, and segments' names.

use super::{Fields, VERSION, Wrong};

/// The size of a segment's header, in bytes.
pub(crate) const HEADER: usize = 72;

const MAGIC: [u8; 8] = *b"msgstrm\n";
const SUFFIX: &str = ".log";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) incarnation: u128,
    /// The offset of its first record.
    pub(crate) first: u64,
    /// Where the segment before it ended. It is less than `first` if offsets were left out after a
    /// restart of the machine.
    pub(crate) previous_end: u64,
    /// The append time of the frame before it, in Unix milliseconds.
    pub(crate) time: u64,
}

impl Segment {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.time.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..64]);
        bytes[64..68].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Wrong> {
        let read = || {
            let mut fields = Fields(bytes.get(..HEADER)?);
            let (magic, version) = (fields.bytes(8)?, fields.u32()?);
            fields.bytes(4)?;
            let segment = Self {
                incarnation: fields.u128()?,
                first: fields.u64()?,
                previous_end: fields.u64()?,
                time: fields.u64()?,
            };
            fields.bytes(8)?;
            let sound = magic == MAGIC && fields.u32()? == crc32c::crc32c(bytes.get(..64)?);
            sound.then_some((version, segment))
        };
        match read() {
            None => Err(Wrong::Damaged("its header is damaged")),
            Some((version, _)) if version != VERSION => Err(Wrong::Version(version)),
            Some((_, segment)) => Ok(segment),
        }
    }
}

/// Returns the file name of the segment that begins at an offset.
pub(crate) fn file_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// Returns the offset at which the segment of a file name begins; `None` if it is another file.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(
            (incarnation, first, previous_end, time) in any::<(u128, u64, u64, u64)>(),
            (byte, bit) in (0..68_usize, 0..8),
        ) {
            let segment = Segment { incarnation, first, previous_end, time };
            let mut bytes = segment.encode();
            prop_assert_eq!(Segment::decode(&bytes).unwrap(), segment);
            bytes[byte] ^= 1_u8 << bit;
            prop_assert!(Segment::decode(&bytes).is_err());
        }

        #[test]
        fn names_are_sorted_as_their_offsets(a: u64, b: u64) {
            prop_assert_eq!(first_of(&file_name(a)), Some(a));
            prop_assert_eq!(a.cmp(&b), file_name(a).cmp(&file_name(b)));
        }
    }

    #[test]
    fn other_files_are_no_segments() {
        for name in ["", "end", "1.log", "00000000000000000001", "0000000000000000000x.log"] {
            assert_eq!(first_of(name), None, "{name}");
        }
        assert_eq!(first_of("99999999999999999999.log"), None);
    }

    #[test]
    fn another_version_is_named() {
        let segment = Segment { incarnation: 1, first: 2, previous_end: 2, time: 3 };
        let mut bytes = segment.encode();
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..64]);
        bytes[64..68].copy_from_slice(&checksum.to_le_bytes());
        assert!(matches!(Segment::decode(&bytes), Err(Wrong::Version(2))));
    }
}
