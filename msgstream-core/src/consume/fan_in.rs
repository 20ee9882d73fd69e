//! Reads many channels concurrently.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

use super::polled::PolledClock;
use crate::transport::{ChannelReader, Limit, ReadBatch, Result};

/// Reads many channels in turn, each in its own order.
///
/// A read in progress owns its reader, so dropping [`FanIn::next`] drops no read. Only reads that
/// were woken are polled, in the order in which they were; a channel that returned a batch goes to
/// the end of the queue.
pub(super) struct FanIn {
    reads: FuturesUnordered<Abortable<BoxFuture<'static, Read>>>,
    handles: HashMap<Arc<str>, AbortHandle>,
    limit: Limit,
    clock: PolledClock,
}

/// A read that is done.
pub(super) struct Read {
    pub(super) channel: Arc<str>,
    pub(super) reader: Box<dyn ChannelReader>,
    pub(super) batch: Result<ReadBatch>,
}

impl FanIn {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            reads: FuturesUnordered::new(),
            handles: HashMap::new(),
            limit,
            clock: PolledClock::default(),
        }
    }

    /// Reads a channel after a pause. An earlier reader of it is dropped.
    pub(super) fn read(
        &mut self,
        channel: Arc<str>,
        mut reader: Box<dyn ChannelReader>,
        pause: Duration,
    ) {
        let limit = self.limit;
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(earlier) = self.handles.insert(channel.clone(), handle) {
            earlier.abort();
        }
        let read = async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let batch = reader.read(limit).await;
            Read { channel, reader, batch }
        };
        self.reads.push(Abortable::new(read.boxed(), registration));
    }

    /// Returns the next read that is done; `None` if no channel is left. The channel isn't read
    /// further until [`FanIn::read`] is called again.
    pub(super) async fn next(&mut self) -> Option<Read> {
        let _running = self.clock.run();
        loop {
            // An aborted read was replaced.
            if let Ok(read) = self.reads.next().await? {
                return Some(read);
            }
        }
    }

    /// Returns for how long reads were polled so far.
    pub(super) const fn polled(&self) -> Duration {
        self.clock.now()
    }
}

impl fmt::Debug for FanIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanIn").field("channels", &self.handles.keys()).finish_non_exhaustive()
    }
}
