//! What it costs to open a producer on a part of a long channel.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, ReaderOptions, Result, Transport, TransportExt as _,
};
use msgstream_core::{Producer, delegate};
use msgstream_mem::MemTransport;
use msgstream_virtual::{Placement, Virtual};

/// Counts the records that are read of a broker.
#[derive(Clone, Debug)]
struct Counted<T> {
    inner: T,
    records: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for Counted<Arc<MemTransport>> {
    delegate!(self => self.inner, Transport {
        capabilities, create_with, delete, trim, list, describe, writer, subscription, unsubscribe,
        subscriptions, risks, encode_position, decode_position, close,
    });

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.inner.reader_with(channel, options).await?;
        Ok(Box::new(Counted { inner, records: Arc::clone(&self.records) }))
    }
}

#[async_trait]
impl ChannelReader for Counted<Box<dyn ChannelReader>> {
    delegate!(self => self.inner, ChannelReader { seek, incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let batch = self.inner.read(limit).await?;
        self.records.fetch_add(batch.records.len(), Ordering::Relaxed);
        Ok(batch)
    }
}

#[tokio::test]
async fn a_part_of_a_long_channel_opens_without_reading_all_of_it() {
    let inner = Arc::new(MemTransport::new(Default::default()));
    let broker = Counted { inner, records: Arc::default() };
    broker.create("log_0").await.unwrap();
    let channels: Arc<dyn Transport> =
        Arc::new(Virtual::over(Arc::new(broker.clone()), Placement::hash(1, "log")));
    let mut busy = channels.writer("busy").await.unwrap();
    for _ in 0..100 {
        busy.ready().await.unwrap();
        assert!(busy.submit(vec![Record::default(); 1_000]).await.rest.is_none());
    }
    for quiet in ["quiet", "quieter"] {
        broker.records.store(0, Ordering::Relaxed);
        let opened = Producer::builder(Arc::clone(&channels)).channels([quiet]).open();
        opened.await.unwrap().close().await.unwrap();
        let read = broker.records.load(Ordering::Relaxed);
        assert!((1..10_000).contains(&read), "{read} of 100,000 records were read");
    }
}
