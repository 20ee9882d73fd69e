//! Which session wrote a record, and as its how manieth.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Position;

/// The stamp of a session on a record: consumers take each number of a session once, whatever was
/// sent again. See [`session`](crate::session).
///
/// Written down, as in the header `ms-session`, it is `producer;epoch;seq`.
///
/// ```
/// use msgstream_core::record::Stamp;
/// let stamp: Stamp = "billing;7:3;42".parse()?;
/// assert_eq!((&*stamp.origin.producer, stamp.seq), ("billing", 42));
/// assert_eq!(stamp.to_string(), "billing;7:3;42");
/// # Ok::<(), msgstream_core::record::StampError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Who wrote it. Records of one writer share it.
    pub origin: Arc<Origin>,
    /// A message's number among those of the producer on this channel, from 1 on, over all
    /// epochs; on a time tick, the number of the last message before it.
    pub seq: u64,
}

/// A producer in one of its epochs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The producer's id, the same in all its epochs.
    pub producer: Arc<str>,
    /// The position of the fence on the session's home channel that began the epoch.
    pub epoch: Position,
}

impl Stamp {
    /// The header of a record that holds the stamp.
    pub const HEADER: &str = "ms-session";
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{};{}", self.origin.producer, self.origin.epoch, self.seq)
    }
}

impl FromStr for Stamp {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        let mut parts = text.split(';');
        let (Some(producer), Some(epoch), Some(seq), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StampError(()));
        };
        if !is_producer_id(producer) {
            return Err(StampError(()));
        }
        let epoch = epoch.parse().map_err(|_| StampError(()))?;
        let seq = seq.parse().map_err(|_| StampError(()))?;
        Ok(Self { origin: Arc::new(Origin { producer: producer.into(), epoch }), seq })
    }
}

/// Whether a text can be a producer's id: 1 to 64 letters, digits, `.`, `_` and `-`, which every
/// broker takes in a header.
pub(crate) fn is_producer_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(letter)
}

/// A text that isn't a [`Stamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stamp: it is written as producer;epoch;seq")]
pub struct StampError(pub(crate) ());

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_is_read_as_it_was_written(
            producer in "[A-Za-z0-9._-]{1,64}",
            words: [u64; 3],
            seq: u64,
        ) {
            let epoch = Position::from_words(words);
            let stamp = Stamp { origin: Arc::new(Origin { producer: producer.into(), epoch }), seq };
            prop_assert_eq!(stamp.to_string().parse::<Stamp>(), Ok(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(stamp) = text.parse::<Stamp>() {
                prop_assert_eq!(stamp.to_string().parse::<Stamp>(), Ok(stamp));
            }
        }
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in ["", "p", "p;1", "p;1;", "p;;1", ";1;1", "p;1;1;1", "p;1:2:3:4;1", "p q;1;1"] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }
}
