//! The channels of a consumer, and the reads in flight.

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

/// One channel of a consumer.
#[derive(Debug)]
pub(super) struct Input {
    /// Distinguishes reads of this channel from those of an earlier one in the same slot.
    pub(super) generation: u64,
    /// The reader, unless a read in flight has it.
    pub(super) reader: Option<Box<dyn ChannelReader>>,
    pub(super) tries: Tries,
    pub(super) cursor: Cursor,
    /// Where the cursor was moved to.
    pub(super) acked: Option<Position>,
    /// Where the reader must seek before it reads: its buffered records were evicted.
    pub(super) back_to: Option<Start>,
    /// The records of the read in flight are evicted.
    pub(super) discard: bool,
    /// The records that the merge refused, and where reading continues after them.
    pub(super) refused: Option<(Vec<Record>, Position)>,
    /// Since when the channel is caught up and silent, on the clock of [`Reads::polled`].
    pub(super) silent_since: Option<Duration>,
    /// When the channel last had a record, or was added.
    pub(super) heard: Instant,
}

/// A read that is done.
pub(super) struct Done {
    pub(super) slot: Slot,
    pub(super) generation: u64,
    pub(super) reader: Box<dyn ChannelReader>,
    /// Where the reader should have sought first, if that failed.
    pub(super) back_to: Option<Start>,
    pub(super) batch: Result<ReadBatch>,
}

/// What [`Reads::next`] waits for.
pub(super) enum Event {
    Read(Done),
    /// The pause of a channel that failed is over.
    Rested {
        slot: Slot,
        generation: u64,
    },
}

/// The reads in flight, and the pauses of channels that failed. A read owns its reader, so dropping
/// [`Reads::next`] drops no read. Only reads that were woken are polled, in the order in which they
/// were.
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
        mut back_to: Option<Start>,
        limit: Limit,
    ) {
        let read = async move {
            let batch = async {
                if let Some(start) = back_to {
                    reader.seek(start).await?;
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

    /// Returns for how long reads and pauses were awaited. This clock stands still while nobody
    /// polls.
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
