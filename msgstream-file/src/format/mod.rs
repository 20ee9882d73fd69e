//! What the files hold, as bytes. All numbers are little-endian, all checksums CRC-32C.
//!
//! `docs/backends/file.md` describes the format for those who read it with other programs.

pub(crate) mod frame;
pub(crate) mod published;
pub(crate) mod record;
pub(crate) mod sealed;
pub(crate) mod segment;

/// The version of every file's format. The next one reads this one.
pub(crate) const VERSION: u32 = 1;

/// Why bytes aren't what they should be.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// They are damaged.
    Damaged(&'static str),
    /// They are whole, and not the JSON that they should be.
    Json(serde_json::Error),
    /// Another version of the library wrote them.
    Version(u32),
}

/// Takes numbers from the front of some bytes.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// Takes bytes that have their length before them.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()? as usize;
        self.bytes(count)
    }
}
