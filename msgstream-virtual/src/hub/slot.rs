//! What those have in common who don't read at the head: they often read the same, one after the other.

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, ReadBatch};

use super::Source;
use super::window::Window;
use crate::view::View;

/// The reader of the transport that they use in turn, and what it read last.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) source: Source,
    window: Window,
}

impl Slot {
    pub(super) fn new(window_bytes: usize) -> Self {
        Self { source: Source::default(), window: Window::new(window_bytes) }
    }

    /// Returns what the window has for a reader, from a position on; `None` if it has nothing after it.
    pub(super) fn serve(&self, view: &View, at: Position, limit: Limit) -> Option<ReadBatch> {
        if !self.window.covers(at) || at >= self.window.head() {
            return None;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in self.window.from(at) {
            let Some(record) = view.take(record) else { continue };
            bytes += record.footprint();
            if records.len() >= limit.records.max(1) || (bytes > limit.bytes && !records.is_empty())
            {
                let next = record.position;
                return Some(ReadBatch::new(records, next, false));
            }
            records.push(record);
        }
        Some(ReadBatch::new(records, self.window.head(), false))
    }

    /// Keeps what was read from a position on, all of it up to the next call of [`trim`](Self::trim).
    pub(super) fn keep(&mut self, from: Position, records: Vec<Record>, head: Position) {
        if self.window.head() != from {
            self.window.reset(from);
        }
        self.window.push(records, head);
    }

    /// Lets go of what doesn't fit.
    pub(super) fn trim(&mut self) {
        self.window.trim();
    }
}
