//! The consuming side of a stream: readers, subscriptions, packs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fan_in::{FanIn, Read, is_end};
use super::open::{Begin, Cursor, Opened, open};
use crate::checkpoint::{Checkpoint, Mark};
use crate::error::{Error, Result};
use crate::message::{Message, MsgPack, StoredMessage};
use crate::transport::{Incarnation, Limit, Position, ReadBatch, Start, Transport};

/// Reads packs from a fixed list of channels.
#[derive(Debug)]
pub(super) struct Consumer {
    reads: FanIn,
    cursors: BTreeMap<Arc<str>, Cursor>,
}

impl Consumer {
    pub(super) async fn open(
        transport: &dyn Transport,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<Self> {
        let channels = channels.iter().map(|channel| (*channel, Begin::CursorOr(start)));
        let mut consumer = Self { reads: FanIn::new(Limit::default()), cursors: BTreeMap::new() };
        for Opened { channel, reader, cursor } in open(transport, subscription, channels).await? {
            consumer.cursors.insert(channel.clone(), cursor);
            consumer.reads.read(channel, reader);
        }
        Ok(consumer)
    }

    /// The next batch of any channel; `None` once every channel has ended.
    pub(super) async fn consume(&mut self) -> Result<Option<MsgPack>> {
        let Some(Read { channel, reader, batch }) = self.reads.next().await else {
            return Ok(None);
        };
        let ended = batch.as_ref().is_ok_and(|b| b.records.iter().any(is_end));
        let incarnation = reader.incarnation();
        // After an error too: the reader keeps its place.
        if !ended {
            self.reads.read(channel.clone(), reader);
        }
        Ok(Some(pack(&channel, incarnation, batch?)))
    }

    pub(super) async fn ack(&mut self, pack: &MsgPack) -> Result<()> {
        for (channel, mark) in &pack.end.channels {
            let cursor = self.channel(channel)?.1.as_ref();
            let cursor =
                cursor.ok_or_else(|| Error::NoSubscription { channel: channel.to_string() })?;
            cursor.ack(mark.resume).await?;
        }
        Ok(())
    }

    pub(super) async fn seek(
        &mut self,
        transport: &dyn Transport,
        channel: &str,
        start: Start,
    ) -> Result<()> {
        let channel = self.channel(channel)?.0.clone();
        let reader = transport.reader(&channel, start, None).await?;
        self.reads.read(channel, reader);
        Ok(())
    }

    pub(super) async fn resume(
        &mut self,
        transport: &dyn Transport,
        from: &Checkpoint,
    ) -> Result<()> {
        let mut readers = Vec::with_capacity(from.channels.len());
        for (channel, mark) in &from.channels {
            let channel = self.channel(channel)?.0.clone();
            let start = Start::At(mark.resume);
            readers.push((transport.reader(&channel, start, mark.incarnation).await?, channel));
        }
        for (reader, channel) in readers {
            self.reads.read(channel, reader);
        }
        Ok(())
    }

    fn channel(&self, channel: &str) -> Result<(&Arc<str>, &Cursor)> {
        let known = self.cursors.get_key_value(channel);
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
