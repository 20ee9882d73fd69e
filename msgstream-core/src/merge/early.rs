//! Records after a channel's watermark that were read before its last tick.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::channel::Key;
use crate::record::Timestamp;

/// A priority queue for keys that mostly come in order: such a key costs O(1), any other O(log n).
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Keys that came in order.
    sorted: VecDeque<Key>,
    /// The others.
    rest: BinaryHeap<Reverse<Key>>,
}

impl Early {
    pub(super) fn push(&mut self, key: Key) {
        if self.sorted.back().is_none_or(|last| *last <= key) {
            self.sorted.push_back(key);
        } else {
            self.rest.push(Reverse(key));
        }
    }

    /// Removes the keys up to a time, and calls `take` for each. They come in two sorted runs.
    pub(super) fn take_until(&mut self, upto: Timestamp, mut take: impl FnMut(Key)) {
        while let Some(key) = self.sorted.pop_front_if(|key| key.eff <= upto) {
            take(key);
        }
        while self.rest.peek().is_some_and(|Reverse(key)| key.eff <= upto) {
            if let Some(Reverse(key)) = self.rest.pop() {
                take(key);
            }
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.sorted.retain(&keep);
        self.rest.retain(|Reverse(key)| keep(key));
    }

    /// Removes all keys, and returns them in no order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Key> {
        self.sorted.drain(..).chain(self.rest.drain().map(|Reverse(key)| key))
    }

    /// Returns all keys in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.sorted.iter().chain(self.rest.iter().map(|Reverse(key)| key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merge::chunks::Chunks;

    proptest! {
        #[test]
        fn keys_are_taken_once_their_time_has_come(
            times in prop::collection::vec(0..50_u64, 0..60),
            steps in prop::collection::vec(0..50_u64, 0..20),
        ) {
            let (mut early, mut seq) = (Early::default(), Chunks::default().next_seq());
            let mut left: Vec<_> = times.into_iter().map(|time| {
                seq = seq.next();
                Key { eff: Timestamp(time), seq }
            }).collect();
            left.iter().for_each(|key| early.push(*key));
            for upto in steps.into_iter().map(Timestamp) {
                let mut taken = Vec::new();
                early.take_until(upto, |key| taken.push(key));
                taken.sort();
                let mut due: Vec<_> = left.extract_if(.., |key| key.eff <= upto).collect();
                due.sort();
                prop_assert_eq!(taken, due);
            }
            prop_assert_eq!(early.iter().count(), left.len());
            early.retain(|key| key.eff.0 % 2 == 0);
            left.retain(|key| key.eff.0 % 2 == 0);
            let mut rest: Vec<_> = early.drain().collect();
            rest.sort();
            left.sort();
            prop_assert_eq!(rest, left);
        }
    }
}
