//! One channel of a stream, and the reads that are on their way.

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::stream::open::Cursor;
use crate::timetick::merge::Slot;
use crate::transport::{ChannelReader, Limit, Position, ReadBatch, Record, Result, Start};

/// One channel of a stream.
#[derive(Debug)]
pub(super) struct Input {
    /// Tells reads of this channel from those of an earlier one in the same slot.
    pub(super) generation: u64,
    /// The reader, unless a read in flight has it.
    pub(super) reader: Option<Box<dyn ChannelReader>>,
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

/// Reads in flight. Each owns its reader, so that a dropped [`Reads::next`] drops no read; only
/// those that were woken are polled, in the order in which they were.
#[derive(Default)]
pub(super) struct Reads {
    reads: FuturesUnordered<BoxFuture<'static, Done>>,
    /// How long reads were waited for: a clock that stands still while nobody polls.
    polled: Duration,
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
            Done { slot, generation, reader, back_to, batch }
        };
        self.reads.push(read.boxed());
    }

    pub(super) async fn next(&mut self) -> Option<Done> {
        let _clock = Clock { since: Instant::now(), polled: &mut self.polled };
        self.reads.next().await
    }

    pub(super) const fn polled(&self) -> Duration {
        self.polled
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }
}

/// Counts the time until it is dropped, also where the wait was cancelled.
struct Clock<'a> {
    since: Instant,
    polled: &'a mut Duration,
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        *self.polled += self.since.elapsed();
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads").field("in_flight", &self.reads.len()).finish_non_exhaustive()
    }
}
