//! Where a reader began, and what was gone by then.

use msgstream_core::record::Position;
use msgstream_core::transport::Start;

use crate::planted::{Bug, planted};

/// Where a reader began to read, and where it went on.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Where it started, or went to.
    start: Start,
    /// Where the first record stood that it read, unless it started at a position.
    first: Option<Position>,
}

impl Beginning {
    pub(super) fn new(start: Start) -> Self {
        Self { start, first: None }
    }

    /// The next record that was read stands at a position.
    pub(super) fn read(&mut self, position: Position) {
        if !is_at_or_after(self.start, Position::default()) {
            self.first.get_or_insert(position);
        }
    }

    /// The reader went elsewhere.
    pub(super) fn go(&mut self, start: Start) {
        // Who goes back to what was read from elsewhere on, still began there.
        self.first = self.first.filter(|first| is_at_or_after(start, *first));
        self.start = start;
    }

    /// Returns whether a message whose first part was removed was gone before the reader was opened. A
    /// reader that continues at a position would miss the message, so for it this is false, unless that is the
    /// first position that is left: nothing was read before it.
    pub(super) fn is_after(&self, first: Position, last: Position, left: Position) -> bool {
        let starts_anew = |start| start == left && start != last;
        self.first.is_some_and(|begun| first < begun)
            || matches!(self.start, Start::At(start) if starts_anew(start))
            || planted(Bug::RemovedUnnoticed)
    }
}

/// Returns whether a start is at a position or after it, and no other kind of start.
fn is_at_or_after(start: Start, position: Position) -> bool {
    matches!(start, Start::At(place) | Start::After(place) if place >= position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_is_told_and_who_begins_isnt() {
        let at = |position| Start::At(Position::new(position));
        // A message from 5 to 9, of which all before 7 is gone.
        let is_after = |beginning: &Beginning| {
            beginning.is_after(Position::new(5), Position::new(9), Position::new(7))
        };
        let mut begun = Beginning::new(Start::Earliest);
        begun.read(Position::new(7));
        begun.read(Position::new(8));
        assert!(is_after(&begun));
        // Also if it goes back, but not to what it hasn't read.
        begun.go(at(8));
        assert!(is_after(&begun));
        begun.go(at(6));
        assert!(!is_after(&begun));
        // It has seen the first part.
        let mut begun = Beginning::new(Start::Earliest);
        begun.read(Position::new(5));
        assert!(!is_after(&begun));
        for (start, expected) in [(7, true), (8, false), (9, false)] {
            let mut resumed = Beginning::new(at(start));
            resumed.read(Position::new(start));
            assert_eq!(is_after(&resumed), expected, "{start}");
        }
        assert!(!is_after(&Beginning::new(Start::After(Position::new(7)))));
    }
}
