//! The first look at a log in another boot of the machine.

use std::io;
use std::ops::Range;

use super::window::Window;
use super::{Held, Log};
use crate::disk::{DiskFile, read_exact, read_up_to, write_all};
use crate::error::{Result, damaged, failed, wrong};
use crate::format::frame::{ALIGNMENT, Frame};
use crate::format::published::{Look, Published};
use crate::format::segment::{self, Segment};
use crate::planted::{Bug, planted};

/// Where a segment ends, as its frames tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) byte: u64,
    pub(super) end: u64,
    time: u64,
}

impl Log {
    /// Returns the published end. If it isn't of this boot, the last segment is scanned, and what is
    /// whole there is published. What is torn at its end is left for the next writer to cut.
    pub(crate) fn recover(&self, held: &Held) -> Result<Published> {
        if let Some(published) = self.published()? {
            return Ok(published);
        }
        self.check()?;
        let bounds = self.bounds()?;
        let last = self.segments()?.last().copied();
        let last = last.ok_or_else(|| damaged(&self.folder, 0, "it has no segment"))?;
        let bytes = super::read_small(&*self.disk, &self.path("end")).unwrap_or_default();
        let another_boot =
            matches!(Published::look(&bytes), Look::At(end) if end.boot != self.disk.boot().0);
        let tail = self.scan(last, another_boot)?;
        if Published::greatest_durable(&bytes, self.incarnation.0) > tail.end {
            let what = "records that were durable are missing; `repair` gives them up";
            return Err(damaged(&self.segment_path(last), tail.byte, what));
        }
        let mut published = Published {
            generation: Published::greatest_generation(&bytes),
            boot: self.disk.boot().0,
            incarnation: self.incarnation.0,
            segment: last,
            byte: tail.byte,
            end: tail.end,
            first: bounds.first,
            durable: tail.end,
            durable_byte: tail.byte,
            time: tail.time,
        };
        if bounds.reserved > published.end {
            // Records with these offsets may have been seen, and are gone.
            self.roll(held, &mut published, bounds.reserved)?;
        }
        // Whoever began the last segment may have been killed before its name was durable.
        self.disk.sync_folder(&self.folder).map_err(failed("sync", &self.folder))?;
        self.publish_anew(held, &mut published)?;
        tracing::debug!(folder = %self.folder.display(), end = published.end, "the end of the log was found anew");
        Ok(published)
    }

    /// Finds the end of a segment that may be torn, and makes it durable up to there. In the boot
    /// in which it was written it may show what a failed sync left, so it is written again.
    ///
    /// A bad frame is torn if nothing says that it was durable once, and all that is behind it goes
    /// with it: after a power cut there are valid frames behind a bad one, as pages are written in
    /// any order. It is damaged if a later frame says that it was durable.
    pub(super) fn scan(&self, first: u64, another_boot: bool) -> Result<Tail> {
        let path = self.segment_path(first);
        let file = self.segment_file(first, false)?;
        let length = file.length().map_err(failed("measure", &path))?;
        let segment = self.header(first)?;
        let mut window = Window::default();
        let (mut byte, mut end) = (segment::HEADER as u64, segment.first);
        // Behind the last batch that is whole.
        let mut tail = Tail { byte, end, time: segment.time };
        while let Some(frame) =
            window.whole_frame(&*file, byte, length).map_err(failed("read", &path))?
        {
            if frame.first != end && !planted(Bug::TornTailWhole) {
                break;
            }
            byte += frame.size();
            end = frame.end();
            if !frame.continued {
                tail = Tail { byte, end, time: tail.time.max(frame.time) };
            }
        }
        if tail.byte < length {
            let durable = self.durable_beyond(&mut window, first, tail, length)?;
            if durable.is_some_and(|durable| durable > tail.end) {
                return Err(damaged(
                    &path,
                    byte,
                    "a frame that was durable is damaged; `repair` gives it up",
                ));
            }
        }
        if planted(Bug::TornTailWhole) && tail.byte < length {
            // It takes a frame by its header alone.
            let header = window.header(&*file, tail.byte, length).map_err(failed("read", &path))?;
            if let Some(frame) = header {
                tail = Tail { byte: length, end: frame.end(), time: tail.time };
            }
        }
        let file = if another_boot { file } else { self.segment_file(first, true)? };
        let keep = || {
            if !another_boot {
                write_again(&*file, 0..tail.byte)?;
            }
            file.sync()
        };
        keep().map_err(|error| {
            self.forget(first);
            failed("sync", &path)(error)
        })?;
        Ok(tail)
    }

    /// Returns up to which offset a segment was durable, as its frames say.
    pub(super) fn durable_in(&self, first: u64) -> Result<u64> {
        let path = self.segment_path(first);
        let file = self.segment_file(first, false)?;
        let length = file.length().map_err(failed("measure", &path))?;
        let begin = Tail { byte: segment::HEADER as u64, end: first, time: 0 };
        let durable = self.durable_beyond(&mut Window::default(), first, begin, length)?;
        Ok(durable.unwrap_or(first))
    }

    /// Returns the greatest end that was durable as any frame beyond a segment's end says.
    fn durable_beyond(
        &self,
        window: &mut Window,
        first: u64,
        tail: Tail,
        length: u64,
    ) -> Result<Option<u64>> {
        let path = self.segment_path(first);
        let file = self.segment_file(first, false)?;
        let mut durable = None;
        let mut byte = tail.byte;
        while byte < length {
            if let Some(frame) =
                window.header(&*file, byte, length).map_err(failed("read", &path))?
                // A payload may hold frames, too, of a copy of this log perhaps.
                && frame.first >= tail.end
            {
                durable = durable.max(Some(frame.durable));
            }
            byte += ALIGNMENT;
        }
        Ok(durable)
    }

    /// Reads the header of a segment.
    pub(super) fn header(&self, first: u64) -> Result<Segment> {
        self.read_header(&*self.segment_file(first, false)?, first)
    }

    pub(super) fn read_header(&self, file: &dyn DiskFile, first: u64) -> Result<Segment> {
        let path = self.segment_path(first);
        let mut bytes = Vec::with_capacity(segment::HEADER);
        read_up_to(file, &mut bytes, segment::HEADER, 0).map_err(failed("read", &path))?;
        let header = Segment::decode(&bytes).map_err(|what| wrong(&path, what))?;
        if !self.is_own(header.incarnation) || header.first != first {
            self.check()?;
            return Err(damaged(
                &path,
                0,
                "it is a segment of another channel, or of another place",
            ));
        }
        Ok(header)
    }

    /// Writes again what is published and not yet durable, before it is synced.
    ///
    /// An earlier sync may have failed, in this process or in one that was killed. Then the system
    /// shows what it didn't write, doesn't write it any more, and the next sync succeeds.
    pub(super) fn write_again(&self, file: &dyn DiskFile, published: &Published) -> io::Result<()> {
        write_again(file, published.durable_byte..published.byte)
    }

    /// Returns the time of a segment's first frame; 0 if it has none.
    pub(super) fn first_time(&self, published: &Published) -> Result<u64> {
        let path = self.segment_path(published.segment);
        let file = self.segment_file(published.segment, false)?;
        let at = segment::HEADER as u64;
        let frame: Option<Frame> =
            Window::default().header(&*file, at, published.byte).map_err(failed("read", &path))?;
        Ok(frame.map_or(0, |frame| frame.time))
    }
}

fn write_again(file: &dyn DiskFile, bytes: Range<u64>) -> io::Result<()> {
    const PART: u64 = 256 << 10;
    if planted(Bug::ShownPages) {
        return Ok(());
    }
    let (mut at, mut part) = (bytes.start, Vec::new());
    while at < bytes.end {
        part.clear();
        read_exact(file, &mut part, (bytes.end - at).min(PART) as usize, at)?;
        write_all(file, &part, at)?;
        at += part.len() as u64;
    }
    Ok(())
}
