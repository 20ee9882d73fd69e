//! What a merge is doing, as a value.

use std::fmt;
use std::sync::Arc;

use super::Merge;
use super::channel::Standing;
use crate::record::Position;
use crate::record::Timestamp;

/// What a [`Merge`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeCounts {
    /// Packs formed, empty ones included.
    pub packs: u64,
    /// Messages in packs.
    pub delivered: u64,
    /// Records that came after a tick had promised that they wouldn't, and whose pack was formed.
    pub late: u64,
    /// Late records that were left out.
    pub dropped_late: u64,
    /// Records from before their channel joined, left out.
    pub before_join: u64,
    /// Records read again after a resume, which earlier packs hold.
    pub replayed: u64,
    /// Ticks that repeated or went back, which is harmless.
    pub repeated_ticks: u64,
    /// Ticks left out on request.
    pub ignored_ticks: u64,
    /// Records after their channel's end, left out.
    pub after_end: u64,
    /// Records of sessions that were there already, left out.
    pub duplicates: u64,
    /// Records of sessions that came before an earlier one, left out; they come again after it.
    pub gaps: u64,
    /// Records of sessions from an epoch that isn't the newest, left out.
    pub fenced: u64,
    /// Control records of sessions.
    pub control: u64,
    /// Messages that their producer knows to be stored and that were not in the channel: lost by
    /// the broker, or gone before the channel was read.
    pub missing: u64,
    /// Times that a channel became idle.
    pub idled: u64,
    /// Times that an idle channel came back.
    pub rejoined: u64,
    /// Times that a channel's records were given up for want of memory, to be read again.
    pub evictions: u64,
    /// Times that one interval alone exceeded the budget.
    pub refused_windows: u64,
    /// Times that a channel was ahead and got no more to read.
    pub paused: u64,
}

/// What a channel of a [`Merge`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// The next pack waits for its tick.
    Blocking,
    /// It is ahead of the next pack.
    Ahead,
    /// It is ahead, and holds all that it may until packs are formed.
    Paused,
    /// It is silent, and packs go on without it.
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

/// One channel of a [`MergeStatus`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// The channel.
    pub channel: Arc<str>,
    /// What it is doing.
    pub state: ChannelState,
    /// Its greatest tick, `None` before the first.
    pub watermark: Option<Timestamp>,
    /// How far its greatest tick is behind that of the channel that is furthest, in ms; `None`
    /// before its first tick.
    pub lag_ms: Option<u64>,
    /// Messages that are read and not handed out.
    pub buffered: usize,
    /// What they cost, in bytes.
    pub bytes: usize,
    /// Where a stream that resumed now would read on; `None` before the first pack.
    pub resume: Option<Position>,
    /// Where reading goes on.
    pub next: Option<Position>,
    /// How many producers with sessions are remembered.
    pub producers: usize,
}

/// What a [`Merge`] is doing. Printed, it is a line for the merge and one for each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeStatus {
    /// The end of the last pack.
    pub frontier: Option<Timestamp>,
    /// The end of the next one, as far as is known.
    pub next_end: Option<Timestamp>,
    /// The memory budget, in bytes.
    pub budget: usize,
    /// What is buffered, in bytes.
    pub bytes: usize,
    /// What was done so far.
    pub counts: MergeCounts,
    /// The channels, by name.
    pub channels: Vec<ChannelStatus>,
}

impl MergeStatus {
    /// The channels that the next pack waits for.
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
            "frontier {} next {} buffered {} of {} bytes, {} packs, {} messages",
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
                "\n{}: {}, watermark {}, lag {} ms, {} messages, {} bytes, resume {}",
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
    /// What the merge has done so far.
    #[must_use]
    pub const fn counts(&self) -> &MergeCounts {
        &self.counts
    }

    /// What the merge is doing. Costs O(channels).
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
