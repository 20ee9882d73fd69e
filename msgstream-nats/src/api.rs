//! The requests to JetStream that the transport makes.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use msgstream_core::transport::{Incarnation, Position, TransportErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::ServerError;
use crate::handle::Handle;

/// Where JetStream listens.
pub(crate) const API: &str = "$JS.API";

/// Why a request failed: the server said so, or there was no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    Refused(ServerError),
    NoAnswer(TransportErrorKind),
    /// Nobody listens at this subject.
    NobodyListens(String),
}

impl ApiError {
    pub(crate) fn is(&self, err_code: u16) -> bool {
        matches!(self, Self::Refused(error) if error.err_code == err_code)
    }
}

impl From<ApiError> for TransportErrorKind {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refused(error) => error.kind(),
            ApiError::NoAnswer(kind) => kind,
            ApiError::NobodyListens(subject) => Self::Unavailable {
                reason: format!(
                    "nothing answers at `{subject}`: JetStream is off there, or still starting"
                ),
            },
        }
    }
}

/// What a stream is and holds.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    config: StreamConfig,
    #[serde(deserialize_with = "nanoseconds")]
    created: u128,
    state: StreamState,
}

#[derive(Debug, Deserialize)]
struct StreamConfig {
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    max_msg_size: i64,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
}

impl StreamInfo {
    /// The time of its making, in nanoseconds: there are no two within one.
    pub(crate) const fn incarnation(&self) -> Incarnation {
        Incarnation(self.created)
    }

    /// The sequence that the next message gets.
    pub(crate) const fn end(&self) -> u64 {
        self.state.last_seq + 1
    }

    /// The sequence before which nothing is left.
    pub(crate) const fn first(&self) -> u64 {
        if self.state.messages == 0 { self.end() } else { self.state.first_seq }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.state.messages == 0
    }

    pub(crate) fn into_metadata(self) -> BTreeMap<String, String> {
        self.config.metadata
    }

    /// The subject to publish to: the first that isn't a pattern.
    pub(crate) fn subject(&self) -> Option<&str> {
        let plain = |subject: &&str| !subject.split('.').any(|part| part == "*" || part == ">");
        self.config.subjects.iter().map(String::as_str).find(plain)
    }

    /// The greatest message, in bytes with headers, where the stream has a limit of its own.
    pub(crate) fn max_message(&self) -> Option<usize> {
        usize::try_from(self.config.max_msg_size).ok().filter(|size| *size > 0)
    }

    /// Refuses a place that isn't in the stream, or in another life of it.
    pub(crate) fn check(
        &self,
        incarnation: Incarnation,
        next: u64,
    ) -> Result<(), TransportErrorKind> {
        let found = self.incarnation();
        let position = Position::new(next);
        if found != incarnation {
            return Err(TransportErrorKind::WrongIncarnation { expected: incarnation, found });
        }
        if next > self.end() {
            let end = Position::new(self.end());
            return Err(TransportErrorKind::PositionBeyondEnd { position, end });
        }
        if next < self.first() {
            let first = Position::new(self.first());
            return Err(TransportErrorKind::PositionTrimmed { position, first });
        }
        Ok(())
    }
}

fn nanoseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    u128::try_from(time.as_nanosecond()).map_err(serde::de::Error::custom)
}

/// What a consumer has delivered, and what is left for it.
#[derive(Debug, Deserialize)]
pub(crate) struct ConsumerInfo {
    pub(crate) delivered: Delivered,
    pub(crate) num_pending: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) consumer_seq: u64,
    pub(crate) stream_seq: u64,
}

/// A message that was asked for by its subject.
#[derive(Debug, Deserialize)]
struct Stored {
    message: StoredMessage,
}

#[derive(Debug, Deserialize)]
struct StoredMessage {
    seq: u64,
    #[serde(default)]
    data: String,
}

#[derive(Debug, Deserialize)]
struct Names {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// An answer of which nothing is wanted.
#[derive(Debug, Deserialize)]
struct Done {}

#[derive(Deserialize)]
struct Refusal {
    error: ServerError,
}

impl Handle {
    pub(crate) async fn stream_info(&self, stream: &str) -> Result<StreamInfo, ApiError> {
        self.ask(&format!("STREAM.INFO.{stream}"), Value::Null).await
    }

    pub(crate) async fn create_stream(&self, stream: &str, config: Value) -> Result<(), ApiError> {
        self.ask(&format!("STREAM.CREATE.{stream}"), config).await.map(|Done {}| ())
    }

    pub(crate) async fn delete_stream(&self, stream: &str) -> Result<(), ApiError> {
        self.ask(&format!("STREAM.DELETE.{stream}"), Value::Null).await.map(|Done {}| ())
    }

    /// Deletes the messages of a subject, which may be a pattern.
    pub(crate) async fn purge(&self, stream: &str, subject: &str) -> Result<(), ApiError> {
        let filter = json!({ "filter": subject });
        self.ask(&format!("STREAM.PURGE.{stream}"), filter).await.map(|Done {}| ())
    }

    /// The names of all streams that the account has.
    pub(crate) async fn stream_names(&self) -> Result<Vec<String>, ApiError> {
        let mut all = Vec::new();
        loop {
            let page: Names = self.ask("STREAM.NAMES", json!({ "offset": all.len() })).await?;
            let names = page.streams.unwrap_or_default();
            let is_last = names.is_empty() || all.len() + names.len() >= page.total;
            all.extend(names);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The last message of a subject, with its sequence.
    pub(crate) async fn last_message(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<(u64, Vec<u8>), ApiError> {
        let by_subject = json!({ "last_by_subj": subject });
        let stored: Stored = self.ask(&format!("STREAM.MSG.GET.{stream}"), by_subject).await?;
        let payload = STANDARD.decode(stored.message.data).map_err(|e| unreadable(&e))?;
        Ok((stored.message.seq, payload))
    }

    pub(crate) async fn create_consumer(
        &self,
        stream: &str,
        name: &str,
        config: Value,
    ) -> Result<ConsumerInfo, ApiError> {
        let request = json!({ "stream_name": stream, "config": config, "action": "create" });
        self.ask(&format!("CONSUMER.CREATE.{stream}.{name}"), request).await
    }

    pub(crate) async fn consumer_info(
        &self,
        stream: &str,
        name: &str,
    ) -> Result<ConsumerInfo, ApiError> {
        self.ask(&format!("CONSUMER.INFO.{stream}.{name}"), Value::Null).await
    }

    /// Sends one request and reads the answer. A lost connection is an error, for nobody knows
    /// whether the request was carried out.
    async fn ask<T: DeserializeOwned>(&self, what: &str, body: Value) -> Result<T, ApiError> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        self.request(&format!("{API}.{what}"), HeaderMap::new(), body).await
    }

    /// Sends a message that is answered with JSON.
    pub(crate) async fn request<T: DeserializeOwned>(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<T, ApiError> {
        let asked = async {
            let link = self.asking().await?;
            link.request(subject, headers, body, self.timeout()).await
        };
        match self.while_open(asked).await {
            Ok(Some(answer)) => read(&answer.payload),
            Ok(None) => Err(ApiError::NobodyListens(subject.to_owned())),
            Err(kind) => Err(ApiError::NoAnswer(kind)),
        }
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // An answer has either what was asked for or an error.
    if let Ok(Refusal { error }) = serde_json::from_slice(json) {
        return Err(ApiError::Refused(error));
    }
    serde_json::from_slice(json).map_err(|e| unreadable(&e))
}

fn unreadable(error: &dyn std::error::Error) -> ApiError {
    ApiError::NoAnswer(TransportErrorKind::Protocol { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn info(messages: u64, first: u64, last: u64) -> StreamInfo {
        let state = json!({ "messages": messages, "first_seq": first, "last_seq": last });
        let config = json!({ "subjects": ["a.*", "b.>", "c.d"] });
        let created = "2026-01-02T03:04:05.678901234Z";
        let answer = json!({ "config": config, "created": created, "state": state });
        read(answer.to_string().as_bytes()).unwrap()
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
        assert!(matches!(check(4), Err(Kind::PositionTrimmed { .. })));
        assert_eq!((check(5), check(8)), (Ok(()), Ok(())));
        assert!(matches!(check(9), Err(Kind::PositionBeyondEnd { .. })));
        let other = info.check(Incarnation(1), 5);
        assert!(matches!(other, Err(Kind::WrongIncarnation { .. })));
    }

    #[test]
    fn a_subject_without_patterns_is_written_to() {
        assert_eq!(info(0, 0, 0).subject(), Some("c.d"));
    }

    #[test]
    fn a_refusal_is_told_from_an_answer() {
        let refused = read::<Names>(br#"{"error":{"code":404,"err_code":10059,"description":""}}"#);
        assert!(refused.unwrap_err().is(ServerError::STREAM_NOT_FOUND));
        assert_eq!(read::<Names>(br#"{"total":1,"streams":["a"]}"#).unwrap().total, 1);
        assert!(matches!(read::<StreamInfo>(b"{}"), Err(ApiError::NoAnswer(_))));
    }
}
