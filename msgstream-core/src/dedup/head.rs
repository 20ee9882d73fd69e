//! The states of producers where reading is.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::{Change, TooMany};
use crate::dedup::ProducerState;
use crate::record::Origin;
use crate::record::Timestamp;

/// The states of producers where reading is.
#[derive(Debug, Default)]
pub(super) struct Head {
    entries: Vec<Entry>,
    index: BTreeMap<Arc<str>, usize>,
    /// The one that was found last, which mostly is the next one, too.
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

    /// Returns a producer's index, valid until producers are forgotten.
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

    /// Returns the indices of a producer's virtual channels.
    pub(super) fn vchannels(&self, producer: &str) -> Vec<usize> {
        let [from, to] = ['/', '0'].map(|end| format!("{producer}{end}"));
        // `0` is the character after `/`.
        let range = (Bound::Included(&*from), Bound::Excluded(&*to));
        self.index.range::<str, _>(range).map(|(_, at)| *at).collect()
    }

    pub(super) fn state(&self, at: usize) -> &ProducerState {
        &self.entries[at].state
    }

    /// Returns the state to change. The caller must also touch the producer.
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

    /// Notes that a producer changed.
    #[inline]
    pub(super) fn touch(&mut self, at: usize) {
        if !std::mem::replace(&mut self.entries[at].changed, true) {
            self.changed.push(at);
        }
    }

    /// Notes that the producers without a tick after their last record changed.
    pub(super) fn touch_unheard(&mut self) {
        for at in 0..self.entries.len() {
            if self.entries[at].state.heard.is_none() {
                self.touch(at);
            }
        }
    }

    /// Returns the producers that changed since the last tick.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Arc<str>, ProducerState)> {
        let entries = self.changed.iter().map(|at| &self.entries[*at]);
        entries.map(|entry| (entry.producer.clone(), entry.state))
    }

    /// Returns the changes since the last tick, and starts anew after this one.
    pub(super) fn ticked(&mut self, tick: Timestamp) -> Vec<Change> {
        let changed = self.changed.drain(..).map(|at| {
            let entry = &mut self.entries[at];
            (entry.state.heard, entry.changed) = (Some(tick), false);
            (entry.producer.clone(), Some(entry.state))
        });
        changed.collect()
    }

    /// Forgets stale producers. Must be called right after a tick, when nothing has changed since.
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
