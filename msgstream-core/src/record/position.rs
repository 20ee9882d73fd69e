//! Positions in a channel, and its incarnations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in one channel: opaque, totally ordered along the channel, and the same in every process.
///
/// Three words hold the identifiers of every supported broker, so a position is `Copy`, sorts
/// without help from its transport, and never allocates. Its transport converts it to the broker's
/// own bytes, see [`Transport::encode_position`](crate::transport::Transport::encode_position).
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
    /// Greater than the position of every record.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// assert!(Position::new(u64::MAX) < Position::MAX);
    /// ```
    pub const MAX: Self = Self([u64::MAX; 3]);

    /// Returns a position of one number, such as an offset.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// assert!(Position::new(7) < Position::new(8));
    /// ```
    #[must_use]
    pub const fn new(offset: u64) -> Self {
        Self([offset, 0, 0])
    }

    /// Returns a position of up to three numbers, of which the first is the most significant.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// assert!(Position::from_words([7, 9, 9]) < Position::from_words([8, 0, 0]));
    /// ```
    #[must_use]
    pub const fn from_words(words: [u64; 3]) -> Self {
        Self(words)
    }

    /// Returns the three numbers, of which the first is the most significant.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// assert_eq!(Position::new(7).words(), [7, 0, 0]);
    /// ```
    #[must_use]
    pub const fn words(self) -> [u64; 3] {
        self.0
    }

    /// Returns the first number, which is the offset on brokers that count with one number.
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// assert_eq!(Position::new(7).offset(), 7);
    /// ```
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

    /// Parses what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut words = [0; 3];
        for (n, word) in text.split(':').enumerate() {
            let place = words.get_mut(n).ok_or(PositionError(()))?;
            *place = word.parse().map_err(|_| PositionError(()))?;
        }
        Ok(Self(words))
    }
}

/// The error of a text that isn't a [`Position`].
///
/// ```
/// use msgstream_core::record::Position;
/// assert!("7:x".parse::<Position>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a position: write up to three numbers with `:` between them")]
pub struct PositionError(());

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}

/// Identifies a channel between its creation and its deletion. A channel that was deleted and
/// created again has another incarnation, and positions of the old one are refused. If the broker
/// doesn't know, every incarnation is [`UNKNOWN`](Self::UNKNOWN), and all look alike.
///
/// ```
/// use msgstream_core::record::Incarnation;
/// assert_ne!(Incarnation(7), Incarnation(8));
/// assert_eq!(Incarnation(255).to_string(), "ff");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u128);

impl Incarnation {
    /// The incarnation of a channel whose broker doesn't know any. No known incarnation equals it.
    ///
    /// ```
    /// use msgstream_core::record::Incarnation;
    /// assert_ne!(Incarnation(1), Incarnation::UNKNOWN);
    /// ```
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
