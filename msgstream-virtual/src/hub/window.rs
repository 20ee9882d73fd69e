//! The records of a physical channel that were read last.

use std::collections::VecDeque;

use msgstream_core::record::{Position, Record};

use crate::planted::{Bug, planted};

/// All records from one position to another, as many of the last as fit.
#[derive(Debug)]
pub(super) struct Window {
    records: VecDeque<Record>,
    bytes: usize,
    max_bytes: usize,
    /// All records from here on are there.
    start: Position,
    /// Where reading goes on.
    head: Position,
}

impl Window {
    pub(super) const fn new(max_bytes: usize) -> Self {
        let zero = Position::new(0);
        Self { records: VecDeque::new(), bytes: 0, max_bytes, start: zero, head: zero }
    }

    /// Starts anew at a position.
    pub(super) fn reset(&mut self, to: Position) {
        self.records.clear();
        (self.bytes, self.start, self.head) = (0, to, to);
    }

    pub(super) const fn head(&self) -> Position {
        self.head
    }

    /// Returns whether every record from a position on is there, or comes next.
    pub(super) fn covers(&self, next: Position) -> bool {
        (self.start <= next || planted(Bug::GapAtJoin)) && next <= self.head
    }

    /// Returns the records from a position on.
    pub(super) fn from(&self, next: Position) -> impl Iterator<Item = &Record> {
        let first = match planted(Bug::RepeatAtJoin) {
            true => 0,
            false => self.records.partition_point(|record| record.position < next),
        };
        self.records.range(first..)
    }

    /// Adds what was read at the head. Nothing goes before [`trim`](Self::trim).
    pub(super) fn push(&mut self, records: Vec<Record>, head: Position) {
        self.bytes += records.iter().map(Record::footprint).sum::<usize>();
        self.records.extend(records);
        self.head = head;
    }

    /// Lets go of the first records, so that the others fit.
    pub(super) fn trim(&mut self) {
        while self.bytes > self.max_bytes
            && let Some(gone) = self.records.pop_front()
        {
            self.bytes -= gone.footprint();
            self.start = self.records.front().map_or(self.head, |first| first.position);
        }
    }
}
