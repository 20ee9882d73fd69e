//! Which stamped records of one channel are taken: each number of a producer once, in order, from
//! its newest epoch.

mod control;
mod head;
mod producers;

use std::collections::VecDeque;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

pub(crate) use self::control::{Control, Kind};
use self::head::Head;
pub use self::producers::{ProducerLimits, ProducerState};
use crate::planted::{Bug, planted};
use crate::record::Timestamp;
use crate::record::{Position, Stamp};

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// It was taken already.
    Duplicate,
    /// One before it is missing. It comes again, after the missing one.
    Gap,
    /// It is of an epoch that isn't the newest.
    Fenced,
}

/// A producer more than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The state of a producer after a change; `None` where it was forgotten.
type Change = (Arc<str>, Option<ProducerState>);

/// What is known of the producers of one channel: at the place up to which it was read, and at the
/// cut of the last pack.
///
/// Both are kept, because a checkpoint must have the state at the cut. In between there is a
/// history of changes, one entry for each tick that something changed before.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    head: Head,
    base: OrdMap<Arc<str>, ProducerState>,
    /// What leads from the base to the last tick that was read.
    history: VecDeque<(Position, Box<[Change]>)>,
    /// How many changes there are in the history.
    changes: usize,
    /// Where records were left out that may be read again, in order.
    dropped: Vector<Position>,
    /// Messages that their producer knows to be stored, and that didn't come.
    missing: u64,
}

impl Dedup {
    /// Goes on from the state at a cut.
    pub(crate) fn resume(
        producers: OrdMap<Arc<str>, ProducerState>,
        dropped: Vector<Position>,
    ) -> Self {
        Self { head: Head::new(&producers), base: producers, dropped, ..Self::default() }
    }

    /// Judges a message by its stamp.
    #[inline]
    pub(crate) fn message(&mut self, stamp: &Stamp, max: usize) -> Result<Verdict, TooMany> {
        let Some(at) = self.head.find(&stamp.origin) else {
            // The log begins in its middle, or the producer was forgotten.
            let state = ProducerState { last: stamp.seq, ..ProducerState::new(stamp.origin.epoch) };
            self.head.insert(&stamp.origin.producer, state, max)?;
            return Ok(Verdict::Accepted);
        };
        let state = self.head.state_mut(at);
        if stamp.origin.epoch < state.epoch {
            return Ok(Verdict::Fenced);
        }
        if stamp.origin.epoch > state.epoch {
            // Its fence and its base are before the place where reading began, so all that was
            // taken of the producer was void.
            *state = ProducerState { last: stamp.seq, ..ProducerState::new(stamp.origin.epoch) };
            self.head.touch(at);
            return Ok(Verdict::Accepted);
        }
        // A greatest number seen would not do: of 5 and 6, 6 may be stored first, and 5 sent again.
        if stamp.seq.checked_sub(1) != Some(state.last)
            && !(planted(Bug::HighWaterDedup) && stamp.seq > state.last)
        {
            return Ok(if stamp.seq <= state.last { Verdict::Duplicate } else { Verdict::Gap });
        }
        (state.last, state.fresh, state.fenced) = (stamp.seq, false, false);
        self.head.touch(at);
        Ok(Verdict::Accepted)
    }

    /// Judges a tick by its stamp. It tells what the producer knows to be stored.
    pub(crate) fn tick(&mut self, stamp: &Stamp, max: usize) -> Result<Verdict, TooMany> {
        self.learn(&stamp.origin.producer, stamp.origin.epoch, stamp.seq, max)
    }

    /// Takes note of a control record.
    pub(crate) fn control(
        &mut self,
        control: &Control,
        epoch: Position,
        max: usize,
    ) -> Result<(), TooMany> {
        let Control { producer, kind, .. } = control;
        match kind {
            Kind::Fence { .. } if planted(Bug::IgnoredFence) => {}
            Kind::Fence { .. } => {
                let Some(at) = self.head.find_name(producer) else {
                    let new = ProducerState::new(epoch);
                    let state = ProducerState { fresh: true, fenced: true, ..new };
                    return self.head.insert(producer, state, max);
                };
                let state = self.head.state_mut(at);
                if epoch > state.epoch {
                    (state.epoch, state.fenced, state.closed) = (epoch, true, false);
                }
                self.head.touch(at);
            }
            Kind::Base { last } => {
                self.learn(producer, epoch, *last, max)?;
            }
            Kind::Goodbye => {
                if let Some(at) = self.head.find_name(producer)
                    && self.head.state(at).epoch == epoch
                {
                    self.head.state_mut(at).closed = true;
                    self.head.touch(at);
                }
            }
        }
        Ok(())
    }

    /// A producer says how far its messages are stored.
    fn learn(
        &mut self,
        producer: &Arc<str>,
        epoch: Position,
        last: u64,
        max: usize,
    ) -> Result<Verdict, TooMany> {
        let Some(at) = self.head.find_name(producer) else {
            let state = ProducerState { last, ..ProducerState::new(epoch) };
            self.head.insert(producer, state, max)?;
            return Ok(Verdict::Accepted);
        };
        let state = self.head.state_mut(at);
        if epoch < state.epoch {
            return Ok(Verdict::Fenced);
        }
        // A base stands before all else that an epoch writes on a channel, and tells the number
        // that a reader of the whole log has there. Of what this one took before, some may have
        // been void: it didn't see a fence, or began to read behind one. Later, a number that is
        // less is that of a late copy.
        let first = epoch > state.epoch || state.fenced;
        if epoch == state.epoch && !state.fresh {
            self.missing = self.missing.saturating_add(last.saturating_sub(state.last));
        }
        if epoch > state.epoch {
            (state.epoch, state.closed) = (epoch, false);
        }
        state.last = if first { last } else { state.last.max(last) };
        (state.fresh, state.fenced) = (false, false);
        self.head.touch(at);
        Ok(Verdict::Accepted)
    }

    /// Notes that the record at a position was left out.
    pub(crate) fn leave_out(&mut self, position: Position) {
        self.dropped.push_back(position);
    }

    /// Whether the record at a position was left out.
    pub(crate) fn left_out(&self, position: Position) -> bool {
        self.dropped.binary_search(&position).is_ok()
    }

    /// A tick was accepted: what changed before it is one entry of the history. Producers that
    /// were silent for too long are forgotten, at ticks that depend on the channel alone.
    pub(crate) fn ticked(
        &mut self,
        position: Position,
        before: Option<Timestamp>,
        tick: Timestamp,
        limits: &ProducerLimits,
    ) {
        let mut changes = self.head.ticked(tick);
        let (closed, silent) = (Timestamp::span(limits.closed), Timestamp::span(limits.silent));
        let interval = (closed.min(silent) / 8).max(1);
        if before.is_none_or(|before| before.0 / interval != tick.0 / interval) {
            self.head.forget(&mut changes, |state| {
                let after = if state.closed { closed } else { silent };
                state.heard.is_some_and(|heard| tick.0 - heard.0.min(tick.0) > after)
            });
        }
        if !changes.is_empty() {
            self.changes += changes.len();
            self.history.push_back((position, changes.into()));
        }
    }

    /// Moves the base on to a cut.
    pub(crate) fn settle(&mut self, cut: Position) {
        while let Some((_, changes)) = self.history.pop_front_if(|(at, _)| *at <= cut) {
            self.changes -= changes.len();
            apply(&mut self.base, changes);
        }
    }

    /// The producers at the cut.
    pub(crate) fn at_cut(&self) -> OrdMap<Arc<str>, ProducerState> {
        if planted(Bug::StateAtReadHead) { self.at_head() } else { self.base.clone() }
    }

    /// The producers at the place up to which the channel was read.
    pub(crate) fn at_head(&self) -> OrdMap<Arc<str>, ProducerState> {
        let mut producers = self.at_tick();
        producers.extend(self.head.changed());
        producers
    }

    /// The producers at the last tick that was read.
    fn at_tick(&self) -> OrdMap<Arc<str>, ProducerState> {
        let mut producers = self.base.clone();
        for (_, changes) in &self.history {
            apply(&mut producers, changes.iter().cloned());
        }
        producers
    }

    /// Where records were left out from a position up to another one. What is before is forgotten.
    pub(crate) fn dropped(&mut self, from: Position, upto: Position) -> Vector<Position> {
        while self.dropped.front().is_some_and(|at| *at < from) {
            self.dropped.pop_front();
        }
        match self.dropped.binary_search(&upto) {
            Ok(last) => self.dropped.take(last + 1),
            Err(next) => self.dropped.take(next),
        }
    }

    /// Goes back to a tick, to judge again what follows it. What was judged before a checkpoint
    /// stays judged.
    pub(crate) fn rewind(&mut self, tick: Position, replay_to: Option<Position>) {
        while let Some((_, changes)) = self.history.pop_back_if(|(at, _)| *at > tick) {
            self.changes -= changes.len();
        }
        let judged = replay_to.map_or(tick, |judged| judged.max(tick));
        while self.dropped.back().is_some_and(|at| *at > judged) {
            self.dropped.pop_back();
        }
        self.head = Head::new(&self.at_tick());
    }

    /// What the memory of changes and of left out records takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.history.len() * size_of::<(Position, Box<[Change]>)>()
            + self.changes * size_of::<Change>()
            + self.dropped.len() * size_of::<Position>()
    }

    /// How many producers are remembered.
    pub(crate) const fn producers(&self) -> usize {
        self.head.len()
    }

    /// How many messages didn't come that their producers know to be stored, since it was asked.
    pub(crate) const fn take_missing(&mut self) -> u64 {
        std::mem::replace(&mut self.missing, 0)
    }

    /// Where a producer stands.
    pub(crate) fn state(&self, producer: &str) -> Option<ProducerState> {
        Some(*self.head.state(self.head.find_name(producer)?))
    }
}

fn apply(
    producers: &mut OrdMap<Arc<str>, ProducerState>,
    changes: impl IntoIterator<Item = Change>,
) {
    for (producer, state) in changes {
        match state {
            Some(state) => producers.insert(producer, state),
            None => producers.remove(&producer),
        };
    }
}

#[cfg(test)]
mod tests;
