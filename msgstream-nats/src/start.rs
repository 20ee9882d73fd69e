//! Where readers start.

use std::time::Duration;

use jiff::Timestamp as WallClock;
use msgstream_core::Timestamp;
use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{Start, TransportErrorKind};
use serde_json::{Value, json};

use crate::client::{Handle, Slot};
use crate::prefetch::Prefetch;

/// 2200-01-01, in Unix milliseconds. The server counts nanoseconds in 64 bits, so later times would
/// overflow.
const LATEST_TIME: u64 = 7_258_118_400_000;

/// Opens a prefetch at a start, and returns its first sequence. Tries again after temporary errors, for
/// as long as an answer may take.
pub(crate) async fn place(
    handle: &Handle,
    slot: &Slot,
    stream: &str,
    start: Start,
    incarnation: Incarnation,
) -> Result<(Prefetch, u64), Failure> {
    let (policy, asked) = policy(start)?;
    let mut retry = Retry::new(handle.timeout());
    // A cluster may place the consumer on a server that is gone, which doesn't answer, and the next
    // one on another. A slow server gets more time at the next attempt.
    let mut limit = handle.timeout() / 4;
    loop {
        match place_once(handle, slot, stream, &policy, asked, incarnation, limit).await {
            Ok(placed) => return Ok(placed),
            Err(error) => {
                tracing::debug!(stream, %error, "creating a consumer for a reader failed, trying again");
                retry.after(error).await?;
            }
        }
        limit = (limit * 2).min(handle.timeout());
    }
}

async fn place_once(
    handle: &Handle,
    slot: &Slot,
    stream: &str,
    policy: &Value,
    asked: Option<u64>,
    incarnation: Incarnation,
    limit: Duration,
) -> Result<(Prefetch, u64), Failure> {
    let (prefetch, first) = Prefetch::open(handle, slot, stream, policy.clone(), limit).await?;
    // After the consumer is there: it stays with the stream on which it was made.
    let info = handle.stream_info(stream).await?;
    let next = asked.unwrap_or(first);
    info.check(incarnation, next)?;
    Ok((prefetch, next))
}

/// Returns where a consumer begins, in the server's terms, and the sequence that was requested.
fn policy(start: Start) -> Result<(Value, Option<u64>), Failure> {
    let at = |next: u64| {
        let policy = json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": next });
        (policy, Some(next))
    };
    Ok(match start {
        Start::Earliest => (json!({ "deliver_policy": "all" }), None),
        Start::Latest => (json!({ "deliver_policy": "new" }), None),
        // Sequences begin at 1.
        Start::At(position) => at(sequence(position)?.max(1)),
        Start::After(position) => at(sequence(position)?.saturating_add(1)),
        Start::Time(time) => {
            let time = wall_clock(time)?.to_string();
            (json!({ "deliver_policy": "by_start_time", "opt_start_time": time }), None)
        }
        other => {
            let reason = format!("a reader of this transport can't start at {other:?}");
            return Err(TransportErrorKind::Config { reason }.into());
        }
    })
}

fn wall_clock(time: Timestamp) -> Result<WallClock, Failure> {
    let ms = time.physical_ms().min(LATEST_TIME);
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    WallClock::from_millisecond(ms).map_err(|error| {
        let reason = format!("a reader can't start at the time {time}");
        Failure::new(TransportErrorKind::Config { reason }, error)
    })
}

/// Returns the sequence of a position.
pub(crate) fn sequence(position: Position) -> Result<u64, Failure> {
    match position.words() {
        [sequence, 0, 0] => Ok(sequence),
        _ => Err(TransportErrorKind::Config {
            reason: format!(
                "position {position} doesn't belong to a JetStream stream, whose positions are single numbers"
            ),
        }.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn position_0_is_the_first_sequence() {
        assert_eq!(policy(Start::At(Position::new(0))).unwrap().1, Some(1));
        assert_eq!(policy(Start::After(Position::new(0))).unwrap().1, Some(1));
        assert_eq!(policy(Start::At(Position::new(7))).unwrap().1, Some(7));
    }

    #[test]
    fn positions_of_other_transports_are_refused() {
        assert!(policy(Start::At(Position::MAX)).is_err());
        assert!(policy(Start::After(Position::from_words([1, 2, 0]))).is_err());
    }

    #[test]
    fn all_times_are_within_what_the_server_can_count() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let clock = wall_clock(time).unwrap();
            assert!(i64::try_from(clock.as_nanosecond()).is_ok(), "{clock}");
        }
    }
}
