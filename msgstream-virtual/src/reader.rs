//! Reading a virtual channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use msgstream_core::record::Incarnation;
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportError, TransportErrorKind,
};
use tokio::sync::Notify;
use tokio::task::coop;

use crate::hub::{Hub, Place};
use crate::view::View;

#[derive(Debug)]
pub(crate) struct VirtualReader {
    hub: Arc<Hub>,
    view: Arc<View>,
    queued: Arc<Notify>,
    place: Place,
    closed: Arc<AtomicBool>,
}

impl VirtualReader {
    pub(crate) async fn open(
        hub: Arc<Hub>,
        view: View,
        start: Start,
        closed: Arc<AtomicBool>,
    ) -> Result<Self> {
        let place = Place::Alone(hub.resolve(start).await?);
        Ok(Self { hub, view: Arc::new(view), queued: Arc::default(), place, closed })
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(TransportError::new(operation, TransportErrorKind::Closed)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ChannelReader for VirtualReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        // What is in the queue needs no waiting: lets others run.
        coop::consume_budget().await;
        let read = match self.check_open("read") {
            Ok(()) => self.hub.read(&self.view, &self.queued, &mut self.place, limit).await,
            Err(error) => Err(error),
        };
        read.map_err(|error| error.on(&*self.view.vchannel))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let resolved = match self.check_open("seek") {
            Ok(()) => self.hub.resolve(start).await,
            Err(error) => Err(error),
        };
        let at = resolved.map_err(|error| error.on(&*self.view.vchannel))?;
        self.place = Place::Alone(at);
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.hub.incarnation
    }
}
