//! Batches of single channels, without a merge: what a [`MsgStream`](crate::MsgStream) consumes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fan_in::{FanIn, Read};
use super::open::{Begin, Cursor, Opened, open};
use super::outage::{Outage, Tries, with_retries};
use crate::checkpoint::{Checkpoint, Mark};
use crate::error::{Error, Result};
use crate::message::{Message, MsgPack, StoredMessage};
use crate::record::{Incarnation, Position, is_end};
use crate::transport::{
    ChannelReader, Limit, ReadBatch, ReaderOptions, Start, Transport, TransportExt as _,
};

/// Reads packs from a fixed list of channels.
#[derive(Debug)]
pub(crate) struct Batches {
    reads: FanIn,
    channels: BTreeMap<Arc<str>, Channel>,
}

#[derive(Debug)]
struct Channel {
    cursor: Cursor,
    tries: Tries,
}

impl Batches {
    pub(crate) async fn open(
        transport: &dyn Transport,
        subscription: Option<&str>,
        retry_for: Duration,
        channels: &[&str],
        start: Start,
    ) -> Result<Self> {
        let channels = channels.iter().map(|channel| (*channel, Begin::CursorOr(start)));
        let mut consumer = Self { reads: FanIn::new(Limit::default()), channels: BTreeMap::new() };
        let opened = open(transport, subscription, retry_for, channels).await?;
        for Opened { channel, reader, cursor } in opened {
            consumer.channels.insert(channel.clone(), Channel { cursor, tries: Tries::new() });
            consumer.reads.read(channel, reader, Duration::ZERO);
        }
        Ok(consumer)
    }

    /// Returns the next batch of any channel; `None` once every channel has ended.
    pub(crate) async fn consume(&mut self, retry_for: Duration) -> Result<Option<MsgPack>> {
        loop {
            let Some(Read { channel, reader, batch }) = self.reads.next().await else {
                return Ok(None);
            };
            let Some(Channel { tries, .. }) = self.channels.get_mut(&channel) else { continue };
            match batch {
                Ok(batch) => {
                    tries.succeeded(&channel);
                    let incarnation = reader.incarnation();
                    if !batch.records.iter().any(is_end) {
                        self.reads.read(channel.clone(), reader, Duration::ZERO);
                    }
                    if !batch.records.is_empty() {
                        return Ok(Some(pack(&channel, incarnation, batch)));
                    }
                }
                // The reader keeps its place.
                Err(error) => {
                    let pause = tries.failed(&channel, error, self.reads.polled(), retry_for);
                    let wait = pause.as_ref().copied().unwrap_or_default();
                    self.reads.read(channel, reader, wait);
                    pause?;
                }
            }
        }
    }

    pub(crate) fn outages(&self) -> Vec<Outage> {
        self.channels.iter().filter_map(|(name, channel)| channel.tries.outage(name)).collect()
    }

    pub(crate) async fn ack(&mut self, pack: &MsgPack, retry_for: Duration) -> Result<()> {
        for (channel, mark) in &pack.end.channels {
            let cursor = self.channel(channel)?.1.cursor.as_ref();
            let cursor =
                cursor.ok_or_else(|| Error::NoSubscription { channel: channel.to_string() })?;
            with_retries(retry_for, channel, || cursor.ack(mark.resume)).await?;
        }
        Ok(())
    }

    pub(crate) async fn seek(
        &mut self,
        transport: &dyn Transport,
        retry_for: Duration,
        channel: &str,
        start: Start,
    ) -> Result<()> {
        let channel = self.channel(channel)?.0.clone();
        let open = || transport.reader(&channel, start);
        let reader = with_retries(retry_for, &channel, open).await?;
        self.replace(channel, reader);
        Ok(())
    }

    pub(crate) async fn resume(
        &mut self,
        transport: &dyn Transport,
        retry_for: Duration,
        from: &Checkpoint,
    ) -> Result<()> {
        let mut readers = Vec::with_capacity(from.channels.len());
        for (channel, mark) in &from.channels {
            let channel = self.channel(channel)?.0.clone();
            let start = Start::At(mark.resume);
            let open = || {
                transport.reader_with(
                    &channel,
                    ReaderOptions::new(start).with_incarnation(mark.incarnation),
                )
            };
            readers.push((with_retries(retry_for, &channel, open).await?, channel));
        }
        for (reader, channel) in readers {
            self.replace(channel, reader);
        }
        Ok(())
    }

    fn replace(&mut self, channel: Arc<str>, reader: Box<dyn ChannelReader>) {
        if let Some(Channel { tries, .. }) = self.channels.get_mut(&channel) {
            tries.succeeded(&channel);
        }
        self.reads.read(channel, reader, Duration::ZERO);
    }

    fn channel(&self, channel: &str) -> Result<(&Arc<str>, &Channel)> {
        let known = self.channels.get_key_value(channel);
        known.ok_or_else(|| Error::NotConsumed { channel: channel.to_owned() })
    }
}

fn pack(channel: &Arc<str>, incarnation: Incarnation, batch: ReadBatch) -> MsgPack {
    let checkpoint = |resume: Position| {
        let mark = Mark { resume, incarnation: Some(incarnation), ..Mark::default() };
        Checkpoint { frontier: None, channels: [(channel.clone(), mark)].into_iter().collect() }
    };
    let start = batch.records.first().map_or(batch.next, |record| record.position);
    let stored = |record| Message::Stored(StoredMessage::new(channel.clone(), record));
    let mut pack = MsgPack::new(batch.records.into_iter().map(stored).collect());
    pack.start = checkpoint(start);
    pack.end = checkpoint(batch.next);
    pack
}
