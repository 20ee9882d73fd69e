//! The requests to JetStream's API.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::client::Handle;
use crate::error::unreadable_answer;
use crate::refusal::ServerError;
use crate::stream_info::StreamInfo;

/// Why a request failed: the server refused it, or there was no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    Refused(ServerError),
    NoAnswer(Failure),
    /// Nobody listens at this subject.
    NobodyListens(String),
}

impl ApiError {
    pub(crate) fn is(&self, err_code: u16) -> bool {
        matches!(self, Self::Refused(error) if error.err_code == err_code)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refused(error) => error.into(),
            ApiError::NoAnswer(failure) => failure,
            ApiError::NobodyListens(subject) => TransportErrorKind::Unavailable {
                reason: format!(
                    "nothing answers at `{subject}`: JetStream is still starting, or switched off there"
                ),
            }
            .into(),
        }
    }
}

/// What the server reports about a consumer that was just created.
#[derive(Debug, Deserialize)]
pub(crate) struct ConsumerInfo {
    pub(crate) delivered: Delivered,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) stream_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Found {
    message: Stored,
}

/// A message that was requested by itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    #[serde(rename = "seq")]
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    /// The headers with the line of the version, empty if there are none.
    #[serde(default, rename = "hdrs", deserialize_with = "base64")]
    pub(crate) headers: Bytes,
    #[serde(default, rename = "data", deserialize_with = "base64")]
    pub(crate) payload: Bytes,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text.unwrap_or_default());
    bytes.map(Into::into).map_err(serde::de::Error::custom)
}

#[derive(Debug, Deserialize)]
struct Names {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// What the server reports about the subjects of a stream.
#[derive(Debug, Deserialize)]
struct Subjects {
    #[serde(default)]
    total: usize,
    state: SubjectsState,
}

#[derive(Debug, Deserialize)]
struct SubjectsState {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

/// An answer of which nothing is needed.
#[derive(Debug, Deserialize)]
struct Done {}

#[derive(Deserialize)]
struct Refusal {
    error: ServerError,
}

impl Handle {
    /// Returns the subject of a request to JetStream.
    pub(crate) fn api(&self, what: &str) -> String {
        format!("{}.{what}", self.config.options.api)
    }

    pub(crate) async fn stream_info(&self, stream: &str) -> Result<StreamInfo, ApiError> {
        self.question(&format!("STREAM.INFO.{stream}"), Value::Null).await
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

    /// Deletes the messages before a sequence, which is greater than 1: the server takes 0 for all.
    pub(crate) async fn purge_before(&self, stream: &str, sequence: u64) -> Result<(), ApiError> {
        let before = json!({ "seq": sequence });
        self.ask(&format!("STREAM.PURGE.{stream}"), before).await.map(|Done {}| ())
    }

    /// Returns the names of all streams of the account.
    pub(crate) async fn stream_names(&self) -> Result<Vec<String>, ApiError> {
        let mut all = Vec::new();
        loop {
            let page: Names = self.question("STREAM.NAMES", json!({ "offset": all.len() })).await?;
            let names = page.streams.unwrap_or_default();
            let is_last = names.is_empty() || all.len() + names.len() >= page.total;
            all.extend(names);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Returns the subjects of a stream's messages that match a pattern.
    pub(crate) async fn subjects(
        &self,
        stream: &str,
        pattern: &str,
    ) -> Result<Vec<String>, ApiError> {
        let mut all = Vec::new();
        loop {
            let page = json!({ "subjects_filter": pattern, "offset": all.len() });
            let page: Subjects = self.question(&format!("STREAM.INFO.{stream}"), page).await?;
            let subjects = page.state.subjects.unwrap_or_default();
            let is_last = subjects.is_empty() || all.len() + subjects.len() >= page.total;
            all.extend(subjects.into_keys());
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Returns the last message of a subject.
    pub(crate) async fn last_message(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Stored>, ApiError> {
        self.message(stream, json!({ "last_by_subj": subject })).await
    }

    /// Returns the message with this sequence, without reading those before it.
    pub(crate) async fn message_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<Stored>, ApiError> {
        self.message(stream, json!({ "seq": sequence })).await
    }

    /// Returns the first message from a sequence on.
    pub(crate) async fn message_from(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<Stored>, ApiError> {
        self.message(stream, json!({ "seq": sequence, "next_by_subj": ">" })).await
    }

    /// Returns the message that fits, if there is one. The leader of the stream answers, which has
    /// all messages.
    async fn message(&self, stream: &str, which: Value) -> Result<Option<Stored>, ApiError> {
        match self.question(&format!("STREAM.MSG.GET.{stream}"), which).await {
            Ok(Found { message }) => Ok(Some(message)),
            Err(error) if error.is(ServerError::NO_MESSAGE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a consumer, and waits for it no longer than the limit.
    pub(crate) async fn create_consumer(
        &self,
        stream: &str,
        name: &str,
        config: Value,
        limit: Duration,
    ) -> Result<ConsumerInfo, ApiError> {
        let request = json!({ "stream_name": stream, "config": config, "action": "create" });
        let subject = self.api(&format!("CONSUMER.CREATE.{stream}.{name}"));
        let asked = async {
            let link = self.asking().await?;
            link.request(&subject, HeaderMap::new(), request.to_string().into(), limit).await
        };
        answer(&subject, self.while_open(asked).await)
    }

    /// Sends a request that changes nothing, and may be sent again.
    async fn question<T: DeserializeOwned>(&self, what: &str, body: Value) -> Result<T, ApiError> {
        let subject = self.api(what);
        let asked = async {
            let link = self.asking().await?;
            link.question(&subject, written(&body), self.timeout()).await
        };
        answer(&subject, self.while_open(asked).await)
    }

    /// Sends a request once and reads the answer. A lost connection is an error, because nobody knows
    /// whether the request was carried out.
    async fn ask<T: DeserializeOwned>(&self, what: &str, body: Value) -> Result<T, ApiError> {
        self.request(&self.api(what), HeaderMap::new(), written(&body)).await
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
        answer(subject, self.while_open(asked).await)
    }
}

fn written(body: &Value) -> Bytes {
    if body.is_null() { Bytes::new() } else { body.to_string().into() }
}

fn answer<T: DeserializeOwned>(
    subject: &str,
    answer: Result<Option<Message>, Failure>,
) -> Result<T, ApiError> {
    match answer {
        Ok(Some(answer)) => read(&answer.payload),
        Ok(None) => Err(ApiError::NobodyListens(subject.to_owned())),
        Err(failure) => Err(ApiError::NoAnswer(failure)),
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // An answer has either what was asked for or an error.
    if let Ok(Refusal { error }) = serde_json::from_slice(json) {
        return Err(ApiError::Refused(error));
    }
    serde_json::from_slice(json).map_err(|error| ApiError::NoAnswer(unreadable_answer(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refusal_differs_from_an_answer() {
        let refused = read::<Names>(br#"{"error":{"code":404,"err_code":10059,"description":""}}"#);
        assert!(refused.unwrap_err().is(ServerError::STREAM_NOT_FOUND));
        assert_eq!(read::<Names>(br#"{"total":1,"streams":["a"]}"#).unwrap().total, 1);
        assert!(matches!(read::<StreamInfo>(b"{}"), Err(ApiError::NoAnswer(_))));
    }

    #[test]
    fn a_message_is_read_whatever_its_bytes() {
        let json = br#"{"message":{"subject":"orders","seq":7,"hdrs":"TkFUUy8xLjANCmE6IP8NCg0K","data":"/w==","time":"t"}}"#;
        let Found { message } = read(json).unwrap();
        assert_eq!((message.sequence, &*message.subject), (7, "orders"));
        assert_eq!(&message.headers[..], b"NATS/1.0\r\na: \xff\r\n\r\n");
        assert_eq!(&message.payload[..], b"\xff");
        let Found { message } = read(br#"{"message":{"subject":"a","seq":1}}"#).unwrap();
        assert!(message.headers.is_empty() && message.payload.is_empty());
    }
}
