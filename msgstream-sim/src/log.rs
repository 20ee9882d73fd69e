//! One channel's records. Pure: no lock, no waiting, no clock of its own.

use std::sync::Arc;

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, Start, TransportErrorKind};

/// Records at growing offsets, with gaps between them as real logs have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// All there ever were: a test wants to know what was there.
    /// Shared with the copies of the log, until one of them grows.
    records: Arc<Vec<Stored>>,
    /// To its users, nothing before this offset is left.
    first: u64,
    /// Greater than every offset that was given.
    end: u64,
}

#[derive(Clone, Debug)]
struct Stored {
    record: Record,
    unix_ms: u64,
}

impl Log {
    /// The first offset that may be left; `None` where no record is.
    pub(crate) fn first(&self) -> Option<u64> {
        self.records.get(self.index(self.first)).map(|stored| stored.record.position.offset())
    }

    /// The index of the first record at an offset or after it.
    fn index(&self, offset: u64) -> usize {
        self.records.partition_point(|stored| stored.record.position.offset() < offset)
    }

    /// How many records are left.
    pub(crate) fn count(&self) -> u64 {
        (self.records.len() - self.index(self.first)) as u64
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// All records that there ever were.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|stored| &stored.record)
    }

    /// Appends a record after a gap of so many offsets, and returns its position.
    pub(crate) fn append(&mut self, mut record: Record, gap: u64, unix_ms: u64) -> Position {
        let position = Position::new(self.end + gap);
        record.position = position;
        self.end += gap + 1;
        // Sorted, so that a time can be sought.
        let unix_ms = self.records.last().map_or(unix_ms, |last| last.unix_ms.max(unix_ms));
        Arc::make_mut(&mut self.records).push(Stored { record, unix_ms });
        position
    }

    /// The same log with nothing trimmed.
    pub(crate) fn whole(&self) -> Self {
        Self { first: 0, ..self.clone() }
    }

    /// Drops what is before a position, as retention does.
    pub(crate) fn trim(&mut self, before: Position) {
        self.first = self.first.max(before.offset().min(self.end));
    }

    /// The offset to start at.
    pub(crate) fn resolve(&self, start: Start) -> Result<u64, TransportErrorKind> {
        match start {
            Start::Earliest => Ok(self.first),
            Start::Latest => Ok(self.end),
            Start::At(position) => self.left(self.offset(position)?),
            Start::After(position) => match self.offset(position)? {
                offset if offset == self.end => Err(self.beyond(position)),
                offset => self.left(offset + 1),
            },
            Start::Time(ts) => {
                let at = self.records.partition_point(|r| r.unix_ms < ts.physical_ms());
                let offset = self.records.get(at).map_or(self.end, |r| r.record.position.offset());
                Ok(offset.max(self.first))
            }
            _ => Err(TransportErrorKind::Config {
                reason: format!("a simulated log has no place `{start:?}`"),
            }),
        }
    }

    /// The offset of a position, which may be the end.
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
            let (position, first) = (Position::new(offset), Position::new(self.first));
            return Err(TransportErrorKind::PositionTrimmed { position, first });
        }
        Ok(offset)
    }

    /// Records from an offset on, as long as they are before `end`, and the offset to go on at.
    pub(crate) fn read(
        &self,
        from: u64,
        end: u64,
        limit: Limit,
    ) -> Result<(Vec<Record>, u64), TransportErrorKind> {
        let from = self.left(from)?;
        let rest = &self.records[self.index(from)..self.index(end.max(from))];
        let count = limit.count(rest.iter().map(|stored| &stored.record));
        let (now, later) = rest.split_at(count);
        let records = now.iter().map(|stored| stored.record.clone()).collect();
        let next = later.first().map_or(end.max(from), |stored| stored.record.position.offset());
        Ok((records, next))
    }
}

/// The offset that a position stands for.
pub(crate) fn offset(position: Position) -> Result<u64, TransportErrorKind> {
    match position.words() {
        [offset, 0, 0] => Ok(offset),
        _ => Err(TransportErrorKind::Config {
            reason: format!("position {position} is not of a simulated log: those are one number"),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::record::Meta;

    use super::*;

    // At 0, 3, 4, 9.
    fn log() -> Log {
        let mut log = Log::default();
        for gap in [0, 2, 0, 4] {
            log.append(Record::new(Meta::default(), vec![]), gap, 1);
        }
        log
    }

    fn offsets((records, next): (Vec<Record>, u64)) -> (Vec<u64>, u64) {
        (records.iter().map(|r| r.position.offset()).collect(), next)
    }

    #[test]
    fn reading_passes_over_gaps() {
        let log = log();
        assert_eq!(offsets(log.read(1, log.end(), Limit::default()).unwrap()), (vec![3, 4, 9], 10));
        let two = Limit::default().with_records(2);
        assert_eq!(offsets(log.read(0, log.end(), two).unwrap()), (vec![0, 3], 4));
        assert_eq!(offsets(log.read(0, 4, Limit::default()).unwrap()), (vec![0, 3], 4));
        assert_eq!(offsets(log.read(5, 5, Limit::default()).unwrap()), (vec![], 5));
    }

    #[test]
    fn what_was_trimmed_is_refused() {
        let mut log = log();
        log.trim(Position::new(4));
        assert_eq!(log.first(), Some(4));
        assert_eq!(log.resolve(Start::Earliest), Ok(4));
        let trimmed = log.resolve(Start::At(Position::new(3)));
        assert!(matches!(trimmed, Err(TransportErrorKind::PositionTrimmed { .. })));
        assert_eq!(log.resolve(Start::After(Position::new(3))), Ok(4));
        log.trim(Position::MAX);
        assert_eq!((log.first(), log.resolve(Start::Earliest)), (None, Ok(10)));
    }

    #[test]
    fn only_what_is_past_the_end_is_beyond_it() {
        let log = log();
        assert_eq!(log.resolve(Start::At(Position::new(10))), Ok(10));
        assert_eq!(log.resolve(Start::After(Position::new(9))), Ok(10));
        for start in [Start::At(Position::new(11)), Start::After(Position::new(10))] {
            let beyond = log.resolve(start);
            assert!(matches!(beyond, Err(TransportErrorKind::PositionBeyondEnd { .. })));
        }
    }
}
