//! Finding a record by its offset, or by its time.

use std::sync::Arc;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::Log;
use super::place::Spot;
use super::window::Window;
use crate::disk::DiskFile;
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
        self.skip(first, offset, published, |frame| frame.end() > offset)
    }

    /// Returns the offset of the first record that was appended at a time or later, in Unix
    /// milliseconds; the end if there is none.
    pub(crate) fn offset_at(&self, time: u64, published: &Published) -> Result<u64> {
        let mut left = self.segments()?;
        // Nobody looks into one that somebody began and that doesn't count yet: it may be replaced.
        left.retain(|first| (published.first..=published.segment).contains(first));
        // Each knows the time of the frame before its own first one.
        let mut from = 0;
        for (at, first) in left.iter().enumerate() {
            let earlier =
                |file: Arc<dyn DiskFile>| Ok(self.read_header(&*file, *first)?.time < time);
            match self.readable(*first, *first).and_then(earlier) {
                Err(failure) if is_trimmed(&failure) => {}
                earlier => match earlier? {
                    true => from = at,
                    false => break,
                },
            }
        }
        for first in left.into_iter().skip(from) {
            let mut found = false;
            let spot = self.skip(first, first, published, |frame| {
                found = frame.time >= time;
                found
            });
            match spot {
                Err(failure) if is_trimmed(&failure) => {}
                spot => {
                    let spot = spot?;
                    if found {
                        return Ok(spot.offset);
                    }
                }
            }
        }
        Ok(published.end)
    }

    /// Returns the spot of the first frame in a segment that meets a condition, else the segment's
    /// end. `next` is where the reader is.
    fn skip(
        &self,
        first: u64,
        next: u64,
        published: &Published,
        mut until: impl FnMut(&Frame) -> bool,
    ) -> Result<Spot> {
        let path = self.segment_path(first);
        let file = self.readable(first, next)?;
        let header = self.read_header(&*file, first)?;
        let (end, end_offset) = match first == published.segment {
            true => (published.byte, published.end),
            false => {
                let length = file.length().map_err(failed("measure", &path))?;
                (length, self.following(first, next)?.1)
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

/// Returns whether retention removed a segment while it was looked for.
const fn is_trimmed(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::PositionTrimmed { .. })
}
