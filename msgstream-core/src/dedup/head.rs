//! Where producers stand at the place up to which a channel was read.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::{Change, TooMany};
use crate::dedup::ProducerState;
use crate::record::Origin;
use crate::record::Timestamp;

/// The producers at the place up to which a channel was read.
#[derive(Debug, Default)]
pub(super) struct Head {
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
    pub(super) fn new(producers: &OrdMap<Arc<str>, ProducerState>) -> Self {
        let mut head = Self::default();
        for (producer, state) in producers {
            head.index.insert(producer.clone(), head.entries.len());
            head.entries.push(Entry { producer: producer.clone(), state: *state, changed: false });
        }
        head
    }

    /// A producer's place, until some are forgotten.
    #[inline]
    pub(super) fn find(&mut self, origin: &Arc<Origin>) -> Option<usize> {
        if let Some((found, at)) = &self.found
            && Arc::ptr_eq(found, origin)
        {
            return Some(*at);
        }
        let at = self.find_name(&origin.producer)?;
        self.found = Some((origin.clone(), at));
        Some(at)
    }

    pub(super) fn find_name(&self, producer: &str) -> Option<usize> {
        self.index.get(producer).copied()
    }

    pub(super) fn state(&self, at: usize) -> &ProducerState {
        &self.entries[at].state
    }

    /// To change it: then it must be touched, too.
    #[inline]
    pub(super) fn state_mut(&mut self, at: usize) -> &mut ProducerState {
        &mut self.entries[at].state
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(
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

    /// Notes that a producer was heard of.
    #[inline]
    pub(super) fn touch(&mut self, at: usize) {
        if !std::mem::replace(&mut self.entries[at].changed, true) {
            self.changed.push(at);
        }
    }

    /// Those that changed since the last tick.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Arc<str>, ProducerState)> {
        let entries = self.changed.iter().map(|at| &self.entries[*at]);
        entries.map(|entry| (entry.producer.clone(), entry.state))
    }

    /// What changed since the last tick, now that there is another one.
    pub(super) fn ticked(&mut self, tick: Timestamp) -> Vec<Change> {
        let changed = self.changed.drain(..).map(|at| {
            let entry = &mut self.entries[at];
            (entry.state.heard, entry.changed) = (Some(tick), false);
            (entry.producer.clone(), Some(entry.state))
        });
        changed.collect()
    }

    /// Forgets stale producers. Right after a tick: nothing has changed since.
    pub(super) fn forget(
        &mut self,
        changes: &mut Vec<Change>,
        stale: impl Fn(&ProducerState) -> bool,
    ) {
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
