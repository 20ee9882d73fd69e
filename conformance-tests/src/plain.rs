//! What other programs write.

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::record::Record;

use crate::harness::BrokerError;

/// A client of the broker that isn't this library: it writes what this library wouldn't.
#[async_trait]
pub trait PlainClient: Send + Sync {
    /// The kinds of records that the broker takes and of which no message can be made.
    fn bad_kinds(&self) -> &[BadKind];

    /// Writes to a channel, in order, and returns once the broker has it all.
    ///
    /// # Errors
    /// What kept it from writing.
    ///
    /// # Cancel safety
    /// After a cancelled call any part of it may be written.
    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError>;
}

/// What a [`PlainClient`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainRecord {
    /// A record with the headers that it has on this transport.
    Good(Record),
    /// One of a kind of which no message can be made.
    Bad {
        /// The kind, of [`PlainClient::bad_kinds`].
        kind: BadKind,
        /// Its payload, which is no protobuf. Where the kind is about the payload alone, it is what
        /// is written there.
        payload: Bytes,
    },
}

/// A kind of records of which no message can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKind {
    /// What is wrong with them, such as `a header that isn't UTF-8`.
    pub name: &'static str,
    /// Whether readers get the payload, for the client shows it.
    pub shows_payload: bool,
}

impl BadKind {
    /// Returns a kind of record whose payload readers get.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, shows_payload: true }
    }
}
