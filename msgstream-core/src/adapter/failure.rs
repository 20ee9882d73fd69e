//! Why a part of an operation failed.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::with_causes;
use crate::transport::{TransportError, TransportErrorKind};

/// Why a part of an operation failed, and the error that caused it. For transports.
///
/// The parts of a transport know neither the operation nor the channel: whoever knows them makes a
/// [`TransportError`] of this, by [`during`](Self::during). A clone shares the cause, so that every
/// caller who waited for the same connection gets it.
///
/// `Display` writes the kind and its causes in one line, as for a log. Two failures are equal if
/// their kinds are.
///
/// ```
/// use std::error::Error as _;
/// use std::io;
/// use msgstream_core::adapter::Failure;
/// use msgstream_core::transport::TransportErrorKind;
///
/// let kind = TransportErrorKind::Unavailable { reason: "connecting to tape0 failed".to_owned() };
/// let failure = Failure::new(kind, io::Error::from(io::ErrorKind::ConnectionRefused));
/// assert!(failure.is_temporary());
///
/// let error = failure.during("describe").on("orders");
/// assert!(error.source().is_some_and(|cause| cause.is::<io::Error>()));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the failure means to whoever called.
    pub kind: TransportErrorKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    /// Creates a failure with its cause.
    #[must_use]
    pub fn new(
        kind: TransportErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        Self { kind, source: Some(source.into()) }
    }

    /// Returns the same failure with another kind.
    #[must_use]
    pub fn with_kind(self, kind: TransportErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns whether the same call may succeed if it is simply tried again later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.kind.is_temporary()
    }

    /// Returns the error of an operation that failed with this.
    #[must_use]
    pub fn during(self, operation: &'static str) -> TransportError {
        TransportError::caused(operation, self.kind, self.source)
    }
}

impl From<TransportErrorKind> for Failure {
    fn from(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self.kind.to_string(), self.source()))
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|cause| &**cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_line_has_every_cause_once() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let kind = |reason: &str| TransportErrorKind::Unavailable { reason: reason.to_owned() };
        let of = |reason| Failure::new(kind(reason), refused()).to_string();
        let own = |reason: &str| kind(reason).to_string();
        assert_eq!(of("no way"), format!("{}: refused", own("no way")));
        assert_eq!(of("refused"), own("refused"));
        assert_eq!(Failure::from(kind("away")).to_string(), kind("away").to_string());
    }

    #[test]
    fn a_clone_keeps_the_cause() {
        let failure = Failure::new(TransportErrorKind::Closed, io::Error::other("why"));
        let error = failure.clone().during("read");
        assert!(error.source().is_some_and(|cause| cause.is::<io::Error>()));
        assert_eq!(failure, TransportErrorKind::Closed.into());
    }
}
