//! Deduplication: each sequence number of a producer is accepted once on a channel, in order, from
//! the producer's newest epoch.
//!
//! A virtual channel is a part of another channel's records, and a producer's sequence numbers count
//! on each part for themselves. So the records name `producer/vchannel` in the place of the producer,
//! which is remembered under that name. A fence without a virtual channel begins an epoch on all of
//! them.

mod control;
mod filter;
mod head;
mod producers;
pub(crate) mod vchannel;

use std::collections::VecDeque;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

pub(crate) use self::control::{Control, Kind};
pub use self::filter::{ChannelFilter, FilterState, Judgement, TooManyProducers};
use self::head::Head;
pub use self::producers::{ProducerLimits, ProducerState};
use crate::planted::{Bug, planted};
use crate::record::Timestamp;
use crate::record::{Origin, Position, Stamp};

/// Whether a record is accepted, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// It was accepted before.
    Duplicate,
    /// An earlier one is missing. This one comes again, after the missing one.
    Gap,
    /// Its epoch isn't the newest.
    Fenced,
}

/// There are more producers than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The state of a producer after a change; `None` if it was forgotten.
type Change = (Arc<str>, Option<ProducerState>);

/// The states of the producers of one channel: where reading is, and at the cut of the last pack.
///
/// Both are needed, because a checkpoint has the state at the cut. In between there is a history of
/// changes, with one entry for each tick before which something changed.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    head: Head,
    base: OrdMap<Arc<str>, ProducerState>,
    /// The changes from the base to the last tick that was read.
    history: VecDeque<(Position, Box<[Change]>)>,
    /// How many changes the history has.
    changes: usize,
    /// The positions of dropped records that may be read again, in order.
    dropped: Vector<Position>,
    /// How many messages their producer knows to be stored, but didn't appear.
    missing: u64,
}

impl Dedup {
    /// Resumes from the state at a cut.
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
            if self.is_fenced_whole(&stamp.origin.producer, stamp.origin.epoch) {
                return Ok(Verdict::Fenced);
            }
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
            // Its fence and its base are before where reading began, so everything accepted from
            // the producer so far was void.
            *state = ProducerState { last: stamp.seq, ..ProducerState::new(stamp.origin.epoch) };
            self.head.touch(at);
            return Ok(Verdict::Accepted);
        }
        // The greatest number is not enough: of 5 and 6, 6 may be stored first, and 5 sent again.
        if stamp.seq.checked_sub(1) != Some(state.last)
            && !(planted(Bug::HighWaterDedup) && stamp.seq > state.last)
        {
            return Ok(if stamp.seq <= state.last { Verdict::Duplicate } else { Verdict::Gap });
        }
        (state.last, state.fresh, state.fenced) = (stamp.seq, false, false);
        self.head.touch(at);
        Ok(Verdict::Accepted)
    }

    /// Judges a tick by its stamp, which has the last number that the producer knows to be stored.
    /// One that isn't exact only raises a number that is known: messages beyond it may stand before
    /// it, so whoever began to read in between would wait in vain for the one after it.
    pub(crate) fn tick(
        &mut self,
        stamp: &Stamp,
        exact: bool,
        max: usize,
    ) -> Result<Verdict, TooMany> {
        let Origin { producer, epoch } = &*stamp.origin;
        if !exact && !planted(Bug::InexactTick) {
            let Some(at) = self.head.find_name(producer) else {
                let void = self.is_fenced_whole(producer, *epoch);
                return Ok(if void { Verdict::Fenced } else { Verdict::Accepted });
            };
            let state = self.head.state(at);
            if state.epoch < *epoch || state.epoch == *epoch && (state.fresh || state.fenced) {
                return Ok(Verdict::Accepted);
            }
        }
        self.learn(producer, *epoch, stamp.seq, max)
    }

    /// Applies a control record.
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
                for at in self.head.vchannels(producer) {
                    self.fence(at, epoch);
                }
                let Some(at) = self.head.find_name(producer) else {
                    let new = ProducerState::new(epoch);
                    let state = ProducerState { fresh: true, fenced: true, ..new };
                    return self.head.insert(producer, state, max);
                };
                self.fence(at, epoch);
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

    fn fence(&mut self, at: usize, epoch: Position) {
        let state = self.head.state_mut(at);
        if epoch > state.epoch {
            (state.epoch, state.fenced, state.closed) = (epoch, true, false);
        }
        self.head.touch(at);
    }

    /// Returns whether an epoch of a producer on a virtual channel is older than one that began on the
    /// whole channel.
    fn is_fenced_whole(&self, producer: &str, epoch: Position) -> bool {
        let whole = vchannel::whole(producer).and_then(|whole| self.head.find_name(whole));
        whole.is_some_and(|at| epoch < self.head.state(at).epoch)
    }

    /// Applies the last number that a producer knows to be stored.
    fn learn(
        &mut self,
        producer: &Arc<str>,
        epoch: Position,
        last: u64,
        max: usize,
    ) -> Result<Verdict, TooMany> {
        let Some(at) = self.head.find_name(producer) else {
            if self.is_fenced_whole(producer, epoch) {
                return Ok(Verdict::Fenced);
            }
            let state = ProducerState { last, ..ProducerState::new(epoch) };
            self.head.insert(producer, state, max)?;
            return Ok(Verdict::Accepted);
        };
        let state = self.head.state_mut(at);
        if epoch < state.epoch {
            return Ok(Verdict::Fenced);
        }
        // A base is before everything else that an epoch writes on a channel, and has the number
        // that a reader of the whole log knows there. This reader may have accepted void messages
        // before: it missed a fence, or began to read after one. Later, a lesser number is a late
        // copy's.
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

    /// Notes that the record at a position was dropped.
    pub(crate) fn leave_out(&mut self, position: Position) {
        self.dropped.push_back(position);
    }

    /// Returns whether the record at a position was dropped.
    pub(crate) fn left_out(&self, position: Position) -> bool {
        self.dropped.binary_search(&position).is_ok()
    }

    /// Adds the changes before an accepted tick to the history. Producers that were silent for too
    /// long are forgotten, at ticks that depend on the channel alone.
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

    /// Advances the base to a cut.
    pub(crate) fn settle(&mut self, cut: Position) {
        while let Some((_, changes)) = self.history.pop_front_if(|(at, _)| *at <= cut) {
            self.changes -= changes.len();
            apply(&mut self.base, changes);
        }
    }

    /// Returns the producers at the cut.
    pub(crate) fn at_cut(&self) -> OrdMap<Arc<str>, ProducerState> {
        if planted(Bug::StateAtReadHead) { self.at_head() } else { self.base.clone() }
    }

    /// Returns the producers where reading is.
    pub(crate) fn at_head(&self) -> OrdMap<Arc<str>, ProducerState> {
        let mut producers = self.at_tick();
        producers.extend(self.head.changed());
        producers
    }

    /// Returns the producers where reading is. Those that changed since the last tick have no tick
    /// after their last record yet.
    fn at_head_unheard(&self) -> OrdMap<Arc<str>, ProducerState> {
        let mut producers = self.at_tick();
        let changed = self.head.changed();
        producers
            .extend(changed.map(|(name, state)| (name, ProducerState { heard: None, ..state })));
        producers
    }

    /// Goes on with the producers that changed since the last tick: those that weren't heard since.
    fn touch_unheard(&mut self) {
        self.head.touch_unheard();
    }

    /// Returns the producers at the last tick that was read.
    fn at_tick(&self) -> OrdMap<Arc<str>, ProducerState> {
        let mut producers = self.base.clone();
        for (_, changes) in &self.history {
            apply(&mut producers, changes.iter().cloned());
        }
        producers
    }

    /// Returns the positions of dropped records in a range, and forgets those before it.
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
    /// isn't judged again.
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

    /// Returns the bytes that the history and the positions of dropped records take.
    pub(crate) fn bytes(&self) -> usize {
        self.history.len() * size_of::<(Position, Box<[Change]>)>()
            + self.changes * size_of::<Change>()
            + self.dropped.len() * size_of::<Position>()
    }

    /// Returns how many producers are remembered.
    pub(crate) const fn producers(&self) -> usize {
        self.head.len()
    }

    /// Returns how many messages were found missing since the last call.
    pub(crate) const fn take_missing(&mut self) -> u64 {
        std::mem::replace(&mut self.missing, 0)
    }

    /// Returns the state of a producer.
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
