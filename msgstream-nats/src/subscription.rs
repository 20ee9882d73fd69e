//! Durable cursors.
//!
//! The cursors of all channels are in one stream of their own, one message for each, so that an
//! acknowledgement is as durable as a record is.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{Result, Subscription, TransportError, TransportErrorKind};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::NatsConfig;
use crate::admin::{ApiError, Stored};
use crate::client::Handle;
use crate::name::{token, unescape};
use crate::refusal::ServerError;
use crate::start::sequence;

/// No channel's stream has this name: after a `%` theirs have hexadecimal digits.
const CURSORS: &str = "%cursors";

/// Makes the server refuse a message if its subject has another last sequence.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// Returns the stream of a prefix's cursors.
pub(crate) fn stream_of_cursors(config: &NatsConfig) -> String {
    format!("{}{CURSORS}", config.prefix)
}

/// Returns the subjects of all cursors of one life of a channel.
pub(crate) fn cursors_of(config: &NatsConfig, channel: &str, incarnation: Incarnation) -> String {
    format!("{}.{}.{incarnation}.*", stream_of_cursors(config), token(channel))
}

fn cursor(config: &NatsConfig, channel: &str, incarnation: Incarnation, name: &str) -> String {
    format!("{}.{}.{incarnation}.{}", stream_of_cursors(config), token(channel), token(name))
}

/// Fails if a subscription's name can't be part of a subject.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if (1..=255).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let reason = "the subscription's name can't be used: it must have 1 to 255 bytes and no control characters";
    Err(TransportErrorKind::Config { reason: reason.to_owned() }.into())
}

/// Removes a cursor.
pub(crate) async fn remove(
    handle: &Handle,
    channel: &str,
    incarnation: Incarnation,
    name: &str,
) -> Result<(), Failure> {
    purge(handle, &cursor(&handle.config, channel, incarnation, name)).await
}

/// Removes the cursors whose subjects match a pattern.
pub(crate) async fn purge(handle: &Handle, subjects: &str) -> Result<(), Failure> {
    match handle.purge(&stream_of_cursors(&handle.config), subjects).await {
        // There was never a cursor.
        Err(error) if error.is(ServerError::STREAM_NOT_FOUND) => Ok(()),
        purged => Ok(purged?),
    }
}

/// Returns the names of the cursors of one life of a channel, sorted.
pub(crate) async fn names(
    handle: &Handle,
    channel: &str,
    incarnation: Incarnation,
) -> Result<Vec<String>, Failure> {
    let pattern = cursors_of(&handle.config, channel, incarnation);
    let subjects = match handle.subjects(&stream_of_cursors(&handle.config), &pattern).await {
        // There was never a cursor.
        Err(error) if error.is(ServerError::STREAM_NOT_FOUND) => return Ok(Vec::new()),
        subjects => subjects?,
    };
    let names = subjects.iter().filter_map(|subject| unescape(subject.rsplit('.').next()?));
    // A page may repeat a subject of the one before if cursors came or went meanwhile.
    Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
}

#[derive(Debug)]
pub(crate) struct NatsSubscription {
    handle: Arc<Handle>,
    channel: String,
    stream: String,
    incarnation: Incarnation,
    subject: String,
    /// The cursor when this handle saw it last.
    seen: Mutex<Seen>,
}

/// A cursor as it is stored.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The sequence of its message, 0 if there is none.
    sequence: u64,
    position: Option<Position>,
}

#[derive(Deserialize)]
struct Acked {
    seq: u64,
}

impl NatsSubscription {
    pub(crate) fn new(
        handle: Arc<Handle>,
        channel: &str,
        stream: String,
        incarnation: Incarnation,
        name: &str,
    ) -> Self {
        let subject = cursor(&handle.config, channel, incarnation, name);
        let channel = channel.to_owned();
        Self { handle, channel, stream, incarnation, subject, seen: Mutex::default() }
    }

    fn error(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(&self.channel)
    }

    async fn look(&self) -> Result<Seen, Failure> {
        let cursors = stream_of_cursors(&self.handle.config);
        match self.handle.last_message(&cursors, &self.subject).await {
            Ok(Some(Stored { sequence, payload, .. })) => {
                let text = std::str::from_utf8(&payload).ok();
                let position = text.and_then(|text| text.parse().ok());
                let Some(position) = position else {
                    let reason =
                        format!("the message at `{}` isn't a cursor; delete it", self.subject);
                    return Err(TransportErrorKind::Protocol { reason }.into());
                };
                Ok(Seen { sequence, position: Some(position) })
            }
            Ok(None) => Ok(Seen::default()),
            Err(error) if error.is(ServerError::STREAM_NOT_FOUND) => Ok(Seen::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the cursor if it is still as it was seen.
    async fn store(&self, before: Position, seen: Seen) -> Result<Seen, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED, seen.sequence.to_string());
        let body = Bytes::from(before.to_string());
        let stored: Acked = self.handle.request(&self.subject, headers, body).await?;
        Ok(Seen { sequence: stored.seq, position: Some(before) })
    }

    async fn move_to(&self, before: Position) -> Result<(), Failure> {
        sequence(before)?;
        self.handle.check_open()?;
        let mut seen = self.seen.lock().await;
        if seen.sequence == 0 {
            self.begin().await?;
            *seen = self.look().await?;
        }
        let mut is_begun = false;
        // Another handle may move it too: each turn sees a cursor that is further, or fails.
        while seen.position.is_none_or(|position| position < before) {
            match self.store(before, *seen).await {
                Ok(stored) => *seen = stored,
                Err(error) if error.is(ServerError::WRONG_LAST_SEQUENCE) => {
                    *seen = self.look().await?;
                    if seen.sequence == 0 {
                        self.begin().await?;
                    }
                }
                // The stream of the cursors was deleted.
                Err(ApiError::NobodyListens(_)) if !is_begun => {
                    is_begun = true;
                    self.begin().await?;
                    *seen = self.look().await?;
                }
                Err(error) => {
                    // It may be stored or not, so the next call looks.
                    *seen = Seen::default();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Prepares for a first cursor: checks that the channel is still there, and creates the stream for
    /// cursors if it is missing.
    async fn begin(&self) -> Result<(), Failure> {
        let found = self.handle.stream_info(&self.stream).await?.incarnation();
        if found != self.incarnation {
            let expected = self.incarnation;
            return Err(TransportErrorKind::WrongIncarnation { expected, found }.into());
        }
        let cursors = stream_of_cursors(&self.handle.config);
        match self.handle.stream_info(&cursors).await {
            Err(error) if error.is(ServerError::STREAM_NOT_FOUND) => {}
            found => return found.map(drop).map_err(Into::into),
        }
        let config = self.handle.config.options.created.of_cursors(&cursors);
        match self.handle.create_stream(&cursors, config).await.map_err(Failure::from) {
            // Another handle was faster, with other options.
            Err(Failure { kind: TransportErrorKind::AlreadyExists, .. }) => Ok(()),
            created => created,
        }
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        self.move_to(before).await.map_err(|failure| self.error("ack", failure))
    }

    async fn acked(&self) -> Result<Option<Position>> {
        match self.look().await {
            Ok(seen) => Ok(seen.position),
            Err(kind) => Err(self.error("acked", kind)),
        }
    }
}
