//! Which session wrote a record, and with which sequence number.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Position;

/// The stamp of a session on a record. Consumers deliver each sequence number of a producer once,
/// even if its records were sent again. See [`dedup`](crate::dedup).
///
/// As text, in the header `ms-session`, it is `producer;epoch;seq`. What a session wrote through a
/// virtual channel has `producer/vchannel` in the place of the producer, see [`Origin::producer`].
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
    /// The producer and the epoch that wrote the record. Records of one writer share them.
    pub origin: Arc<Origin>,
    /// The sequence number of a message: it counts the producer's messages on this channel over all
    /// epochs, from 1 on. On a time tick, the sequence number of the last message before it.
    pub seq: u64,
}

/// A producer and one of its epochs.
///
/// ```
/// use msgstream_core::record::{Origin, Position};
/// let [old, new] = [3, 7].map(Position::new).map(|epoch| Origin { producer: "billing".into(), epoch });
/// assert!(old < new);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The producer's id, which is the same in all of its epochs. On a virtual channel, whose records
    /// are a part of another channel's, it is followed by `/` and the name of the virtual channel:
    /// each of them has sequence numbers of its own.
    pub producer: Arc<str>,
    /// The epoch: the position of the fence on the session's home channel that began it.
    pub epoch: Position,
}

impl Stamp {
    /// The name of the header that holds the stamp.
    ///
    /// ```
    /// use msgstream_core::record::Stamp;
    /// assert_eq!(Stamp::HEADER, "ms-session");
    /// ```
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
        // From the end: the name of a virtual channel may have any characters.
        let mut parts = text.rsplitn(3, ';');
        let (Some(seq), Some(epoch), Some(producer)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(StampError(()));
        };
        if !is_numbered(producer) {
            return Err(StampError(()));
        }
        let epoch = epoch.parse().map_err(|_| StampError(()))?;
        let seq = seq.parse().map_err(|_| StampError(()))?;
        Ok(Self { origin: Arc::new(Origin { producer: producer.into(), epoch }), seq })
    }
}

/// Returns whether a text can be a producer's id: 1 to 64 letters, digits, `.`, `_` and `-`, which
/// every broker takes in a header.
pub(crate) fn is_producer_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(letter)
}

/// Returns whether a text names a producer in a record: its id, and perhaps a virtual channel.
pub(crate) fn is_numbered(text: &str) -> bool {
    match text.split_once('/') {
        Some((producer, vchannel)) => is_producer_id(producer) && !vchannel.is_empty(),
        None => is_producer_id(text),
    }
}

/// The error of a text that isn't a [`Stamp`].
///
/// ```
/// use msgstream_core::record::Stamp;
/// assert!("billing;7:3".parse::<Stamp>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a stamp: write producer;epoch;seq")]
pub struct StampError(pub(crate) ());

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_is_read_as_it_was_written(
            producer in "[A-Za-z0-9._-]{1,64}(/\\PC{1,9})?",
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
        for text in [
            "",
            "p",
            "p;1",
            "p;1;",
            "p;;1",
            ";1;1",
            "p;1;1;1",
            "p;1:2:3:4;1",
            "p q;1;1",
            "p/;1;1",
            "/v;1;1",
        ] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }
}
