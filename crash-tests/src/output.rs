//! What the consumer leaves behind: a line for each pack, and totals of all of them.

use std::fmt::{Display, Write};

use serde::{Deserialize, Serialize};

/// A line about a pack: its interval, then channel, position and number of each message.
pub(crate) fn line<C: Display, P: Display>(
    begin: Option<u64>,
    end: u64,
    messages: impl IntoIterator<Item = (C, P, u64)>,
) -> String {
    let mut line = match begin {
        Some(begin) => format!("{begin} {end}"),
        None => format!("- {end}"),
    };
    for (channel, position, number) in messages {
        // Writing to a string doesn't fail.
        let _ = write!(line, " {channel}/{position}/{number}");
    }
    line.push('\n');
    line
}

/// The messages in a line: channel and number.
pub(crate) fn messages(line: &str) -> impl Iterator<Item = (&str, u64)> {
    line.split_ascii_whitespace().skip(2).filter_map(|message| {
        let (channel, rest) = message.split_once('/')?;
        Some((channel, rest.split_once('/')?.1.parse().ok()?))
    })
}

/// The state that is committed with each checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) packs: u64,
    pub(crate) messages: u64,
    /// Of the numbers.
    sum: u64,
    /// Of the lines, in their order.
    hash: u64,
    /// How long the output is.
    pub(crate) bytes: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, line: &str) {
        self.packs += 1;
        self.bytes += line.len() as u64;
        for (_, number) in messages(line) {
            self.messages += 1;
            self.sum += number;
        }
        // FNV-1a.
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_messages_back() {
        let line = line(Some(1), 5, [("a", "7:1", 3), ("b-0", "8", 4)]);
        assert_eq!(line, "1 5 a/7:1/3 b-0/8/4\n");
        assert_eq!(messages(&line).collect::<Vec<_>>(), [("a", 3), ("b-0", 4)]);
        let mut totals = Totals::default();
        totals.add(&line);
        assert_eq!((totals.packs, totals.messages, totals.sum, totals.bytes), (1, 2, 7, 20));
    }
}
