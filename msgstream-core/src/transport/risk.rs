//! What in a broker's settings may break a promise.

use std::fmt;

/// Something in the broker's settings, or in its state, by which a channel may lose records or stop, as
/// [`Transport::risks`](super::Transport::risks) returns it.
///
/// ```
/// use msgstream_core::transport::{Risk, RiskKind};
/// let risk = Risk::new(RiskKind::Replication, "one server has all records", "set replicas=3");
/// assert_eq!(risk.to_string(), "replication: one server has all records; set replicas=3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Risk {
    /// What kind of risk it is.
    pub kind: RiskKind,
    /// What is set, and what may happen.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Risk {
    /// Returns a risk. For those who write a transport.
    ///
    /// ```
    /// use msgstream_core::transport::{Risk, RiskKind};
    /// let risk = Risk::new(RiskKind::Sync, "records are on no disk for 2m", "sync more often");
    /// assert_eq!(risk.kind, RiskKind::Sync);
    /// ```
    #[must_use]
    pub fn new(kind: RiskKind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.kind, self.what, self.remedy)
    }
}

/// The kind of a [`Risk`].
///
/// ```
/// use msgstream_core::transport::RiskKind;
/// assert_eq!(RiskKind::Retention.to_string(), "retention");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RiskKind {
    /// Records are acknowledged though only one server of several has them.
    Replication,
    /// Acknowledged records aren't on a disk for a while, and a power cut takes them.
    Sync,
    /// Records are removed, or cursors are moved past them, that nobody has acknowledged.
    Retention,
    /// The channel is deleted if nobody uses it for a while.
    Deletion,
    /// A transaction is open, and readers get nothing that was written after it began.
    Transaction,
}

impl fmt::Display for RiskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replication => "replication",
            Self::Sync => "sync",
            Self::Retention => "retention",
            Self::Deletion => "deletion",
            Self::Transaction => "transaction",
        })
    }
}
