//! Readers that are measured.

use async_trait::async_trait;
use metrics::Counter;
use msgstream_core::delegate;
use msgstream_core::transport::{ChannelReader, Limit, ReadBatch, Result, Start};
use tokio::time::Instant;
use tracing::Instrument;

use crate::attribute::{CAUGHT_UP, MESSAGE_COUNT};
use crate::metric::{CONSUMED, CONSUMED_SIZE, READS};
use crate::operation::{Instruments, Operation, Place};

#[derive(Debug)]
pub(super) struct ObservedReader {
    inner: Box<dyn ChannelReader>,
    receive: Instruments,
    seek: Instruments,
    consumed: Counter,
    size: Counter,
    caught_up: Counter,
    behind: Counter,
}

impl ObservedReader {
    pub(super) fn new(inner: Box<dyn ChannelReader>, place: &Place) -> Self {
        let receive = Instruments::new(place.clone(), Operation::Receive);
        Self {
            inner,
            seek: Instruments::new(place.clone(), Operation::Other("seek")),
            consumed: receive.counter(CONSUMED, None),
            size: receive.counter(CONSUMED_SIZE, None),
            caught_up: receive.counter(READS, Some((CAUGHT_UP, "true"))),
            behind: receive.counter(READS, Some((CAUGHT_UP, "false"))),
            receive,
        }
    }

    fn count(&self, batch: &ReadBatch, begin: Instant) {
        let reads = if batch.caught_up { &self.caught_up } else { &self.behind };
        reads.increment(1);
        if batch.records.is_empty() {
            // It waited in vain, which says nothing about the broker.
            return;
        }
        self.consumed.increment(batch.records.len() as u64);
        self.size.increment(batch.records.iter().map(|record| record.payload.len() as u64).sum());
        self.receive.succeeded(begin);
    }
}

#[async_trait]
impl ChannelReader for ObservedReader {
    delegate!(self => self.inner, ChannelReader { incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let (begin, span) = (Instant::now(), self.receive.span());
        let result = self.inner.read(limit).instrument(span.clone()).await;
        match &result {
            Ok(batch) => {
                span.record(MESSAGE_COUNT, batch.records.len());
                self.count(batch, begin);
            }
            Err(error) => self.receive.failed(begin, &span, error),
        }
        result
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.seek.run(self.inner.seek(start)).await
    }
}
