//! One channel of a stream, and the reads that are on their way.

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep};

use super::super::open::Cursor;
use super::super::outage::Tries;
use super::super::polled::PolledClock;
use crate::merge::Slot;
use crate::record::{Position, Record};
use crate::transport::{ChannelReader, Limit, ReadBatch, Result, Start};

/// One channel of a stream.
#[derive(Debug)]
pub(super) struct Input {
    /// Tells reads of this channel from those of an earlier one in the same slot.
    pub(super) generation: u64,
    /// The reader, unless a read in flight has it.
    pub(super) reader: Option<Box<dyn ChannelReader>>,
    pub(super) tries: Tries,
    pub(super) cursor: Cursor,
    /// How far the cursor was moved.
    pub(super) acked: Option<Position>,
    /// Where the reader must go before it reads: its records were given up.
    pub(super) back_to: Option<Position>,
    /// What the read in flight brings was given up.
    pub(super) discard: bool,
    /// What the merge refused, and where reading goes on after it.
    pub(super) refused: Option<(Vec<Record>, Position)>,
    /// Since when the channel is caught up and silent, on the stream's clock.
    pub(super) silent_since: Option<Duration>,
    /// When the channel last brought a record, or was added.
    pub(super) heard: Instant,
}

/// A read that is done.
pub(super) struct Done {
    pub(super) slot: Slot,
    pub(super) generation: u64,
    pub(super) reader: Box<dyn ChannelReader>,
    /// Where the reader should have gone first, and didn't.
    pub(super) back_to: Option<Position>,
    pub(super) batch: Result<ReadBatch>,
}

/// What there is to wait for.
pub(super) enum Event {
    Read(Done),
    /// A channel that failed may be tried again.
    Rested {
        slot: Slot,
        generation: u64,
    },
}

/// Reads in flight. Each owns its reader, so that a dropped [`Reads::next`] drops no read; only
/// those that were woken are polled, in the order in which they were. Beside them the pauses of
/// channels that failed, whose readers stay where they are.
#[derive(Default)]
pub(super) struct Reads {
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    in_flight: usize,
    clock: PolledClock,
}

impl Reads {
    pub(super) fn start(
        &mut self,
        slot: Slot,
        generation: u64,
        mut reader: Box<dyn ChannelReader>,
        mut back_to: Option<Position>,
        limit: Limit,
    ) {
        let read = async move {
            let batch = async {
                if let Some(position) = back_to {
                    reader.seek(Start::After(position)).await?;
                    back_to = None;
                }
                reader.read(limit).await
            }
            .await;
            Event::Read(Done { slot, generation, reader, back_to, batch })
        };
        self.in_flight += 1;
        self.events.push(read.boxed());
    }

    pub(super) fn rest(&mut self, slot: Slot, generation: u64, pause: Duration) {
        let rest = sleep(pause).map(move |()| Event::Rested { slot, generation });
        self.events.push(rest.boxed());
    }

    pub(super) async fn next(&mut self) -> Option<Event> {
        let _running = self.clock.run();
        let event = self.events.next().await?;
        self.in_flight -= usize::from(matches!(event, Event::Read(_)));
        Some(event)
    }

    /// How long reads and pauses were waited for: a clock that stands still while nobody polls.
    pub(super) const fn polled(&self) -> Duration {
        self.clock.now()
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
