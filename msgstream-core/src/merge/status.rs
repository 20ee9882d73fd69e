//! The status of a merge.

use std::fmt;
use std::sync::Arc;

use super::Merge;
use super::channel::Standing;
use crate::record::Position;
use crate::record::Timestamp;

/// What the merge of a [`Consumer`](crate::Consumer) has done so far.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::{Consumer, transport::TransportExt};
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # broker.create("orders").await?;
/// # let consumer = Consumer::builder(broker).channels(["orders"]).open().await?;
/// let counts = consumer.status().merge.counts;
/// assert_eq!((counts.packs, counts.late), (0, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeCounts {
    /// Packs that were formed, including empty ones.
    pub packs: u64,
    /// Messages in packs.
    pub delivered: u64,
    /// Late records whose pack was formed.
    pub late: u64,
    /// Late records that were dropped.
    pub dropped_late: u64,
    /// Records from before their channel joined, which are in no pack.
    pub before_join: u64,
    /// Records of earlier packs that were read again after a resume.
    pub replayed: u64,
    /// Ticks that repeated or went back, which has no effect.
    pub repeated_ticks: u64,
    /// Ticks that were ignored on request.
    pub ignored_ticks: u64,
    /// Records after their channel's end, which are in no pack.
    pub after_end: u64,
    /// Records of sessions that were dropped as duplicates.
    pub duplicates: u64,
    /// Records of sessions that were dropped because an earlier one was missing; they come again.
    pub gaps: u64,
    /// Records of sessions that were dropped because their epoch isn't the newest.
    pub fenced: u64,
    /// Control records of sessions.
    pub control: u64,
    /// Messages that their producer knows to be stored and that were not in the channel: the broker
    /// lost them, or deleted them before the channel was read.
    pub missing: u64,
    /// Times that a channel became idle.
    pub idled: u64,
    /// Times that an idle channel continued.
    pub rejoined: u64,
    /// Times that a channel's records were evicted for lack of memory, to be read again.
    pub evictions: u64,
    /// How many of them went back to before a tick: to messages that stand before it and are after
    /// the next pack.
    pub evicted_before_ticks: u64,
    /// Times that one interval alone exceeded the budget.
    pub refused_windows: u64,
    /// Times that a channel was paused because it was too far ahead.
    pub paused: u64,
}

/// The state of a channel in a [`MergeStatus`].
///
/// ```
/// # use msgstream_core::merge::ChannelState;
/// assert_eq!(ChannelState::Blocking.to_string(), "blocking");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// The next pack waits for a tick on it.
    Blocking,
    /// It is ahead of the next pack.
    Ahead,
    /// It is ahead, and is not read until packs are formed.
    Paused,
    /// It is silent, and packs continue without it.
    Idle,
    /// Its end was read.
    Ended,
}

impl fmt::Display for ChannelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocking => "blocking",
            Self::Ahead => "ahead",
            Self::Paused => "paused",
            Self::Idle => "idle",
            Self::Ended => "ended",
        })
    }
}

/// The status of one channel in a [`MergeStatus`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::{Consumer, transport::TransportExt};
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # broker.create("orders").await?;
/// # let consumer = Consumer::builder(broker).channels(["orders"]).open().await?;
/// let status = consumer.status();
/// let channel = &status.merge.channels[0];
/// assert_eq!((&*channel.channel, channel.watermark), ("orders", None));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// The channel.
    pub channel: Arc<str>,
    /// Its state.
    pub state: ChannelState,
    /// Its greatest tick, `None` before the first.
    pub watermark: Option<Timestamp>,
    /// How far its watermark is behind the greatest watermark of all channels, in ms; `None` before
    /// its first tick.
    pub lag_ms: Option<u64>,
    /// Messages that are read and in no pack yet.
    pub buffered: usize,
    /// Their size, in bytes.
    pub bytes: usize,
    /// Where a consumer that resumed now would continue reading; `None` before the first pack.
    pub resume: Option<Position>,
    /// Where reading continues.
    pub next: Option<Position>,
    /// How many producers with sessions are remembered.
    pub producers: usize,
}

/// The status of the merge of a [`Consumer`](crate::Consumer). It is displayed as one line for the
/// merge and one for each channel.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::{Consumer, transport::TransportExt};
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # broker.create("orders").await?;
/// # let consumer = Consumer::builder(broker).channels(["orders"]).open().await?;
/// let status = consumer.status().merge;
/// assert_eq!(status.blocking().count(), 1, "the first pack waits for a tick on `orders`");
/// println!("{status}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeStatus {
    /// The end of the last pack.
    pub frontier: Option<Timestamp>,
    /// The end of the next one, as far as it is known.
    pub next_end: Option<Timestamp>,
    /// The memory budget, in bytes.
    pub budget: usize,
    /// The buffered bytes.
    pub bytes: usize,
    /// What the merge has done so far.
    pub counts: MergeCounts,
    /// The channels, by name.
    pub channels: Vec<ChannelStatus>,
}

impl MergeStatus {
    /// Returns the channels that the next pack waits for.
    pub fn blocking(&self) -> impl Iterator<Item = &ChannelStatus> {
        self.channels.iter().filter(|c| c.state == ChannelState::Blocking)
    }
}

struct OrDash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for MergeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frontier {}, next pack ends at {}, {} of {} bytes buffered, {} packs, {} messages",
            OrDash(self.frontier),
            OrDash(self.next_end),
            self.bytes,
            self.budget,
            self.counts.packs,
            self.counts.delivered,
        )?;
        for c in &self.channels {
            write!(
                f,
                "\n{}: {}, watermark {}, lag {} ms, {} messages, {} bytes, resumes at {}",
                c.channel,
                c.state,
                OrDash(c.watermark),
                OrDash(c.lag_ms),
                c.buffered,
                c.bytes,
                OrDash(c.resume),
            )?;
        }
        Ok(())
    }
}

impl Merge {
    /// Returns what the merge has done so far.
    #[must_use]
    pub const fn counts(&self) -> &MergeCounts {
        &self.counts
    }

    /// Returns what the merge is doing. Costs O(channels).
    #[must_use]
    pub fn status(&self) -> MergeStatus {
        let furthest = self.greatest_watermark();
        let mut channels: Vec<_> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, c)| Some((super::Slot(slot), c.as_ref()?)))
            .map(|(slot, c)| ChannelStatus {
                channel: c.name.clone(),
                state: match c.standing {
                    Standing::Idle => ChannelState::Idle,
                    Standing::Ended => ChannelState::Ended,
                    Standing::Active if self.blocks_next(c) => ChannelState::Blocking,
                    Standing::Active if c.granted == 0 && self.wants(slot) == 0 => {
                        ChannelState::Paused
                    }
                    Standing::Active => ChannelState::Ahead,
                },
                watermark: c.watermark,
                lag_ms: c.watermark.zip(furthest).map(|(f, g)| g.physical_ms() - f.physical_ms()),
                buffered: c.chunks.live(),
                bytes: c.used(),
                resume: self.end.channels.get(&c.name).map(|mark| mark.resume),
                next: c.next,
                producers: c.dedup.producers(),
            })
            .collect();
        channels.sort_by(|a, b| a.channel.cmp(&b.channel));
        MergeStatus {
            frontier: self.end.frontier,
            next_end: self.next_end(),
            budget: self.config.budget_bytes,
            bytes: channels.iter().map(|c| c.bytes).sum(),
            counts: self.counts,
            channels,
        }
    }
}
