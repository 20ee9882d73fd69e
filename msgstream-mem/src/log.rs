//! The log itself: records in chunks, retention, and the index of append times. Pure: no lock, no
//! waiting, no clock of its own.

use std::collections::VecDeque;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, ReadBatch, Start, TransportErrorKind};

/// A batch of fewer records joins the chunk before it.
const SMALL_BATCH: usize = 32;
/// A chunk that small batches join grows to so many records.
const JOINED_CHUNK: usize = 256;

/// Records at consecutive offsets, the first one being 0.
///
/// A batch is kept as it was handed over, behind an `Arc`, so that a reader takes what it needs
/// with a few pointers under the lock and clones the records outside of it.
#[derive(Default)]
pub(crate) struct Log {
    chunks: VecDeque<Chunk>,
    /// The first offset that is left.
    first: u64,
    /// The offset of the next record.
    end: u64,
    /// The footprint of the records that are left.
    bytes: u64,
    /// Where the append time changes: Unix milliseconds, and the first offset of that time.
    times: VecDeque<(u64, u64)>,
}

pub(crate) struct Chunk {
    records: Arc<Vec<Record>>,
    /// The offset of the first record, left or not.
    base: u64,
    /// The footprint of all records when they were appended.
    bytes: usize,
    /// How many records at the front were emptied, because the first offset passed them.
    emptied: usize,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.base + self.records.len() as u64
    }
}

impl Log {
    /// Returns the first offset that is left, `None` if no record is.
    pub(crate) fn first(&self) -> Option<u64> {
        (self.first < self.end).then_some(self.first)
    }

    /// Returns the offset of the next record.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Appends records at a wall-clock time, and returns their offsets. A time before that of the last
    /// record counts as that one's: the index is sorted, whatever the clock does.
    pub(crate) fn append(&mut self, mut records: Vec<Record>, unix_ms: u64) -> Range<u64> {
        let base = self.end;
        if records.is_empty() {
            return base..base;
        }
        let mut bytes = 0;
        for record in &mut records {
            record.position = Position::new(self.end);
            self.end += 1;
            bytes += record.footprint();
        }
        self.bytes += bytes as u64;
        if self.times.back().is_none_or(|(last, _)| *last < unix_ms) {
            self.times.push_back((unix_ms, base));
        }
        self.store(base, bytes, records);
        base..self.end
    }

    fn store(&mut self, base: u64, bytes: usize, mut records: Vec<Record>) {
        if records.len() < SMALL_BATCH
            && let Some(tail) = self.chunks.back_mut()
            && tail.records.len() + records.len() <= JOINED_CHUNK
            // Not while a reader is cloning from it.
            && let Some(joined) = Arc::get_mut(&mut tail.records)
        {
            joined.append(&mut records);
            tail.bytes += bytes;
            return;
        }
        if records.capacity() > 2 * records.len() {
            records.shrink_to_fit();
        }
        self.chunks.push_back(Chunk { records: Arc::new(records), base, bytes, emptied: 0 });
    }

    /// Drops the oldest records until no more than `keep` bytes are left, or one record.
    pub(crate) fn retain(&mut self, keep: u64) {
        while self.bytes > keep && self.first + 1 < self.end && self.pass(self.first + 1) {
            self.pop_passed();
        }
        self.let_go();
    }

    /// Drops the records before an offset, which may be the end. Returns those whose memory wasn't
    /// freed.
    pub(crate) fn trim(&mut self, before: u64) -> Vec<Chunk> {
        let mut gone = Vec::new();
        while self.first < before && self.pass(before) {
            gone.extend(self.pop_passed());
        }
        self.let_go();
        gone
    }

    /// Moves the first offset over records of the first chunk, no further than to an offset. Returns
    /// whether there was such a record.
    fn pass(&mut self, to: u64) -> bool {
        let Some(front) = self.chunks.front() else { return false };
        let to = to.min(front.end());
        let (from, to) = ((self.first - front.base) as usize, (to - front.base) as usize);
        let passed = front.records.get(from..to).unwrap_or_default();
        self.bytes -= passed.iter().map(|record| record.footprint() as u64).sum::<u64>();
        self.first += passed.len() as u64;
        !passed.is_empty()
    }

    /// Takes the first chunk out if no record of it is left.
    fn pop_passed(&mut self) -> Option<Chunk> {
        let first = self.first;
        self.chunks.pop_front_if(|front| front.end() == first)
    }

    /// Frees what is before the first offset.
    fn let_go(&mut self) {
        if let Some(front) = self.chunks.front_mut()
            // A reader that is cloning keeps them until the next time.
            && let Some(records) = Arc::get_mut(&mut front.records)
        {
            let gone = (self.first - front.base) as usize;
            for record in records.iter_mut().take(gone).skip(front.emptied) {
                *record = Record::default();
            }
            front.emptied = gone;
        }
        while self.times.get(1).is_some_and(|(_, from)| *from <= self.first) {
            self.times.pop_front();
        }
    }

    /// Returns the offset to start at.
    pub(crate) fn resolve(&self, start: Start) -> Result<u64, TransportErrorKind> {
        match start {
            Start::Earliest => Ok(self.first),
            Start::Latest => Ok(self.end),
            Start::At(position) => {
                let offset = self.offset(position)?;
                self.left(offset)
            }
            Start::After(position) => {
                let offset = self.offset(position)?;
                if offset == self.end {
                    return Err(self.beyond(position));
                }
                self.left(offset + 1)
            }
            Start::Time(ts) => {
                let at = self.times.partition_point(|(ms, _)| *ms < ts.physical_ms());
                Ok(self.times.get(at).map_or(self.end, |(_, from)| (*from).max(self.first)))
            }
            _ => Err(TransportErrorKind::Config {
                reason: format!("a reader of this transport can't start at {start:?}"),
            }),
        }
    }

    /// Returns the offset of a position, which may be the end.
    pub(crate) fn offset(&self, position: Position) -> Result<u64, TransportErrorKind> {
        if position > Position::new(self.end) {
            return Err(self.beyond(position));
        }
        offset(position)
    }

    fn beyond(&self, position: Position) -> TransportErrorKind {
        TransportErrorKind::PositionBeyondEnd { position, end: Position::new(self.end) }
    }

    fn left(&self, offset: u64) -> Result<u64, TransportErrorKind> {
        if offset < self.first {
            return Err(TransportErrorKind::PositionTrimmed {
                position: Position::new(offset),
                first: Position::new(self.first),
            });
        }
        Ok(offset)
    }

    /// Returns the part of the log that a read from an offset may need.
    pub(crate) fn slice(&self, from: u64, limit: Limit) -> Result<Slice, TransportErrorKind> {
        let from = self.left(from)?;
        let at = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let (mut chunks, mut skip) = (Vec::new(), 0);
        let (mut records, mut bytes) = (0, 0);
        for chunk in self.chunks.range(at..) {
            chunks.push(Arc::clone(&chunk.records));
            if chunk.base <= from {
                skip = (from - chunk.base) as usize;
                records += chunk.records.len() - skip;
            } else {
                records += chunk.records.len();
                bytes += chunk.bytes;
            }
            if records >= limit.records || bytes >= limit.bytes {
                break;
            }
        }
        Ok(Slice { chunks, skip, from, end: self.end })
    }
}

/// Returns the offset of a position.
pub(crate) fn offset(position: Position) -> Result<u64, TransportErrorKind> {
    match position.words() {
        [offset, 0, 0] => Ok(offset),
        _ => Err(TransportErrorKind::Config {
            reason: format!(
                "position {position} doesn't belong to an in-process log, whose positions are single numbers"
            ),
        }),
    }
}

/// A part of a log, taken under its lock, to be cloned from outside of it.
pub(crate) struct Slice {
    chunks: Vec<Arc<Vec<Record>>>,
    /// Records of the first chunk that are before `from`.
    skip: usize,
    from: u64,
    /// The end of the log when the slice was taken.
    end: u64,
}

impl Slice {
    /// Returns whether nothing is there to read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.from == self.end
    }

    /// Clones records up to the limit.
    pub(crate) fn read(&self, limit: Limit) -> ReadBatch {
        let count = limit.count(self.parts().flatten());
        let mut records = Vec::with_capacity(count);
        for part in self.parts() {
            let missing = count - records.len();
            records.extend_from_slice(part.get(..missing).unwrap_or(part));
        }
        let next = self.from + count as u64;
        ReadBatch::new(records, Position::new(next), next == self.end)
    }

    fn parts(&self) -> impl Iterator<Item = &[Record]> {
        let skips = iter::once(self.skip).chain(iter::repeat(0));
        self.chunks.iter().zip(skips).map(|(chunk, skip)| chunk.get(skip..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
