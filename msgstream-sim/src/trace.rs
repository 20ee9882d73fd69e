//! What happened, as a running hash.

use std::fmt::{self, Write};
use std::time::Duration;

/// Hashes every event and its virtual time, and prints them if that is wanted. Two runs of one
/// seed did the same exactly if their hashes are equal.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    print: bool,
}

impl Trace {
    pub(crate) const fn new(print: bool) -> Self {
        // The same in every process and every version of Rust, unlike the standard hashers.
        Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, print }
    }

    pub(crate) fn note(&mut self, at: Duration, event: fmt::Arguments<'_>) {
        self.events += 1;
        if self.print {
            eprintln!("{:>12.3} {event}", at.as_secs_f64());
        }
        self.word(at.as_nanos() as u64);
        // Writing to a hash can't fail.
        let _: fmt::Result = self.write_fmt(event);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// By words: an event is noted at every turn of a program, and by bytes that takes a while.
    fn word(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (words, rest) = text.as_bytes().as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        // With its length, so that "a" and "a\0" differ, and so do "ab" and "a", "b".
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = rest.len() as u8;
        self.word(u64::from_le_bytes(last));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_when_and_in_which_order_all_count() {
        let hash = |events: &[(u64, &str)]| {
            let mut trace = Trace::new(false);
            for (ms, event) in events {
                trace.note(Duration::from_millis(*ms), format_args!("{event}"));
            }
            trace.hash()
        };
        let one = hash(&[(1, "a"), (2, "b")]);
        assert_eq!(one, hash(&[(1, "a"), (2, "b")]));
        for other in [&[(1, "b"), (2, "a")], &[(1, "a"), (3, "b")], &[(1, "ab"), (2, "")]] {
            assert_ne!(one, hash(other));
        }
    }
}
