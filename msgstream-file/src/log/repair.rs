//! Giving up what is damaged, so that the rest can be read.

use std::ops::Range;

use super::bounds::Bounds;
use super::window::Window;
use super::{Held, Log, read_small};
use crate::disk::write_all;
use crate::error::{Result, failed};
use crate::format::frame::{ALIGNMENT, Frame, HEADER};
use crate::format::published::Published;
use crate::format::segment;

impl Log {
    /// Puts an empty frame over each run of damaged ones, up to the next that is sound. Returns the
    /// offsets that are lost by that.
    pub(crate) fn repair(&self, held: &Held) -> Result<Vec<Range<u64>>> {
        let bounds = self.bounds()?;
        if !bounds.repaired {
            // First: if this is cut short, some records may be given up already.
            self.set_bounds(held, Bounds { repaired: true, ..bounds })?;
        }
        let mut durable = 0;
        let published = match self.published()? {
            Some(published) => published,
            // The last segment must be sound before its end can be found.
            None => {
                self.check()?;
                let path = self.path("end");
                let bytes = read_small(&*self.disk, &path).unwrap_or_default();
                durable = Published::greatest_durable(&bytes, self.incarnation.0);
                Published { segment: u64::MAX, ..Published::default() }
            }
        };
        let segments = self.segments()?;
        let mut lost = Vec::new();
        for (at, first) in segments.iter().enumerate().filter(|(_, f)| **f <= published.segment) {
            let end = match segments.get(at + 1) {
                Some(next) if *first != published.segment => Some(self.header(*next)?.previous_end),
                _ => (*first == published.segment).then_some(published.end),
            };
            let byte = (*first == published.segment).then_some(published.byte);
            // Of the last segment in another boot, what was never durable is torn, not damaged.
            let torn_from = match end {
                Some(_) => None,
                None => {
                    durable = durable.max(self.durable_in(*first)?);
                    Some(durable)
                }
            };
            self.repair_segment(*first, byte, end, torn_from, &mut lost)?;
        }
        self.give_up_end(held, durable, &mut lost)?;
        self.recover(held)?;
        Ok(lost)
    }

    /// Gives up what was durable at the end of the log and isn't there any more. The offsets aren't
    /// given out again.
    fn give_up_end(&self, held: &Held, durable: u64, lost: &mut Vec<Range<u64>>) -> Result<()> {
        let Some(last) = self.segments()?.last().copied() else { return Ok(()) };
        if durable == 0 {
            return Ok(());
        }
        let end = self.scan(last, true)?.end;
        if end >= durable {
            return Ok(());
        }
        let bounds = self.bounds()?;
        self.set_bounds(held, Bounds { reserved: bounds.reserved.max(durable), ..bounds })?;
        let path = self.path("end");
        self.disk.remove_file(&path).map_err(failed("remove", &path))?;
        lost.push(end..durable);
        Ok(())
    }

    /// Repairs a segment that ends at a byte and an offset, if they are known. Else only what is
    /// before an offset is repaired, and what is behind the last sound frame before it is cut.
    fn repair_segment(
        &self,
        first: u64,
        byte: Option<u64>,
        end: Option<u64>,
        torn_from: Option<u64>,
        lost: &mut Vec<Range<u64>>,
    ) -> Result<()> {
        let path = self.segment_path(first);
        let file = self.segment_file(first, true)?;
        let length = file.length().map_err(failed("measure", &path))?;
        let length = byte.unwrap_or(length).min(length);
        let header = self.header(first)?;
        let mut window = Window::default();
        let (mut at, mut next, mut time) = (segment::HEADER as u64, header.first, header.time);
        let read = failed("read", &path);
        let mut frame_at = |byte: u64| window.whole_frame(&*file, byte, length);
        let mut repaired = false;
        let mut repair = || -> std::io::Result<()> {
            // What is behind the end of a segment is left of a cut that wasn't durable.
            while at < length && Some(next) != end {
                if let Some(frame) = frame_at(at)?.filter(|frame| frame.first == next) {
                    (at, next, time) = (at + frame.size(), frame.end(), frame.time);
                    continue;
                }
                if torn_from.is_some_and(|torn| next >= torn) {
                    break;
                }
                let mut sound = at + ALIGNMENT;
                let mut behind = None;
                while sound < length && behind.is_none() {
                    behind = frame_at(sound)?.filter(|frame| frame.first >= next);
                    sound += if behind.is_none() { ALIGNMENT } else { 0 };
                }
                let behind = behind.map(|frame| frame.first);
                let Some(end) = behind.filter(|b| torn_from.is_none_or(|torn| *b <= torn)).or(end)
                else {
                    // Nothing sound is left of what was durable.
                    file.cut(at)?;
                    repaired = true;
                    break;
                };
                let size = sound.min(length) - at;
                let empty = Frame {
                    void: true,
                    length: (size - HEADER as u64) as u32,
                    count: (end - next) as u32,
                    first: next,
                    time,
                    durable: next,
                    ..Frame::default()
                };
                write_all(&*file, &empty.encode(), at)?;
                repaired = true;
                lost.push(next..end);
                (at, next) = (at + size, end);
            }
            match repaired {
                true => file.sync(),
                false => Ok(()),
            }
        };
        repair().map_err(read)
    }
}
