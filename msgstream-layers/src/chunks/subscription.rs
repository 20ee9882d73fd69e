//! Cursors that don't pass the first parts of messages that end later.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::transport::{Result, Start, Subscription, Transport};
use tokio::sync::Mutex;

use super::scan::Scan;

/// A subscription of a broker that removes what all have acknowledged. It is moved at most to the first
/// part of a message whose last part is after what is acknowledged, so everything acknowledged is read
/// once more.
#[derive(Debug)]
pub(super) struct HeldBack {
    inner: Arc<dyn Subscription>,
    transport: Arc<dyn Transport>,
    channel: Box<str>,
    abandoned_after: Duration,
    /// `None` before the first acknowledgement.
    scan: Mutex<Option<Scan>>,
}

impl HeldBack {
    pub(super) fn new(
        inner: Arc<dyn Subscription>,
        transport: Arc<dyn Transport>,
        channel: &str,
        abandoned_after: Duration,
    ) -> Self {
        Self { inner, transport, channel: channel.into(), abandoned_after, scan: Mutex::default() }
    }
}

#[async_trait]
impl Subscription for HeldBack {
    delegate!(self => self.inner, Subscription { acked });

    async fn ack(&self, before: Position) -> Result<()> {
        let mut scan = self.scan.lock().await;
        let scan = match &mut *scan {
            Some(scan) => scan,
            none => {
                let start = self.inner.acked().await?.map_or(Start::Earliest, Start::At);
                none.insert(Scan::open(self.transport.clone(), &self.channel, start).await?)
            }
        };
        // An earlier position has no effect.
        if scan.is_beyond(before) {
            return Ok(());
        }
        let safe = scan.up_to(before, self.abandoned_after).await?;
        self.inner.ack(safe).await
    }
}
