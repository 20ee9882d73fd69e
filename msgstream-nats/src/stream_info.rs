//! What the server reports about a stream.

use std::collections::BTreeMap;

use jiff::Timestamp;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::TransportErrorKind;
use serde::{Deserialize, Deserializer};

/// What a stream is and holds.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    config: StreamConfig,
    #[serde(deserialize_with = "nanoseconds")]
    created: u128,
    state: StreamState,
    #[serde(default)]
    cluster: Option<Cluster>,
}

#[derive(Debug, Deserialize)]
struct StreamConfig {
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    max_msg_size: i64,
    #[serde(default)]
    num_replicas: usize,
    #[serde(default)]
    storage: String,
}

/// Where a stream is. A server that is alone has no name for the cluster.
#[derive(Debug, Deserialize)]
struct Cluster {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
}

impl StreamInfo {
    /// Returns the time at which it was created, in nanoseconds, which no two lives share.
    pub(crate) const fn incarnation(&self) -> Incarnation {
        Incarnation(self.created)
    }

    /// Returns the sequence of the next message.
    pub(crate) const fn end(&self) -> u64 {
        self.state.last_seq + 1
    }

    pub(crate) const fn messages(&self) -> u64 {
        self.state.messages
    }

    /// Returns the sequence before which nothing is left.
    pub(crate) const fn first(&self) -> u64 {
        if self.state.messages == 0 { self.end() } else { self.state.first_seq }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.state.messages == 0
    }

    pub(crate) fn into_metadata(self) -> BTreeMap<String, String> {
        self.config.metadata
    }

    /// Returns the subject to publish to: the first that isn't a pattern.
    pub(crate) fn subject(&self) -> Option<&str> {
        let plain = |subject: &&str| !subject.split('.').any(|part| part == "*" || part == ">");
        self.config.subjects.iter().map(String::as_str).find(plain)
    }

    /// Returns the stream's own limit to a message, in bytes with headers, if it has one.
    pub(crate) fn max_message(&self) -> Option<usize> {
        usize::try_from(self.config.max_msg_size).ok().filter(|size| *size > 0)
    }

    /// Returns how many copies there are to be.
    pub(crate) const fn replicas(&self) -> usize {
        self.config.num_replicas
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.config.storage == "memory"
    }

    /// Returns the name of the cluster, if the server is in one.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.cluster.as_ref().map(|cluster| &*cluster.name).filter(|name| !name.is_empty())
    }

    /// Fails if a place isn't in the stream, or is in another life of it.
    pub(crate) fn check(&self, incarnation: Incarnation, next: u64) -> Result<(), Failure> {
        let found = self.incarnation();
        let position = Position::new(next);
        if found != incarnation {
            return Err(
                TransportErrorKind::WrongIncarnation { expected: incarnation, found }.into()
            );
        }
        if next > self.end() {
            let end = Position::new(self.end());
            return Err(TransportErrorKind::PositionBeyondEnd { position, end }.into());
        }
        if next < self.first() {
            let first = Position::new(self.first());
            return Err(TransportErrorKind::PositionTrimmed { position, first }.into());
        }
        Ok(())
    }
}

fn nanoseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    u128::try_from(time.as_nanosecond()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn info(messages: u64, first: u64, last: u64) -> StreamInfo {
        let state = json!({ "messages": messages, "first_seq": first, "last_seq": last });
        let config = json!({ "subjects": ["a.*", "b.>", "c.d"] });
        let created = "2026-01-02T03:04:05.678901234Z";
        let answer = json!({ "config": config, "created": created, "state": state });
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn the_incarnation_is_the_time_to_the_nanosecond() {
        assert_eq!(info(0, 0, 0).incarnation(), Incarnation(1_767_323_045_678_901_234));
    }

    #[test]
    fn bounds_of_new_full_and_emptied_streams() {
        for (state, first, end) in [((0, 0, 0), 1, 1), ((3, 5, 7), 5, 8), ((0, 8, 7), 8, 8)] {
            let info = info(state.0, state.1, state.2);
            assert_eq!((info.first(), info.end()), (first, end), "{state:?}");
        }
    }

    #[test]
    fn places_out_of_the_stream_are_refused() {
        use TransportErrorKind as Kind;
        let info = info(3, 5, 7);
        let check = |next| info.check(info.incarnation(), next);
        assert!(matches!(check(4), Err(Failure { kind: Kind::PositionTrimmed { .. }, .. })));
        assert_eq!((check(5), check(8)), (Ok(()), Ok(())));
        assert!(matches!(check(9), Err(Failure { kind: Kind::PositionBeyondEnd { .. }, .. })));
        let other = info.check(Incarnation(1), 5);
        assert!(matches!(other, Err(Failure { kind: Kind::WrongIncarnation { .. }, .. })));
    }

    #[test]
    fn a_subject_without_patterns_is_written_to() {
        assert_eq!(info(0, 0, 0).subject(), Some("c.d"));
    }
}
