//! A stream that one channel has stopped, for tests and for the picture in the README.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use msgstream::Timestamp;

use super::sample::{Channel, Sample, State};
use super::state::View;

/// How the rate of a channel changes from second to second, in tenths.
const SWING: [u64; 8] = [10, 11, 9, 12, 8, 6, 9, 13];

/// 2026-11-29T13:04:05Z.
const NOW: i64 = 1_795_957_445_000;

/// Returns a channel that stands so many milliseconds before the greatest watermark.
pub(super) fn channel(name: &str, state: State, lag: Option<u64>, read: u64) -> Channel {
    let at = lag.map(|lag| Timestamp::from_unix_millis(NOW - 400 - lag.cast_signed()).unwrap());
    Channel {
        name: name.to_owned(),
        state,
        watermark: at,
        lag: lag.map(Duration::from_millis),
        bytes: 0,
        read,
    }
}

/// Returns a sample after so many seconds.
pub(super) fn sample(second: u64, channels: Vec<Channel>) -> Sample {
    Sample {
        at: Duration::from_secs(second),
        now: Timestamp::from_unix_millis(NOW).unwrap(),
        frontier: Some(Timestamp::from_unix_millis(NOW - 42_400).unwrap()),
        packs: 18_204,
        late: 3,
        bytes: channels.iter().map(|channel| channel.bytes).sum(),
        budget: 64 << 20,
        channels,
        trouble: None,
    }
}

/// Returns what is shown of it after a minute.
pub(super) fn view() -> View {
    let mut view = View::new("kafka://broker-1:9092,broker-2:9092/shop.");
    for second in 0..=45 {
        let flows = |rate: u64, phase: u64| {
            (phase..phase + second).map(|at| rate * SWING[(at % 8) as usize] / 10).sum()
        };
        let stopped = second.min(3);
        let channels = vec![
            Channel {
                bytes: 5 << 20,
                ..channel("orders-0", State::Ahead, Some(120), flows(820, 0))
            },
            Channel { bytes: 6 << 20, ..channel("orders-1", State::Ahead, Some(0), flows(910, 3)) },
            Channel {
                bytes: 21 << 20,
                ..channel("orders-2", State::Paused, Some(8_300), 3_100 * second.min(32))
            },
            channel("orders-3", State::Blocking, Some(42_000), 790 * stopped),
            Channel {
                bytes: 310 << 10,
                ..channel("prices-eu", State::Ahead, Some(250), flows(14_000, 5))
            },
            Channel {
                bytes: 290 << 10,
                ..channel("prices-us", State::Ahead, Some(310), flows(11_500, 2))
            },
            channel("refunds", State::Idle, Some(1_260_000), 17),
            channel("orders-2025", State::Ended, Some(29_030_400_000), 90_412),
        ];
        view.update(sample(second, channels));
    }
    view
}
