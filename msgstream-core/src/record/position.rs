//! Places in a channel.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in one channel: opaque, totally ordered along the channel, the same in every process.
///
/// Three words hold the identifiers of every supported broker, so a position is `Copy`, sorts
/// without help from its transport, and never allocates. The transport that made it maps it to
/// the broker's own bytes, see [`Transport::encode_position`](crate::transport::Transport::encode_position).
///
/// ```
/// use msgstream_core::record::Position;
/// let a = Position::from_words([7, 3, 0]);
/// assert!(a < Position::from_words([7, 4, 0]));
/// assert_eq!(a.to_string(), "7:3");
/// assert_eq!("7:3".parse(), Ok(Position::from_words([7, 3, 0])));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position([u64; 3]);

impl Position {
    /// Greater than every position of a record; never the place of one.
    pub const MAX: Self = Self([u64::MAX; 3]);

    /// A position of one number, such as an offset.
    #[must_use]
    pub const fn new(offset: u64) -> Self {
        Self([offset, 0, 0])
    }

    /// A position of up to three numbers, the first being the most significant.
    #[must_use]
    pub const fn from_words(words: [u64; 3]) -> Self {
        Self(words)
    }

    /// The three numbers, the first being the most significant.
    #[must_use]
    pub const fn words(self) -> [u64; 3] {
        self.0
    }

    /// The first number: the offset where a position is one.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0[0]
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [a, 0, 0] => write!(f, "{a}"),
            [a, b, 0] => write!(f, "{a}:{b}"),
            [a, b, c] => write!(f, "{a}:{b}:{c}"),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut words = [0; 3];
        for (n, word) in text.split(':').enumerate() {
            let place = words.get_mut(n).ok_or(PositionError(()))?;
            *place = word.parse().map_err(|_| PositionError(()))?;
        }
        Ok(Self(words))
    }
}

/// A text that isn't a [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position: it is up to three numbers with `:` between them")]
pub struct PositionError(());

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}

/// One life of a channel. A channel that was deleted and created again has another one, and
/// positions of the old one are refused. Where the broker gives none, all lives are
/// [`UNKNOWN`](Self::UNKNOWN), and look like one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u128);

impl Incarnation {
    /// That of a channel whose broker gives none. No known incarnation is equal to it.
    pub const UNKNOWN: Self = Self(0);
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

// As text: JSON numbers don't hold 128 bits.
impl Serialize for Incarnation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_numbers_not_of_their_bytes() {
        let mut positions =
            [[1, 0, 0], [0, 256, 0], [0, 2, 9], [0, 2, 1]].map(Position::from_words);
        positions.sort();
        assert_eq!(positions.map(Position::words), [[0, 2, 1], [0, 2, 9], [0, 256, 0], [1, 0, 0]]);
    }

    #[test]
    fn incarnations_and_positions_survive_json() {
        let all = (Incarnation(u128::MAX), Position::from_words([1, 2, 3]));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<(Incarnation, Position)>(&json).unwrap(), all);
    }
}
