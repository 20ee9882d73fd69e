//! Sorted values with multiplicity.

use std::collections::BTreeMap;

/// A sorted multiset, for the boundaries to come and for the watermarks that hold the frontier.
#[derive(Debug)]
pub(super) struct Multiset<K>(BTreeMap<K, usize>);

impl<K: Ord + Copy> Multiset<K> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    pub(super) fn extend(&mut self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            self.add(key);
        }
    }

    pub(super) fn remove(&mut self, key: K) {
        if let Some(count) = self.0.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&key);
            }
        }
    }

    /// Removes the least value with all its copies.
    pub(super) fn remove_first(&mut self) {
        self.0.pop_first();
    }

    pub(super) fn first(&self) -> Option<K> {
        self.0.first_key_value().map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_until_it_is_removed_as_often_as_it_was_added() {
        let mut set = Multiset::new();
        for key in [2, 1, 1] {
            set.add(key);
        }
        set.remove(1);
        assert_eq!(set.first(), Some(1));
        set.remove(1);
        assert_eq!(set.first(), Some(2));
        set.add(2);
        set.remove_first();
        assert_eq!(set.first(), None);
        set.remove(7);
        assert_eq!(set.first(), None);
    }
}
