//! Errors of transports.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Capability;
use crate::record::{Incarnation, Position};

/// The result of a transport's operation.
///
/// ```
/// use msgstream_core::transport::{Result, TransportError, TransportErrorKind};
/// fn delete(channel: &str) -> Result<()> {
///     Err(TransportError::new("delete", TransportErrorKind::NotFound).on(channel))
/// }
/// assert!(delete("orders").is_err());
/// ```
pub type Result<T, E = TransportError> = std::result::Result<T, E>;

/// What failed, on which channel, why, and what to do about it.
///
/// The text is one line and doesn't repeat the cause, which [`StdError::source`] returns.
///
/// ```
/// use msgstream_core::transport::{TransportError, TransportErrorKind};
/// let error = TransportError::new("describe", TransportErrorKind::NotFound).on("orders");
/// assert_eq!(
///     error.to_string(),
///     "describe of channel `orders` failed: there is no such channel; create it first"
/// );
/// ```
#[derive(Debug)]
pub struct TransportError(Box<Inner>);

// Boxed: an error is rare, and every result would be as large as it.
#[derive(Debug)]
struct Inner {
    operation: &'static str,
    channel: Option<String>,
    kind: TransportErrorKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// Returns the error of an operation.
    ///
    /// ```
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// let error = TransportError::new("list", TransportErrorKind::Closed);
    /// assert_eq!(error.operation(), "list");
    /// ```
    #[must_use]
    pub fn new(operation: &'static str, kind: TransportErrorKind) -> Self {
        Self::caused(operation, kind, None)
    }

    pub(crate) fn caused(
        operation: &'static str,
        kind: TransportErrorKind,
        source: Option<Arc<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { operation, channel: None, kind, source }))
    }

    /// Sets the channel.
    ///
    /// ```
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// let error = TransportError::new("delete", TransportErrorKind::NotFound).on("orders");
    /// assert_eq!(error.channel(), Some("orders"));
    /// ```
    #[must_use]
    pub fn on(mut self, channel: impl Into<String>) -> Self {
        self.0.channel = Some(channel.into());
        self
    }

    /// Sets the cause.
    ///
    /// ```
    /// use std::error::Error;
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// let cause = std::io::Error::other("connection reset");
    /// let kind = TransportErrorKind::Unavailable { reason: "the connection broke".to_owned() };
    /// let error = TransportError::new("list", kind).because(cause);
    /// assert_eq!(error.source().unwrap().to_string(), "connection reset");
    /// ```
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        self.0.source = Some(source.into());
        self
    }

    /// Returns why it failed.
    ///
    /// ```
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// let error = TransportError::new("delete", TransportErrorKind::NotFound);
    /// assert_eq!(*error.kind(), TransportErrorKind::NotFound);
    /// ```
    #[must_use]
    pub fn kind(&self) -> &TransportErrorKind {
        &self.0.kind
    }

    /// Returns the channel; `None` if the operation isn't about one.
    ///
    /// ```
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// assert_eq!(TransportError::new("list", TransportErrorKind::Closed).channel(), None);
    /// ```
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }

    /// Returns the operation: the name of the method.
    ///
    /// ```
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// assert_eq!(TransportError::new("list", TransportErrorKind::Closed).operation(), "list");
    /// ```
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns whether the same call may succeed if it is simply tried again later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use msgstream_core::transport::{TransportError, TransportErrorKind};
    /// let kind = TransportErrorKind::TimedOut { after: Duration::from_secs(5) };
    /// assert!(TransportError::new("describe", kind).is_temporary());
    /// ```
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.0.kind.is_temporary()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.operation)?;
        if let Some(channel) = &self.0.channel {
            write!(f, " of channel `{channel}`")?;
        }
        write!(f, " failed: {}", self.0.kind)
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|e| &**e as &(dyn StdError + 'static))
    }
}

/// Why a transport's operation failed.
///
/// ```
/// use msgstream_core::transport::TransportErrorKind;
/// let kind = TransportErrorKind::TooLarge { bytes: 2000, limit: 1000 };
/// assert!(kind.to_string().starts_with("a record of 2000 bytes is over the channel's limit"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The channel doesn't exist.
    #[error("there is no such channel; create it first")]
    NotFound,
    /// The channel exists already.
    #[error("the channel exists already; use it, or delete it first")]
    AlreadyExists,
    /// The channel's name can't be used on this transport.
    #[error("the channel's name can't be used: {reason}")]
    InvalidName {
        /// What is wrong with it.
        reason: String,
    },
    /// The transport can't do this at all: the capability is false.
    #[error(
        "this transport can't do that: its capability `{capability}` is false; do without it, or use another transport"
    )]
    Unsupported {
        /// The capability that is missing.
        capability: Capability,
    },
    /// A record is larger than the channel takes. Nothing was sent.
    #[error(
        "a record of {bytes} bytes is over the channel's limit of {limit} bytes; nothing was sent: split the message, or raise the limit"
    )]
    TooLarge {
        /// The size of the record, in bytes, as the limit counts them: the payload, and headers
        /// if the broker counts them too. A payload that is smaller by the excess fits.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A header can't be written on this transport. Nothing was sent.
    #[error("the header `{}` can't be written: {reason}; nothing was sent: change the header, or leave it out", name.escape_debug())]
    InvalidHeader {
        /// The name of the header.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The position is past the end of the channel. It belongs to another channel, or the channel was
    /// created again or lost records since.
    #[error(
        "position {position} is beyond the end of the channel, {end}: it belongs to another channel, or to an earlier one of this name, or the broker lost records; check the channel's name, or start anew"
    )]
    PositionBeyondEnd {
        /// The position asked for.
        position: Position,
        /// Where the next record will stand at the earliest.
        end: Position,
    },
    /// The position is before the first record that is left.
    #[error(
        "the records from {position} on were removed by retention or by `trim`, and the first that is left is at {first}: start there and accept the gap, or keep records for longer"
    )]
    PositionTrimmed {
        /// The position that was asked for, or the reader's own.
        position: Position,
        /// The first position that is left.
        first: Position,
    },
    /// The channel was deleted and created again.
    #[error(
        "the channel was deleted and created again{}: positions of the old one are void, so start anew",
        incarnations(*expected, *found)
    )]
    WrongIncarnation {
        /// The incarnation that the positions belong to.
        expected: Incarnation,
        /// The incarnation that is there.
        found: Incarnation,
    },
    /// An earlier write of this writer failed, and what follows would be out of order.
    #[error(
        "an earlier write of this writer failed, so this one was not sent: open a new writer and send again from the first record that is not known to be stored"
    )]
    Poisoned,
    /// The transport, reader or writer was closed.
    #[error("the transport, reader or writer was closed: open a new one")]
    Closed,
    /// The broker can't be reached, at least for the moment.
    #[error("the broker can't be reached now: {reason}; check that it runs, or try again later")]
    Unavailable {
        /// What was tried.
        reason: String,
    },
    /// No answer came before the deadline.
    #[error("no answer within {} ms: check that the broker answers, or set a longer timeout", after.as_millis())]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The broker has no room left.
    #[error("the broker has no room left: {reason}")]
    Full {
        /// What is full, and what to do.
        reason: String,
    },
    /// The broker refused the credentials, or they don't permit the operation.
    #[error("access was denied: {reason}; check the credentials and the permissions")]
    Denied {
        /// What was refused.
        reason: String,
    },
    /// Somebody else uses what only one at a time can use.
    #[error("the resource is in use: {reason}")]
    InUse {
        /// What is in use, and what to do.
        reason: String,
    },
    /// An option or an address is wrong.
    #[error("{reason}")]
    Config {
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// What the broker has stored is damaged: it was found to differ from what was written.
    #[error("what is stored is damaged: {reason}; restore it from a copy, or start after it")]
    Damaged {
        /// What is damaged, and where.
        reason: String,
    },
    /// The broker answered with something that the adapter doesn't understand.
    #[error(
        "the broker's answer can't be used: {reason}; use versions of the broker and of msgstream that fit each other"
    )]
    Protocol {
        /// What came.
        reason: String,
    },
}

impl TransportErrorKind {
    /// Returns whether the same call may succeed if it is simply tried again later.
    ///
    /// ```
    /// use msgstream_core::transport::TransportErrorKind as Kind;
    /// assert!(Kind::Full { reason: "the tape is full".to_owned() }.is_temporary());
    /// assert!(!Kind::NotFound.is_temporary());
    /// ```
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TimedOut { .. } | Self::Full { .. })
    }
}

/// Names the incarnations, if they are known.
fn incarnations(expected: Incarnation, found: Incarnation) -> String {
    match [expected, found].contains(&Incarnation::UNKNOWN) {
        true => String::new(),
        false => format!(" (incarnation {expected} was expected, {found} was found)"),
    }
}
