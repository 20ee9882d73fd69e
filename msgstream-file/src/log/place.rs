//! A reader's place in a log.

use super::window::Window;

/// Where a reader goes on. A clone is cheap, so a read that is cancelled leaves it as it was.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The offset of the next record.
    pub(crate) next: u64,
    /// Where that is, once it was looked for.
    pub(super) spot: Option<Spot>,
    pub(super) window: Window,
}

/// A frame in a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) segment: u64,
    /// Where the frame begins.
    pub(super) byte: u64,
    /// The offset of its first record.
    pub(super) offset: u64,
    /// Where the next record to look at is within the frame, and its offset.
    pub(super) inside: Option<(usize, u64)>,
    /// Where the segment ends, once nothing is appended to it.
    pub(super) end: Option<End>,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The offset behind its last record.
    pub(super) offset: u64,
    /// The length of its file, which may be greater.
    pub(super) byte: u64,
}

impl Spot {
    pub(super) const fn new(segment: u64, byte: u64, offset: u64) -> Self {
        Self { segment, byte, offset, inside: None, end: None }
    }
}

impl Place {
    pub(crate) fn new(next: u64) -> Self {
        Self { next, spot: None, window: Window::default() }
    }
}
