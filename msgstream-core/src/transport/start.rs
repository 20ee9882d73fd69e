//! Where reading begins.

use serde::{Deserialize, Serialize};

use crate::record::{Position, Timestamp};

/// Where a reader starts, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Start {
    /// At the first record that is still there.
    Earliest,
    /// After the last record: only what is appended from now on.
    Latest,
    /// At the first record whose position is this one or greater.
    At(Position),
    /// At the first record whose position is greater.
    After(Position),
    /// At the first record that was appended at this wall-clock time or later, in milliseconds.
    /// A time after the last record is the end of the channel.
    Time(Timestamp),
}
