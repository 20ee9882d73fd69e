//! Which stamped records of one channel are taken: each number of a producer once, in order, from
//! its newest epoch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use super::{Control, Kind};
use crate::message::Timestamp;
use crate::planted::{Bug, planted};
use crate::transport::{Origin, Position, Stamp};

/// Where a producer stands on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProducerState {
    /// Its newest epoch.
    pub epoch: Position,
    /// The number of its last message that was taken.
    pub last: u64,
    /// It was fenced before anything else was heard of it, so `last` is only a guess until it
    /// says more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// It said goodbye.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// The first tick after it was last heard of; `None` before that tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
}

/// How many producers a channel may have, and for how long one is remembered that is silent.
///
/// Both times are event time and must be longer than any producer goes on trying to send a record:
/// what is sent again after its producer was forgotten is delivered again.
///
/// ```
/// use std::time::Duration;
/// use msgstream_core::session::ProducerLimits;
/// let limits = ProducerLimits::default().with_silent(Duration::from_secs(3 * 86_400));
/// assert_eq!(limits.max, 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerLimits {
    /// The most producers that are remembered on one channel. One more is an error.
    pub max: usize,
    /// How long a producer is remembered that said goodbye.
    pub closed: Duration,
    /// How long any other is remembered that is silent.
    pub silent: Duration,
}

impl Default for ProducerLimits {
    /// 10,000 producers, an hour, a day.
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { max: 10_000, closed: hour, silent: 24 * hour }
    }
}

impl ProducerLimits {
    /// The same with another greatest number of producers.
    #[must_use]
    pub const fn with_max(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The same with another memory for producers that said goodbye.
    #[must_use]
    pub const fn with_closed(mut self, closed: Duration) -> Self {
        self.closed = closed;
        self
    }

    /// The same with another memory for silent producers.
    #[must_use]
    pub const fn with_silent(mut self, silent: Duration) -> Self {
        self.silent = silent;
        self
    }
}

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
        let state = &mut self.head.entries[at].state;
        if stamp.origin.epoch != state.epoch {
            return Ok(Verdict::Fenced);
        }
        // A greatest number seen would not do: of 5 and 6, 6 may be stored first, and 5 sent again.
        if stamp.seq.checked_sub(1) != Some(state.last)
            && !(planted(Bug::HighWaterDedup) && stamp.seq > state.last)
        {
            return Ok(if stamp.seq <= state.last { Verdict::Duplicate } else { Verdict::Gap });
        }
        (state.last, state.fresh) = (stamp.seq, false);
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
                    let state = ProducerState { fresh: true, ..ProducerState::new(epoch) };
                    return self.head.insert(producer, state, max);
                };
                let state = &mut self.head.entries[at].state;
                if epoch > state.epoch {
                    (state.epoch, state.closed) = (epoch, false);
                }
                self.head.touch(at);
            }
            Kind::Base { last } => {
                self.learn(producer, epoch, *last, max)?;
            }
            Kind::Goodbye => {
                if let Some(at) = self.head.find_name(producer)
                    && self.head.entries[at].state.epoch == epoch
                {
                    self.head.entries[at].state.closed = true;
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
        let state = &mut self.head.entries[at].state;
        if epoch < state.epoch {
            return Ok(Verdict::Fenced);
        }
        if epoch > state.epoch {
            // Its fence wasn't seen, so of what was taken last some may have been void.
            (state.epoch, state.last) = (epoch, last);
        } else if !state.fresh {
            self.missing += last.saturating_sub(state.last);
        }
        state.last = state.last.max(last);
        state.fresh = false;
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
        let grid = (closed.min(silent) / 8).max(1);
        if before.is_none_or(|before| before.0 / grid != tick.0 / grid) {
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
        let mut producers = self.base.clone();
        for (_, changes) in &self.history {
            apply(&mut producers, changes.iter().cloned());
        }
        let changed = self.head.changed.iter().map(|at| &self.head.entries[*at]);
        producers.extend(changed.map(|entry| (entry.producer.clone(), entry.state)));
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
        self.head.changed.clear();
        self.head = Head::new(&self.at_head());
    }

    /// What the memory of changes and of left out records takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.history.len() * size_of::<(Position, Box<[Change]>)>()
            + self.changes * size_of::<Change>()
            + self.dropped.len() * size_of::<Position>()
    }

    /// How many producers are remembered.
    pub(crate) const fn producers(&self) -> usize {
        self.head.entries.len()
    }

    /// How many messages didn't come that their producers know to be stored, since it was asked.
    pub(crate) const fn take_missing(&mut self) -> u64 {
        std::mem::replace(&mut self.missing, 0)
    }

    /// Where a producer stands.
    pub(crate) fn state(&self, producer: &str) -> Option<ProducerState> {
        Some(self.head.entries[*self.head.index.get(producer)?].state)
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

/// The producers at the place up to which a channel was read.
#[derive(Debug, Default)]
struct Head {
    entries: Vec<Entry>,
    index: BTreeMap<Arc<str>, usize>,
    /// The one that was found last: mostly it is the next one, too.
    found: Option<(Arc<Origin>, usize)>,
    /// Those that changed since the last tick.
    changed: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    producer: Arc<str>,
    state: ProducerState,
    changed: bool,
}

impl Head {
    fn new(producers: &OrdMap<Arc<str>, ProducerState>) -> Self {
        let mut head = Self::default();
        for (producer, state) in producers {
            head.index.insert(producer.clone(), head.entries.len());
            head.entries.push(Entry { producer: producer.clone(), state: *state, changed: false });
        }
        head
    }

    #[inline]
    fn find(&mut self, origin: &Arc<Origin>) -> Option<usize> {
        if let Some((found, at)) = &self.found
            && Arc::ptr_eq(found, origin)
        {
            return Some(*at);
        }
        let at = self.find_name(&origin.producer)?;
        self.found = Some((origin.clone(), at));
        Some(at)
    }

    fn find_name(&self, producer: &str) -> Option<usize> {
        self.index.get(producer).copied()
    }

    fn insert(
        &mut self,
        producer: &Arc<str>,
        state: ProducerState,
        max: usize,
    ) -> Result<(), TooMany> {
        if self.entries.len() >= max {
            return Err(TooMany);
        }
        let at = self.entries.len();
        self.index.insert(producer.clone(), at);
        self.entries.push(Entry { producer: producer.clone(), state, changed: true });
        self.changed.push(at);
        Ok(())
    }

    #[inline]
    fn touch(&mut self, at: usize) {
        if !std::mem::replace(&mut self.entries[at].changed, true) {
            self.changed.push(at);
        }
    }

    /// What changed since the last tick.
    fn ticked(&mut self, tick: Timestamp) -> Vec<Change> {
        let changed = self.changed.drain(..).map(|at| {
            let entry = &mut self.entries[at];
            (entry.state.heard, entry.changed) = (Some(tick), false);
            (entry.producer.clone(), Some(entry.state))
        });
        changed.collect()
    }

    fn forget(&mut self, changes: &mut Vec<Change>, stale: impl Fn(&ProducerState) -> bool) {
        let gone = self.entries.extract_if(.., |entry| stale(&entry.state));
        let before = changes.len();
        changes.extend(gone.map(|entry| (entry.producer, None)));
        if changes.len() > before {
            self.found = None;
            let producers = self.entries.iter().enumerate();
            self.index = producers.map(|(at, entry)| (entry.producer.clone(), at)).collect();
        }
    }
}

impl ProducerState {
    const fn new(epoch: Position) -> Self {
        Self { epoch, last: 0, fresh: false, closed: false, heard: None }
    }
}
