//! Durable cursors.

use async_trait::async_trait;
use msgstream_core::record::Position;
use msgstream_core::transport::{Result, Subscription};

use crate::client::{Attached, lock};

/// A cursor, kept with its channel.
#[derive(Debug)]
pub(crate) struct MemSubscription {
    at: Attached,
    name: String,
}

impl MemSubscription {
    pub(crate) fn new(at: Attached, name: &str) -> Self {
        lock(&at.channel.cursors).entry(name.to_owned()).or_default();
        Self { at, name: name.to_owned() }
    }
}

#[async_trait]
impl Subscription for MemSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        let valid = self.at.with_log(|log| log.offset(before));
        valid.map_err(|kind| self.at.error("ack", kind))?;
        let mut cursors = lock(&self.at.channel.cursors);
        let cursor = cursors.entry(self.name.clone()).or_default();
        *cursor = (*cursor).max(Some(before));
        Ok(())
    }

    async fn acked(&self) -> Result<Option<Position>> {
        let open = self.at.with_log(|_| Ok(()));
        open.map_err(|kind| self.at.error("acked", kind))?;
        Ok(lock(&self.at.channel.cursors).get(&self.name).copied().flatten())
    }
}
