//! The names in folders: as the system shows them, and as they are on the disk.

use std::collections::BTreeMap;

use super::rng::Rng;

/// The number of a file or folder, which is never used again.
pub(super) type Number = usize;

#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) names: BTreeMap<String, Number>,
    durable: BTreeMap<String, Number>,
    /// What changed since, in order.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Added(String, Number),
    Removed(String),
    /// Only a file may have both names after a power cut.
    Renamed {
        from: String,
        to: String,
        number: Number,
        file: bool,
    },
}

impl Folder {
    pub(super) fn add(&mut self, name: &str, number: Number) {
        self.names.insert(name.to_owned(), number);
        self.changes.push(Change::Added(name.to_owned(), number));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.names.remove(name);
        self.changes.push(Change::Removed(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, number: Number, file: bool) {
        self.names.remove(from);
        self.names.insert(to.to_owned(), number);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.changes.push(Change::Renamed { from, to, number, file });
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.names);
        self.changes.clear();
    }

    /// Makes the first changes durable, as the system does by itself.
    pub(super) fn write_back(&mut self, rng: &mut Rng) {
        let count = rng.index(self.changes.len() + 1);
        for change in self.changes.drain(..count) {
            apply(&mut self.durable, change, false);
        }
    }

    /// Leaves of the changes what a power cut may leave. Returns whether any is lost. In a journal
    /// the first ones survive. Without one any may, and a file that was renamed may have both of
    /// its names.
    pub(super) fn lose_power(&mut self, journal: bool, rng: &mut Rng) -> bool {
        let before = self.names.len();
        let changes = std::mem::take(&mut self.changes);
        let count = match rng.below(4) {
            0 => 0,
            1 => changes.len(),
            _ => rng.index(changes.len() + 1),
        };
        let rate = rng.pick([0.2, 0.5, 0.8]);
        let prefix = journal || rng.chance(0.3);
        let mut lost = false;
        for (at, change) in changes.into_iter().enumerate() {
            let survives = if prefix { at < count } else { rng.chance(rate) };
            lost |= !survives;
            if survives {
                let both = !journal && rng.chance(0.1);
                apply(&mut self.durable, change, both);
            }
        }
        self.names.clone_from(&self.durable);
        lost || before != self.names.len()
    }
}

fn apply(names: &mut BTreeMap<String, Number>, change: Change, both: bool) {
    match change {
        Change::Added(name, number) => {
            names.insert(name, number);
        }
        Change::Removed(name) => {
            names.remove(&name);
        }
        Change::Renamed { from, to, number, file } => {
            if !(both && file) {
                if names.get(&from) == Some(&number) {
                    names.remove(&from);
                }
                // A rename before this one may be lost.
                names.retain(|_, other| *other != number);
            }
            names.insert(to, number);
        }
    }
}
