//! The published end of a channel: up to where readers may read.
//!
//! The file has two places for it, which are written in turn, so that one is whole at any time. It
//! is never synced: it is true in the boot in which it was written, and in no other.

use super::{Fields, VERSION};

/// The size of the file, in bytes.
pub(crate) const SIZE: usize = 2 * SLOT;

const SLOT: usize = 128;
const MAGIC: [u8; 4] = *b"MSE1";

/// Where a channel's log ends, and what else changes with each append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// Counts the times that it was written.
    pub(crate) generation: u64,
    pub(crate) boot: u128,
    pub(crate) incarnation: u128,
    /// The segment that is written: the offset of its first record.
    pub(crate) segment: u64,
    /// Where that segment ends, in bytes.
    pub(crate) byte: u64,
    /// The offset of the next record.
    pub(crate) end: u64,
    /// The first offset that is left.
    pub(crate) first: u64,
    /// Everything before this offset is durable.
    pub(crate) durable: u64,
    /// The append time of the last frame, in Unix milliseconds.
    pub(crate) time: u64,
}

/// What a look at the file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The greatest generation, beside one that is whole.
    At(Published),
    /// A place isn't whole: somebody is writing it, or it is damaged.
    Unclear,
}

impl Published {
    /// Returns where the place for this generation is, in bytes.
    pub(crate) const fn place(&self) -> u64 {
        self.generation % 2 * SLOT as u64
    }

    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.generation.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.boot.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.incarnation.to_le_bytes());
        let numbers = [self.segment, self.byte, self.end, self.first, self.durable, self.time];
        for (place, number) in bytes[48..96].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes[..SLOT - 4]);
        bytes[SLOT - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..SLOT)?);
        let (magic, version) = (fields.bytes(4)?, fields.u32()?);
        let published = Self {
            generation: fields.u64()?,
            boot: fields.u128()?,
            incarnation: fields.u128()?,
            segment: fields.u64()?,
            byte: fields.u64()?,
            end: fields.u64()?,
            first: fields.u64()?,
            durable: fields.u64()?,
            time: fields.u64()?,
        };
        let checksum = Fields(bytes.get(SLOT - 4..)?).u32()?;
        let sound = magic == MAGIC
            && version == VERSION
            && checksum == crc32c::crc32c(bytes.get(..SLOT - 4)?);
        sound.then_some(published)
    }

    /// Returns the greatest generation of a file that may not be whole; 0 if there is none.
    pub(crate) fn greatest_generation(bytes: &[u8]) -> u64 {
        let slots = bytes.chunks(SLOT).filter_map(Self::decode);
        slots.map(|published| published.generation).max().unwrap_or_default()
    }

    /// Returns what the whole file says.
    pub(crate) fn look(bytes: &[u8]) -> Look {
        let slots = bytes.split_at_checked(SLOT);
        let both = slots.and_then(|(one, other)| Some((Self::decode(one)?, Self::decode(other)?)));
        match both {
            Some((one, other)) if one.generation > other.generation => Look::At(one),
            Some((_, other)) => Look::At(other),
            None => Look::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn published(generation: u64) -> Published {
        Published {
            generation,
            boot: 1,
            incarnation: 2,
            segment: 3,
            byte: 4,
            ..Published::default()
        }
    }

    fn file(one: Published, other: Published) -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        for published in [one, other] {
            let at = published.place() as usize;
            bytes[at..at + SLOT].copy_from_slice(&published.encode());
        }
        bytes
    }

    proptest! {
        #[test]
        fn the_greater_generation_counts_and_no_flipped_bit_is_overlooked(
            generation in 0..u64::MAX,
            (byte, bit) in (0..SIZE, 0..8),
        ) {
            let mut bytes = file(published(generation), published(generation + 1));
            prop_assert_eq!(Published::look(&bytes), Look::At(published(generation + 1)));
            bytes[byte] ^= 1_u8 << bit;
            prop_assert_eq!(Published::look(&bytes), Look::Unclear);
        }
    }

    #[test]
    fn a_file_that_is_short_is_unclear() {
        let bytes = file(published(4), published(5));
        for length in [0, 1, SLOT, SIZE - 1] {
            assert_eq!(Published::look(&bytes[..length]), Look::Unclear);
        }
    }
}
