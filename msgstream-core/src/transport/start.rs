//! Where reading begins.

use serde::{Deserialize, Serialize};

use crate::record::{Position, Timestamp};

/// Where a reader starts, or where it moves to.
///
/// ```
/// use msgstream_core::record::Position;
/// use msgstream_core::transport::Start;
/// let saved: Option<Position> = None;
/// assert_eq!(saved.map_or(Start::Earliest, Start::At), Start::Earliest);
/// ```
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
    /// At the first record that was appended at this wall-clock time or later, in milliseconds. A
    /// time after the last record means the end of the channel.
    Time(Timestamp),
}
