//! Reading.

use std::pin::pin;

use async_trait::async_trait;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportErrorKind,
};
use tokio::task::coop;
use tokio::time::timeout;

use crate::client::Attached;

/// Reads from an offset on. It holds no records between calls.
#[derive(Debug)]
pub(crate) struct MemReader {
    at: Attached,
    next: u64,
}

impl MemReader {
    pub(crate) const fn new(at: Attached, next: u64) -> Self {
        Self { at, next }
    }

    /// Returns what is there now, `None` if that is nothing.
    fn take(&mut self, limit: Limit) -> Result<Option<ReadBatch>, TransportErrorKind> {
        let slice = self.at.with_log(|log| log.slice(self.next, limit))?;
        if slice.is_empty() {
            return Ok(None);
        }
        let batch = slice.read(limit);
        self.next = batch.next.offset();
        Ok(Some(batch))
    }

    /// Waits for the first batch.
    async fn wait(&mut self, limit: Limit) -> Result<ReadBatch, TransportErrorKind> {
        let at = self.at.clone();
        loop {
            // It hears of everything from here on, so nothing slips in between look and wait.
            let changed = pin!(at.channel.changed.notified());
            if let Some(batch) = self.take(limit)? {
                return Ok(batch);
            }
            changed.await;
        }
    }

    async fn take_or_wait(&mut self, limit: Limit) -> Result<ReadBatch, TransportErrorKind> {
        if let Some(batch) = self.take(limit)? {
            return Ok(batch);
        }
        if !limit.wait.is_zero()
            && let Ok(result) = timeout(limit.wait, self.wait(limit)).await
        {
            return result;
        }
        Ok(ReadBatch::new(Vec::new(), Position::new(self.next), true))
    }
}

#[async_trait]
impl ChannelReader for MemReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        self.take_or_wait(limit).await.map_err(|kind| self.at.error("read", kind))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let next = self.at.with_log(|log| log.resolve(start));
        self.next = next.map_err(|kind| self.at.error("seek", kind))?;
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.at.channel.incarnation
    }
}
