//! Finding a record by its offset, or by its time.

use super::Log;
use super::place::Spot;
use super::window::Window;
use crate::error::{Result, damaged, failed};
use crate::format::frame::Frame;
use crate::format::published::Published;
use crate::format::segment;

impl Log {
    /// Returns the spot in which to look for an offset that is left and before the end: the frame
    /// with it, or the end of a segment behind which offsets were left out.
    pub(super) fn find(&self, offset: u64, published: &Published) -> Result<Spot> {
        let holder = self.segments()?.into_iter().rfind(|first| *first <= offset);
        let first = holder.unwrap_or(published.first).min(published.segment);
        self.readable(first, offset)?;
        self.skip(first, published, |frame| frame.end() > offset)
    }

    /// Returns the offset of the first record that was appended at a time or later, in Unix
    /// milliseconds; the end if there is none.
    pub(crate) fn offset_at(&self, time: u64, published: &Published) -> Result<u64> {
        let segments = self.segments()?;
        let left = segments.partition_point(|first| *first < published.first);
        let left = segments.get(left..).unwrap_or_default();
        // Each knows the time of the frame before its own first one.
        let mut from = 0;
        for (at, first) in left.iter().enumerate() {
            if self.header(*first)?.time >= time {
                break;
            }
            from = at;
        }
        for first in
            left.get(from..).unwrap_or_default().iter().filter(|f| **f <= published.segment)
        {
            let mut found = false;
            let spot = self.skip(*first, published, |frame| {
                found = frame.time >= time;
                found
            })?;
            if found {
                return Ok(spot.offset);
            }
        }
        Ok(published.end)
    }

    /// Returns the spot of the first frame in a segment that meets a condition, else the segment's
    /// end.
    fn skip(
        &self,
        first: u64,
        published: &Published,
        mut until: impl FnMut(&Frame) -> bool,
    ) -> Result<Spot> {
        let path = self.segment_path(first);
        let file = self.readable(first, first)?;
        let header = self.header(first)?;
        let (end, end_offset) = match first == published.segment {
            true => (published.byte, published.end),
            false => {
                let length = file.length().map_err(failed("measure", &path))?;
                (length, self.following(first, first)?.1)
            }
        };
        let mut spot = Spot::new(first, segment::HEADER as u64, header.first);
        let mut window = Window::default();
        while spot.offset < end_offset {
            let frame = window
                .header(&*file, spot.byte, end)
                .map_err(failed("read", &path))?
                .filter(|frame| frame.first == spot.offset)
                .ok_or_else(|| damaged(&path, spot.byte, "the header of a frame is damaged"))?;
            if until(&frame) {
                break;
            }
            spot = Spot::new(first, spot.byte + frame.size(), frame.end());
        }
        Ok(spot)
    }
}
