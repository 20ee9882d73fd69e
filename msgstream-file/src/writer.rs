//! Writing.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportErrorKind as Kind,
};

use crate::client::Attached;
use crate::format::record;
use crate::log::Batch;
use crate::queue::{Flight, Pending, Queue, State};

/// How many batches are in flight at most, however small they are.
const WINDOW: usize = 1_024;

/// The most that a record may take in a frame, in bytes, headers included.
const LARGEST: usize = 2 << 30;

/// Encodes batches, and leaves them to the channel's queue.
#[derive(Debug)]
pub(crate) struct FileWriter {
    at: Attached,
    queue: Arc<Queue>,
    state: Arc<State>,
    runtime: tokio::runtime::Handle,
    is_closed: bool,
}

impl FileWriter {
    /// Returns a writer. It must be called in a runtime.
    pub(crate) fn new(at: Attached, channel: &str) -> Self {
        let queue = at.handle.queue(&at.log);
        let runtime = tokio::runtime::Handle::current();
        Self { at, queue, state: State::new(channel), runtime, is_closed: false }
    }

    fn check_open(&self) -> Result<(), Failure> {
        self.at.handle.check_open()?;
        if self.is_closed {
            return Err(Kind::Closed.into());
        }
        match self.state.flight.borrow().poisoned {
            true => Err(Kind::Poisoned.into()),
            false => Ok(()),
        }
    }

    fn check_sizes(&self, records: &[Record]) -> Result<(), Failure> {
        let limit = self.at.handle.config.max_payload;
        let too_large = |record: &Record| {
            let (payload, whole) = (record.payload.len(), record::size(record));
            if payload > limit {
                Some(Kind::TooLarge { bytes: payload, limit })
            } else {
                (whole > LARGEST).then_some(Kind::TooLarge { bytes: whole, limit: LARGEST })
            }
        };
        records.iter().find_map(too_large).map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn hand_over(&self, records: &[Record]) -> Result<Receipt, Failure> {
        // First, so that closing the handle either is seen here or waits for this batch.
        let busy = self.at.handle.busy();
        self.check_open()?;
        self.check_sizes(records)?;
        if records.is_empty() {
            return Ok(Receipt::ready(Outcome::stored(Vec::new())));
        }
        let batch = Batch::new(records);
        let (sender, receipt) = Receipt::pending();
        let pending = Pending::new(batch, sender, Arc::clone(&self.state));
        self.queue.push(&self.at.handle, &self.runtime, pending, busy);
        Ok(receipt)
    }

    async fn wait_for_room(&self) -> Result<(), Failure> {
        let window = self.at.handle.config.window_bytes;
        let room =
            |flight: &Flight| flight.poisoned || (flight.batches < WINDOW && flight.bytes < window);
        // The sender is here, so this can't fail.
        let _ = self.state.flight.subscribe().wait_for(room).await;
        self.check_open()
    }
}

#[async_trait]
impl ChannelWriter for FileWriter {
    async fn ready(&mut self) -> Result<()> {
        let ready = match self.check_open() {
            Ok(()) => self.wait_for_room().await,
            failed => failed,
        };
        ready.map_err(|failure| self.at.error("ready", failure))
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        self.check_sizes(records).map_err(|failure| self.at.error("check", failure))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        self.hand_over(&records).unwrap_or_else(|failure| {
            self.state.poison();
            let error = self.at.error("submit", failure);
            Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.is_closed = true;
        let _ = self.state.flight.subscribe().wait_for(|flight| flight.batches == 0).await;
        Ok(())
    }
}
