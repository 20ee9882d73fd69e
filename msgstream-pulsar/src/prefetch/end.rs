//! Whether there is nothing more to come.

use msgstream_core::record::Position;
use tokio::time::Instant;

use super::{Inbox, Link};
use crate::connection::lock;

/// What a broker reported about the end of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    end: Position,
    /// What had come by then.
    tail: Position,
    told: Instant,
}

impl Inbox {
    /// Returns whether the reader is at the end of the log once it has taken everything, by what the
    /// broker reported since a moment; `None` if it must be asked.
    pub(crate) fn at_end(&self, since: Instant) -> Option<bool> {
        let mut state = lock(&self.state);
        if !state.entries.is_empty() || !matches!(state.link, Link::Joined(..)) {
            return Some(false);
        }
        match state.end {
            Some(End { end, .. }) if end > state.tail => {
                // It has more, and doesn't send it: what moved our cursor there moved it past that.
                if state.moved.elapsed() >= self.patience {
                    let tail = state.tail;
                    self.attach_anew(state, tail);
                }
                Some(false)
            }
            // A broker that is silent by now may have more.
            Some(End { tail, told, .. }) if tail == state.tail && told >= since => Some(true),
            _ => {
                state.end_wanted = true;
                drop(state);
                self.pump.notify_one();
                None
            }
        }
    }

    /// Returns the tail, for a request for the end.
    pub(crate) fn tail(&self) -> Position {
        lock(&self.state).tail
    }

    /// The log ends here; it was asked when the tail was there. `None` if that is unknown.
    pub(crate) fn ends(&self, asked_at: Position, end: Option<Position>) {
        let mut state = lock(&self.state);
        state.end_wanted = false;
        state.end = end.map(|end| End { end, tail: asked_at, told: Instant::now() });
        drop(state);
        self.reader.notify_one();
    }
}
