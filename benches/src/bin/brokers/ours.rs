//! Our side: a transport, as the stream uses it.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Limit, Outcome, Start, Transport, TransportError,
    TransportExt as _,
};

use crate::load::{Found, Load};
use crate::side::{Result, Side, Work, for_each};

/// Records that are handed over together: what one interval has for a channel, say.
const BATCH: u64 = 100;

pub(crate) struct Ours(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl Side for Ours {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        let mut writers = Vec::new();
        for channel in &load.channels {
            writers.push(self.0.writer(channel).await?);
        }
        Ok(Box::new(Publish { load: Arc::clone(load), writers }))
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        let mut readers = Vec::new();
        for channel in &load.channels {
            readers.push(self.0.reader(channel, Start::Earliest).await?);
        }
        Ok(Box::new(Read { load: Arc::clone(load), readers }))
    }
}

struct Publish {
    load: Arc<Load>,
    writers: Vec<Box<dyn ChannelWriter>>,
}

#[async_trait]
impl Work<()> for Publish {
    async fn run(&mut self) -> Result<()> {
        let writing = self.writers.drain(..).map(|writer| write(Arc::clone(&self.load), writer));
        self.writers = for_each(writing).await?;
        Ok(())
    }
}

async fn write(
    load: Arc<Load>,
    mut writer: Box<dyn ChannelWriter>,
) -> Result<Box<dyn ChannelWriter>> {
    let mut receipts = VecDeque::new();
    let mut next = 0;
    while next < load.messages {
        writer.ready().await?;
        let batch = next..load.messages.min(next + BATCH);
        next = batch.end;
        let records: Vec<_> = batch.map(|n| load.message(n).into_record()).collect();
        writer.check(&records)?;
        receipts.push_back(writer.submit(records));
        while let Some(outcome) = receipts.front_mut().and_then(|receipt| receipt.now_or_never()) {
            receipts.pop_front();
            stored(outcome)?;
        }
    }
    for receipt in receipts {
        stored(receipt.await)?;
    }
    Ok(writer)
}

fn stored(outcome: Outcome) -> Result<(), TransportError> {
    outcome.rest.map_or(Ok(()), |rest| Err(rest.error))
}

struct Read {
    load: Arc<Load>,
    readers: Vec<Box<dyn ChannelReader>>,
}

#[async_trait]
impl Work<Found> for Read {
    async fn run(&mut self) -> Result<Found> {
        let messages = self.load.messages;
        let reading = self.readers.drain(..).map(|reader| read(messages, reader));
        let (readers, found): (Vec<_>, Vec<_>) = for_each(reading).await?.into_iter().unzip();
        self.readers = readers;
        Ok(Found::sum(found))
    }
}

async fn read(
    messages: u64,
    mut reader: Box<dyn ChannelReader>,
) -> Result<(Box<dyn ChannelReader>, Found)> {
    let mut found = Found::default();
    while found.messages < messages {
        for record in reader.read(Limit::default()).await?.records {
            found.add(record.meta.timestamp.0, &record.payload)?;
        }
    }
    Ok((reader, found))
}
