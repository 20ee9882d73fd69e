//! What happened, as a running hash.

use std::fmt;

/// Hashes every call and its result, and prints them if that is wanted. Two runs of one seed did
/// the same if their hashes are equal.
#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,
    pub(super) events: u64,
    print: bool,
}

impl Trace {
    pub(super) const fn new(print: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, print }
    }

    pub(super) fn note(&mut self, words: [u64; 4], text: impl FnOnce() -> String) {
        self.events += 1;
        for word in words {
            self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        if self.print {
            eprintln!("{:>6} {}", self.events, text());
        }
    }

    /// Prints what changes nothing for the hash.
    pub(super) fn say(&self, text: fmt::Arguments<'_>) {
        if self.print {
            eprintln!("{:>6} {text}", self.events);
        }
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }
}
