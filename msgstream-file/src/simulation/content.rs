//! What a file holds: as the system shows it, and as it is on the disk.

use std::collections::BTreeSet;

use super::rng::Rng;

/// The content of a file, in pages.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) cached: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that are to be written. A page that isn't here may still differ from what is durable:
    /// writing it failed, and the system forgot about that.
    dirty: BTreeSet<usize>,
    /// The lengths that the file had since its length was durable.
    lengths: Vec<usize>,
}

impl Content {
    pub(super) fn write(&mut self, bytes: &[u8], at: usize, page: usize) {
        let (before, end) = (self.cached.len(), at + bytes.len());
        if end > before {
            self.cached.resize(end, 0);
            self.lengths.push(end);
        }
        if let Some(place) = self.cached.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        if !bytes.is_empty() {
            self.dirty.extend(at.min(before) / page..=(end - 1) / page);
        }
    }

    pub(super) fn cut(&mut self, length: usize, page: usize) {
        let before = self.cached.len();
        if length == before {
            return;
        }
        self.cached.resize(length, 0);
        self.lengths.push(length);
        // What is left of the last page is cleared.
        self.dirty.retain(|at| at * page < length);
        if length > 0 {
            self.dirty.extend(length.min(before) / page..=(length - 1) / page);
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.dirty.is_empty() && self.lengths.is_empty()
    }

    pub(super) fn sync(&mut self, page: usize) {
        self.durable.resize(self.cached.len(), 0);
        for at in std::mem::take(&mut self.dirty) {
            self.write_page(at, page);
        }
        self.lengths.clear();
    }

    /// Some pages can't be written. The system shows them as they were to be, and thinks that they
    /// are written.
    pub(super) fn fail_sync(&mut self, page: usize, rng: &mut Rng) {
        if rng.chance(0.7) {
            self.durable.resize(self.cached.len(), 0);
            self.lengths.clear();
        }
        let written = rng.pick([0.0, 0.0, 0.5, 0.9]);
        for at in std::mem::take(&mut self.dirty) {
            if rng.chance(written) {
                self.write_page(at, page);
            }
        }
    }

    /// Writes some pages, as the system does by itself.
    pub(super) fn write_back(&mut self, page: usize, rng: &mut Rng) {
        let some: Vec<_> = self.dirty.iter().copied().filter(|_| rng.chance(0.5)).collect();
        for at in some {
            self.dirty.remove(&at);
            self.write_page(at, page);
        }
    }

    fn write_page(&mut self, at: usize, page: usize) {
        let (from, to) = (at * page, ((at + 1) * page).min(self.cached.len()));
        let Some(new) = self.cached.get(from..to) else { return };
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        self.durable[from..to].copy_from_slice(new);
    }

    /// Leaves of what isn't durable what a power cut may leave. Returns whether that is neither all
    /// nor nothing.
    pub(super) fn lose_power(&mut self, page: usize, rng: &mut Rng) -> bool {
        let mut torn = false;
        if !self.is_durable() {
            let length = self.length_left(page, rng);
            let mut left = self.durable.clone();
            left.resize(length, 0);
            // All, none, any of them, those in front, or those behind.
            let kind = rng.below(6);
            let rate = rng.pick([0.1, 0.5, 0.9]);
            let from = rng.index(self.dirty.len() + 1);
            for (number, at) in self.dirty.iter().enumerate() {
                let survives = match kind {
                    0 => false,
                    1 => true,
                    2 => number < from,
                    3 => number >= from,
                    _ => rng.chance(rate),
                };
                if !survives {
                    continue;
                }
                let (from, to) = (at * page, ((at + 1) * page).min(length).min(self.cached.len()));
                if from >= to {
                    continue;
                }
                // A page may be written in part.
                let (from, to) = match rng.below(12) {
                    0 => (from, from + rng.index(to - from)),
                    1 => (from + rng.index(to - from), to),
                    _ => (from, to),
                };
                left[from..to].copy_from_slice(&self.cached[from..to]);
            }
            torn = left != self.durable && left != self.cached;
            self.durable = left;
        }
        self.cached = self.durable.clone();
        self.dirty.clear();
        self.lengths.clear();
        torn
    }

    /// A length that it had, or one between two of them.
    fn length_left(&self, page: usize, rng: &mut Rng) -> usize {
        let had = |rng: &mut Rng| match rng.index(self.lengths.len() + 1) {
            0 => self.durable.len(),
            at => self.lengths[at - 1],
        };
        match rng.below(4) {
            0 => had(rng),
            1 => {
                let (one, other) = (had(rng), had(rng));
                let between = rng.between(one.min(other) as u64, one.max(other) as u64) as usize;
                between.next_multiple_of(page).min(one.max(other))
            }
            _ => self.lengths.last().copied().unwrap_or(self.durable.len()),
        }
    }
}
