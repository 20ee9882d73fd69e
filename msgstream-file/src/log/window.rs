//! The part of a segment that a reader has in memory.

use std::io;

use bytes::Bytes;

use super::buffer::Buffer;
use crate::disk::DiskFile;
use crate::format::frame::{ALIGNMENT, Frame, HEADER};

/// How much is read at a time, in bytes.
const READ: usize = 256 << 10;

/// A frame that is larger is read by itself, with the header of the next one: else a part of the one
/// behind it would be read twice.
const ALONE: usize = READ / 8;

/// Some bytes of one file. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    bytes: Bytes,
    /// Where they are in the file.
    at: u64,
    /// Only what the system has in memory is read.
    cached: bool,
    /// The frame at this place was compared with its checksum.
    checked: Option<u64>,
}

impl Window {
    /// Returns up to `count` bytes of a file that is read up to `end`: fewer only there, or where the
    /// file ends.
    pub(super) fn get(
        &mut self,
        file: &dyn DiskFile,
        at: u64,
        count: usize,
        end: u64,
    ) -> io::Result<Bytes> {
        let count = count.min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
        if let Some(part) = self.part(at, count) {
            return Ok(part);
        }
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let ahead = if count > ALONE { count + ALIGNMENT as usize + HEADER } else { READ };
        let size = ahead.min(left);
        // What the last read left is mostly free from here on, and is used again.
        *self = Self { cached: self.cached, ..Self::default() };
        let buffer = Buffer::new(size, at);
        let read = if self.cached { buffer.read_cached(file) } else { buffer.read(file) };
        (self.bytes, self.at) = (read?, at);
        Ok(self.bytes.slice(..count.min(self.bytes.len())))
    }

    /// Returns how many bytes are in memory.
    pub(super) const fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn is_cached(&self) -> bool {
        self.cached
    }

    /// Sets whether only what the system has in memory is read.
    pub(super) const fn set_cached(&mut self, cached: bool) {
        self.cached = cached;
    }

    fn part(&self, at: u64, count: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let to = from.checked_add(count)?;
        (to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }

    /// Returns the frame whose header is at a byte; `None` if there is none that is sound.
    pub(super) fn header(
        &mut self,
        file: &dyn DiskFile,
        at: u64,
        end: u64,
    ) -> io::Result<Option<Frame>> {
        Ok(Frame::decode(&self.get(file, at, HEADER, end)?))
    }

    /// Returns the records of a frame that is at a byte, without a look at what they are.
    pub(super) fn body(
        &mut self,
        file: &dyn DiskFile,
        at: u64,
        frame: &Frame,
        end: u64,
    ) -> io::Result<Bytes> {
        // From the header on, which is looked at again if the frame is handed out in parts.
        let mut whole = self.get(file, at, HEADER + frame.length as usize, end)?;
        Ok(whole.split_off(HEADER.min(whole.len())))
    }

    /// Returns the records of a frame that is at a byte, or nothing if they are damaged.
    pub(super) fn checked_body(
        &mut self,
        file: &dyn DiskFile,
        at: u64,
        frame: &Frame,
        end: u64,
    ) -> io::Result<Option<Bytes>> {
        let body = self.body(file, at, frame, end)?;
        // A frame that is handed out in parts is checked once, unless its bytes are read again.
        if self.checked != Some(at) && !frame.matches(&body) {
            return Ok(None);
        }
        self.checked = Some(at);
        Ok(Some(body))
    }

    /// Returns the frame at a byte if it is whole; `None` if it isn't.
    pub(super) fn whole_frame(
        &mut self,
        file: &dyn DiskFile,
        at: u64,
        end: u64,
    ) -> io::Result<Option<Frame>> {
        let Some(frame) = self.header(file, at, end)? else { return Ok(None) };
        if at + frame.size() > end {
            return Ok(None);
        }
        let whole = frame.void || frame.matches(&self.body(file, at, &frame, end)?);
        Ok(whole.then_some(frame))
    }
}
