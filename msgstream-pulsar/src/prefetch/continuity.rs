//! Checks whether entries are missing between the last one read and the next that arrived.
//!
//! A broker skips entries by itself: because of their age, the size of a backlog or a filter, or because they
//! are markers. Skipped entries are requested once more: those that the log still has arrive then, and those
//! that are skipped again are gone for every reader.

use msgstream_core::record::Position;
use msgstream_core::transport::TransportErrorKind as Kind;
use tracing::debug;

use super::{Found, Inbox, State};
use crate::connection::lock;
use crate::ledgers::{Ledgers, entry_place, is_beginning};

/// The distance from the reader's position to the entry that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    from: Position,
    to: (u64, u64),
}

impl State {
    /// Returns whether an entry is the one at the reader's place, or is known to be the next.
    fn follows(&self, Jump { from, to: (ledger, entry) }: Jump) -> bool {
        let [from_ledger, from_entry, _] = from.words();
        (from_ledger, from_entry) == (ledger, entry)
            || is_beginning(from)
            || self.ledgers.adjoin(from, ledger, entry)
    }

    /// Returns the step from a place to the next entry.
    fn step(&self, from: Position) -> Option<Jump> {
        self.entries.front().map(|front| Jump { from, to: (front.ledger, front.entry) })
    }
}

impl Inbox {
    /// Returns the next entry if nothing is missing between it and the reader's place.
    pub(crate) fn take(&self, next: Position) -> Found {
        let mut state = lock(&self.state);
        let Some(step) = state.step(next) else {
            return match state.failure.take() {
                None => Found::Nothing,
                Some(failure) => {
                    drop(state);
                    // It tries again.
                    self.pump.notify_one();
                    Found::Failure(failure)
                }
            };
        };
        if !state.follows(step) && state.sound != Some(step) {
            if let Some(failure) = state.failure.take() {
                return Found::Failure(failure);
            }
            state.sound_wanted = Some(next);
            drop(state);
            self.pump.notify_one();
            return Found::Nothing;
        }
        let Some(entry) = state.entries.pop_front() else { return Found::Nothing };
        state.bytes -= entry.bytes;
        self.grant(&mut state);
        let room = matches!(state.link, super::Link::Apart) && state.bytes <= self.limit / 2;
        drop(state);
        if room {
            self.pump.notify_one();
        }
        Found::Entry(Box::new(entry))
    }

    /// Takes the current contents of the topic, for a reader that received another entry than the one at
    /// its position.
    pub(crate) fn sounded(&self, next: Position, ledgers: Ledgers) {
        let mut state = lock(&self.state);
        if state.sound_wanted.take_if(|wanted| *wanted == next).is_none() {
            return;
        }
        let Some(step) = state.step(next) else { return };
        if !ledgers.contains(next.words()[0]) {
            let first = ledgers.first().unwrap_or(entry_place(step.to.0, step.to.1));
            state.failure = Some(Kind::PositionTrimmed { position: next, first }.into());
        } else {
            state.ledgers = ledgers;
            if !state.follows(step) {
                if state.jump.replace(step) != Some(step) {
                    debug!(from = %next, "the broker skipped entries, requesting them again");
                    return self.attach_anew(state, next);
                }
                debug!(from = %next, "the broker skipped entries again, which no reader gets");
                state.sound = Some(step);
            }
        }
        drop(state);
        self.reader.notify_one();
    }
}
