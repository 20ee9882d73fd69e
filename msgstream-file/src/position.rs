//! Positions: offsets, one for each record.

use msgstream_core::record::Position;
use msgstream_core::transport::TransportErrorKind as Kind;

/// Returns the offset of a position.
pub(crate) fn offset(position: Position) -> Result<u64, Kind> {
    match position.words() {
        [offset, 0, 0] => Ok(offset),
        _ => Err(Kind::Config {
            reason: format!(
                "position {position} doesn't belong to a log in files, whose positions are single numbers"
            ),
        }),
    }
}
