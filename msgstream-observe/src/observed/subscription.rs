//! Subscriptions that are measured.

use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::record::Position;
use msgstream_core::transport::{Result, Subscription};

use crate::operation::{Instruments, Operation, Place};

#[derive(Debug)]
pub(super) struct ObservedSubscription {
    inner: Arc<dyn Subscription>,
    ack: Instruments,
    acked: Instruments,
}

impl ObservedSubscription {
    pub(super) fn new(inner: Arc<dyn Subscription>, place: &Place) -> Self {
        Self {
            inner,
            ack: Instruments::new(place.clone(), Operation::Ack),
            acked: Instruments::new(place.clone(), Operation::Other("acked")),
        }
    }
}

#[async_trait]
impl Subscription for ObservedSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        self.ack.run(self.inner.ack(before)).await
    }

    async fn acked(&self) -> Result<Option<Position>> {
        self.acked.run(self.inner.acked()).await
    }
}
