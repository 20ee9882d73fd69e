//! Reading what is published.

use std::sync::Arc;

use bytes::Bytes;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, TransportErrorKind as Kind};

use super::place::{End, Place, Spot};
use super::window::Window;
use super::{Log, outside};
use crate::disk::DiskFile;
use crate::error::{Result, damaged, failed};
use crate::format::frame::Frame;
use crate::format::published::Published;
use crate::format::record::Decoder;
use crate::format::segment;

/// How much is read without waiting at a time, in bytes: so long is a thread of the runtime kept.
const AT_ONCE: usize = 1 << 20;

impl Log {
    /// Returns the records from a place on, within a limit, and the place behind them. There are
    /// none only at the published end.
    pub(crate) fn read(
        &self,
        published: &Published,
        from: &Place,
        limit: Limit,
    ) -> Result<(Vec<Record>, Place)> {
        if let Some(failure) = outside(from.next, published) {
            return Err(failure);
        }
        let (mut place, mut records) = (from.clone(), Records::new(limit));
        place.window.set_cached(false);
        match self.read_into(&mut records, published, &mut place) {
            // What was read so far comes first: the reader meets the failure again.
            Err(failure) if records.taken.is_empty() => Err(failure),
            _ => Ok((records.taken, place)),
        }
    }

    /// Reads as [`read`](Self::read) does, without waiting for the disk, and moves the place. Returns
    /// no record if the disk must be waited for or a read fails; `read` then returns the error.
    pub(crate) fn read_cached(
        &self,
        published: &Published,
        place: &mut Place,
        limit: Limit,
    ) -> Vec<Record> {
        let mut records = Records::new(limit.with_bytes(limit.bytes.min(AT_ONCE)));
        if outside(place.next, published).is_none() {
            place.window.set_cached(true);
            // Whoever meets a failure here meets it again.
            let _ = self.read_into(&mut records, published, place);
        }
        records.taken
    }

    fn read_into(
        &self,
        records: &mut Records,
        published: &Published,
        place: &mut Place,
    ) -> Result<()> {
        let cached = place.window.is_cached();
        let not_cached = || {
            let reason = "it isn't in memory".to_owned();
            Failure::from(Kind::Unavailable { reason })
        };
        while place.next < published.end && !records.full {
            let mut spot = match place.spot {
                Some(spot) => spot,
                None if cached => return Err(not_cached()),
                None => self.find(place.next, published)?,
            };
            let file = match self.open_file(spot.segment, false) {
                Some(file) => file,
                None if cached => return Err(not_cached()),
                None => match self.readable(spot.segment, place.next) {
                    // It was read to its end before it was removed, and the next one is there.
                    Err(Failure { kind: Kind::Damaged { .. }, .. }) if place.spot.is_some() => {
                        *place = Place::new(place.next);
                        continue;
                    }
                    file => file?,
                },
            };
            let path = || self.segment_path(spot.segment);
            let end = match (spot.segment == published.segment, spot.end) {
                (true, _) => published.byte,
                (false, Some(end)) if spot.offset < end.offset => end.byte,
                _ if cached => return Err(not_cached()),
                (false, Some(_)) => {
                    place.spot = Some(self.follow(spot, place.next)?);
                    place.window = Window::default();
                    continue;
                }
                (false, None) => {
                    let (_, offset) = self.following(spot.segment, place.next)?;
                    let byte = file.length().map_err(failed("measure", &path()))?;
                    spot.end = Some(End { offset, byte });
                    place.spot = Some(spot);
                    continue;
                }
            };
            // Offsets that were left out hold no record. Perhaps there is none behind them either.
            if place.next < spot.offset {
                (place.next, place.spot) = (spot.offset, Some(spot));
                continue;
            }
            let frame = self.frame(place, &*file, spot, end)?;
            if frame.void {
                place.next = place.next.max(frame.end());
            }
            if frame.end() > place.next {
                if !records.has_room(&frame) {
                    place.spot = Some(spot);
                    break;
                }
                let body = self.body(place, &*file, spot, &frame, end)?;
                let from = spot.inside.unwrap_or((0, frame.first));
                let (inside, next) = records
                    .take((&body, place.window.size()), from, place.next, &frame)
                    .ok_or_else(|| damaged(&path(), spot.byte, "a record in it can't be read"))?;
                place.next = next;
                if next < frame.end() {
                    spot.inside = Some((inside, next));
                    place.spot = Some(spot);
                    continue;
                }
            }
            let behind = Spot::new(spot.segment, spot.byte + frame.size(), frame.end());
            place.spot = Some(Spot { end: spot.end, ..behind });
        }
        if place.next >= published.end {
            place.window = Window::default();
        }
        Ok(())
    }

    /// Returns the frame at a spot, which must be there.
    fn frame(&self, place: &mut Place, file: &dyn DiskFile, spot: Spot, end: u64) -> Result<Frame> {
        let path = || self.segment_path(spot.segment);
        let damaged = |what| damaged(&path(), spot.byte, what);
        let frame = place.window.header(file, spot.byte, end);
        let frame = frame.map_err(|error| failed("read", &path())(error))?;
        let frame = frame.ok_or_else(|| damaged("the header of a frame is damaged"))?;
        if spot.byte + frame.size() > end {
            return Err(damaged("a frame is longer than what is left"));
        }
        if frame.first != spot.offset {
            return Err(damaged("a frame has another offset than the one before it says"));
        }
        Ok(frame)
    }

    fn body(
        &self,
        place: &mut Place,
        file: &dyn DiskFile,
        spot: Spot,
        frame: &Frame,
        end: u64,
    ) -> Result<Bytes> {
        let path = || self.segment_path(spot.segment);
        let body = place.window.checked_body(file, spot.byte, frame, end);
        let body = body.map_err(|error| failed("read", &path())(error))?;
        body.ok_or_else(|| damaged(&path(), spot.byte, "the records of a frame are damaged"))
    }

    /// Returns a segment's file for a reader, whom retention may have passed.
    pub(super) fn readable(&self, segment: u64, next: u64) -> Result<Arc<dyn DiskFile>> {
        self.segment_file(segment, false).map_err(|failure| self.missing(failure, segment, next))
    }

    /// Returns why a segment isn't there.
    pub(super) fn missing(&self, failure: Failure, segment: u64, next: u64) -> Failure {
        match failure.kind {
            Kind::NotFound => {
                let path = self.segment_path(segment);
                self.gap(next, format!("{} is missing", path.display()))
            }
            _ => failure,
        }
    }

    /// Returns why the log can't be read on: retention passed the reader, or the channel is gone.
    /// Otherwise the log is damaged.
    fn gap(&self, next: u64, reason: String) -> Failure {
        match self.passed(next) {
            Ok(()) => Kind::Damaged { reason }.into(),
            Err(failure) => failure,
        }
    }

    /// Fails if retention passed a reader.
    fn passed(&self, next: u64) -> Result<()> {
        match self.published()? {
            Some(now) if next < now.first => {
                let (position, first) = (Position::new(next), Position::new(now.first));
                Err(Kind::PositionTrimmed { position, first }.into())
            }
            Some(_) => Ok(()),
            // It must be found anew, which only whoever has the lock can do.
            None => {
                let reason = format!("the end of {} isn't clear", self.folder.display());
                Err(Kind::Unavailable { reason }.into())
            }
        }
    }

    /// Returns the beginning of the segment behind one that was read to its end.
    fn follow(&self, spot: Spot, next: u64) -> Result<Spot> {
        let (first, end) = self.following(spot.segment, next)?;
        match end == spot.offset {
            true => Ok(Spot::new(first, segment::HEADER as u64, first)),
            false => {
                let path = self.segment_path(spot.segment);
                let what = "a frame goes beyond the offset at which the next segment begins";
                Err(damaged(&path, spot.byte, what))
            }
        }
    }

    /// Returns the offsets at which the segment behind this one begins, and at which this one ends.
    ///
    /// The file may be longer: a cut that wasn't durable leaves something behind the end.
    pub(super) fn following(&self, segment: u64, next: u64) -> Result<(u64, u64)> {
        let segments = self.segments()?;
        let Some(first) = segments.iter().copied().find(|first| *first > segment) else {
            let path = self.segment_path(segment);
            return Err(self.gap(next, format!("no segment follows {}", path.display())));
        };
        let file = self.readable(first, next)?;
        if !segments.contains(&segment) {
            // Those that followed it may be gone, too.
            self.passed(next)?;
        }
        Ok((first, self.read_header(&*file, first)?.previous_end))
    }
}

/// The records of one read.
struct Records {
    limit: Limit,
    taken: Vec<Record>,
    bytes: usize,
    full: bool,
    decoder: Decoder,
}

impl Records {
    fn new(limit: Limit) -> Self {
        Self { limit, taken: Vec::new(), bytes: 0, full: false, decoder: Decoder::default() }
    }

    /// Returns whether another record of a frame probably fits, by their average size. If not, the
    /// frame isn't read for nothing.
    fn has_room(&self, frame: &Frame) -> bool {
        let average = frame.length as usize / frame.count.max(1) as usize;
        self.taken.is_empty() || self.bytes.saturating_add(average) <= self.limit.bytes
    }

    /// Takes records of a frame, which is in a buffer of a size, from an offset on. Returns the place and
    /// the offset of the first that wasn't looked at; `None` if one can't be read.
    fn take(
        &mut self,
        (body, buffer): (&Bytes, usize),
        (mut at, mut offset): (usize, u64),
        next: u64,
        frame: &Frame,
    ) -> Option<(usize, u64)> {
        while offset < frame.end() {
            let (mut record, behind) = self.decoder.decode(body, at, buffer)?;
            if offset >= next {
                let bytes = self.bytes.saturating_add(record.footprint());
                if !self.taken.is_empty() && bytes > self.limit.bytes {
                    self.full = true;
                    break;
                }
                record.position = Position::new(offset);
                self.bytes = bytes;
                self.taken.push(record);
            }
            (at, offset) = (behind, offset + 1);
            if self.taken.len() >= self.limit.records.max(1) {
                self.full = true;
                break;
            }
        }
        Some((at, offset.max(next)))
    }
}
