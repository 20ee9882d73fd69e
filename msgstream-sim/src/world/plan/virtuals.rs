//! Channels that are parts of others.

use std::sync::{Arc, Mutex, PoisonError};

use msgstream_core::record::{Record, Stamp};
use msgstream_core::transport::Transport;
use msgstream_virtual::{Placement, Virtual, VirtualCounts};

use crate::Rng;

/// The channels of a world are virtual ones, on so many physical ones.
#[derive(Clone, Debug)]
pub(in super::super) struct Virtuals {
    physical: u64,
    hub_bytes: usize,
    queue_bytes: usize,
    /// All consumers are in one process, and have one handle.
    pub(super) shared: bool,
    /// Somebody writes ticks and messages that are for all channels.
    pub(in super::super) common: bool,
    /// The programs' handles.
    handles: Arc<Mutex<Vec<Arc<Virtual>>>>,
}

impl Virtuals {
    /// In one world of four, with queues so small that readers are let go, and join again or don't.
    pub(super) fn new(seed: u64, channels: usize) -> Option<Self> {
        let mut rng = Rng::new(seed ^ 0x71a7_0a15);
        let virtuals = Self {
            physical: rng.range(1..(channels as u64).max(2)),
            hub_bytes: [1_000, 8_000, 64_000][rng.index(3)],
            queue_bytes: rng.range(200..4_000) as usize,
            shared: rng.chance(0.5),
            common: rng.chance(0.5),
            handles: Arc::default(),
        };
        rng.chance(0.25).then_some(virtuals)
    }

    pub(super) fn over(&self, broker: Arc<dyn Transport>) -> Arc<dyn Transport> {
        let physical = self.physical;
        let channels = Virtual::over(broker, Placement::with(move |name| place(name, physical)))
            .with_hub_bytes(self.hub_bytes)
            .with_queue_bytes(self.queue_bytes);
        let channels = Arc::new(channels);
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(channels.clone());
        channels
    }

    /// The physical channel of a virtual one; `None` of a physical one.
    pub(super) fn physical(&self, channel: &str) -> Option<String> {
        place(channel, self.physical)
    }

    /// The physical channels.
    pub(in super::super) fn all(&self) -> Vec<String> {
        (0..self.physical).map(physical).collect()
    }

    /// What became of readers up to now.
    pub(in super::super) fn counts(&self) -> (u64, u64) {
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = handles.iter().map(|channels| channels.counts());
        counts.fold((0, 0), |(let_go, joined), counts: VirtualCounts| {
            (let_go + counts.let_go, joined + counts.joined)
        })
    }
}

fn physical(number: u64) -> String {
    format!("physical-{number}")
}

fn place(channel: &str, of: u64) -> Option<String> {
    let number: u64 = channel.strip_prefix("channel-")?.parse().ok()?;
    Some(physical(number % of))
}

/// A record of a physical channel as one of a virtual channel, if it is in there: what names no virtual
/// channel is in all of them, but for bases, which number what is written to the whole.
pub(super) fn own(mut record: Record, channel: &str) -> Option<Record> {
    let is_own = match record.meta.vchannel.take() {
        Some(of) => *of == *channel,
        None => !is_base(&record),
    };
    is_own.then_some(record)
}

fn is_base(record: &Record) -> bool {
    let control = record.header(Stamp::HEADER).filter(|_| record.meta.stamp.is_none());
    control.and_then(|text| text.split(|byte| *byte == b';').nth(2)) == Some(b"base")
}
