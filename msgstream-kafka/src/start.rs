//! Where readers start.

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::{Start, TransportErrorKind};

use crate::client::Handle;
use crate::lookup::Bounds;
use crate::partition::Partition;

/// Returns the offset of a start, and the bounds of the partition.
pub(crate) async fn place(
    handle: &Handle,
    partition: &Partition,
    start: Start,
) -> Result<(u64, Bounds), Failure> {
    let bounds = handle.bounds(partition).await?;
    let next = match start {
        Start::Earliest => bounds.low,
        Start::Latest => bounds.high,
        Start::Time(time) => {
            let found = handle.offset_at(partition, time.physical_ms()).await?;
            found.unwrap_or(bounds.high).max(bounds.low)
        }
        Start::At(position) => within(offset(position)?, bounds)?,
        Start::After(position) => {
            let offset = offset(position)?;
            if offset >= bounds.high {
                return Err(beyond(offset, bounds).into());
            }
            within(offset + 1, bounds)?
        }
        other => {
            let reason = format!("a reader of this transport can't start at {other:?}");
            return Err(TransportErrorKind::Config { reason }.into());
        }
    };
    Ok((next, bounds))
}

fn within(offset: u64, bounds: Bounds) -> Result<u64, Failure> {
    if offset < bounds.low {
        let (position, first) = (Position::new(offset), Position::new(bounds.low));
        return Err(TransportErrorKind::PositionTrimmed { position, first }.into());
    }
    if offset > bounds.high {
        return Err(beyond(offset, bounds).into());
    }
    Ok(offset)
}

/// Returns the refusal of an offset that is past the end.
pub(crate) const fn beyond(offset: u64, bounds: Bounds) -> TransportErrorKind {
    let (position, end) = (Position::new(offset), Position::new(bounds.high));
    TransportErrorKind::PositionBeyondEnd { position, end }
}

/// Returns the offset of a position.
pub(crate) fn offset(position: Position) -> Result<u64, Failure> {
    match position.words() {
        [offset, 0, 0] if i64::try_from(offset).is_ok() => Ok(offset),
        _ => Err(TransportErrorKind::Config {
            reason: format!(
                "position {position} doesn't belong to a Kafka topic, whose positions are single numbers"
            ),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use TransportErrorKind as Kind;

    const BOUNDS: Bounds = Bounds { low: 5, high: 9 };

    #[test]
    fn only_what_is_left_can_be_gone_to() {
        assert!(
            matches!(within(4, BOUNDS), Err(Failure { kind: Kind::PositionTrimmed { first, .. }, .. }) if first == Position::new(5))
        );
        for offset in 5..=9 {
            assert_eq!(within(offset, BOUNDS).unwrap(), offset);
        }
        assert!(
            matches!(within(10, BOUNDS), Err(Failure { kind: Kind::PositionBeyondEnd { end, .. }, .. }) if end == Position::new(9))
        );
    }

    #[test]
    fn positions_of_other_transports_are_refused() {
        assert_eq!(offset(Position::new(7)).unwrap(), 7);
        for position in [Position::MAX, Position::new(u64::MAX), Position::from_words([1, 2, 0])] {
            assert!(offset(position).is_err(), "{position}");
        }
    }
}
