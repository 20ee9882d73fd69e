//! What a consumer looked like at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use msgstream::consume::ChannelState;
use msgstream::consume::ConsumerStatus;
use msgstream::{MsgPack, Timestamp};

/// What is drawn of a consumer, taken at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// How long the command has run.
    pub(crate) at: Duration,
    /// The clock.
    pub(crate) now: Timestamp,
    /// The end of the last pack.
    pub(crate) frontier: Option<Timestamp>,
    pub(crate) packs: u64,
    pub(crate) late: u64,
    pub(crate) bytes: usize,
    pub(crate) budget: usize,
    pub(crate) channels: Vec<Channel>,
    /// Why packs can't be formed or records can't be read.
    pub(crate) trouble: Option<String>,
}

/// A channel at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) state: State,
    /// Its greatest tick.
    pub(crate) watermark: Option<Timestamp>,
    /// How far that is behind the greatest of all channels.
    pub(crate) lag: Option<Duration>,
    pub(crate) bytes: usize,
    /// How many messages were read so far.
    pub(crate) read: u64,
}

/// What a channel does, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It can't be read.
    Failing,
    /// The next pack waits for a tick on it.
    Blocking,
    /// It isn't read, because it is too far ahead.
    Paused,
    Ahead,
    Idle,
    Ended,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Blocking => "blocking",
            Self::Paused => "paused",
            Self::Ahead => "ahead",
            Self::Idle => "idle",
            Self::Ended => "ended",
        }
    }
}

impl From<ChannelState> for State {
    fn from(state: ChannelState) -> Self {
        match state {
            ChannelState::Blocking => Self::Blocking,
            ChannelState::Paused => Self::Paused,
            ChannelState::Idle => Self::Idle,
            ChannelState::Ended => Self::Ended,
            _ => Self::Ahead,
        }
    }
}

/// How many messages of each channel were in packs.
#[derive(Debug, Default)]
pub(crate) struct Delivered(BTreeMap<String, u64>);

impl Delivered {
    /// Counts the messages of a pack.
    pub(crate) fn add(&mut self, pack: &MsgPack) {
        for msg in &pack.msgs {
            let Some(stored) = msg.stored() else { continue };
            match self.0.get_mut(&*stored.channel) {
                Some(count) => *count += 1,
                None => drop(self.0.insert(stored.channel.to_string(), 1)),
            }
        }
    }
}

impl Sample {
    /// Takes a sample of a consumer. The trouble is its last error.
    pub(crate) fn of(
        status: &ConsumerStatus,
        delivered: &Delivered,
        at: Duration,
        now: Timestamp,
        trouble: Option<String>,
    ) -> Self {
        let outage = |name: &str| status.outages.iter().find(|outage| *outage.channel == *name);
        let channels = status.merge.channels.iter().map(|channel| {
            let name = &*channel.channel;
            Channel {
                name: name.to_owned(),
                state: outage(name).map_or(channel.state.into(), |_| State::Failing),
                watermark: channel.watermark,
                lag: channel.lag_ms.map(Duration::from_millis),
                bytes: channel.bytes,
                read: delivered.0.get(name).copied().unwrap_or_default() + channel.buffered as u64,
            }
        });
        let outage = status.outages.first().map(ToString::to_string);
        Self {
            at,
            now,
            frontier: status.merge.frontier,
            packs: status.merge.counts.packs,
            late: status.merge.counts.late,
            bytes: status.merge.bytes,
            budget: status.merge.budget,
            channels: channels.collect(),
            trouble: trouble.or(outage),
        }
    }
}
