//! Channels that stop where they ended at a certain time.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream::record::Position;
use msgstream::transport::{
    ChannelReader, Limit, ReadBatch, ReaderOptions, Result, Start, Transport,
};
use msgstream_core::delegate;
use msgstream_core::merge::ChannelStatus;
use tokio::sync::Notify;
use tokio::time::sleep;

/// A transport whose readers find nothing past the ends that its channels had.
#[derive(Clone, Debug)]
pub(super) struct Until {
    broker: Arc<dyn Transport>,
    ends: BTreeMap<String, End>,
    reached: Arc<Notify>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    at: Position,
    /// There was nothing before it.
    empty: bool,
}

impl Until {
    /// Takes the ends that these channels have now.
    pub(super) async fn now(broker: Arc<dyn Transport>, channels: &[String]) -> Result<Self> {
        let mut ends = BTreeMap::new();
        for channel in channels {
            let info = broker.describe(channel).await?;
            ends.insert(channel.clone(), End { at: info.end, empty: info.first.is_none() });
        }
        Ok(Self { broker, ends, reached: Arc::default() })
    }

    /// Returns the end that a channel had.
    pub(super) fn end(&self, channel: &str) -> Option<Position> {
        self.ends.get(channel).map(|end| end.at)
    }

    /// Returns whether a consumer has read a channel up to there.
    pub(super) fn is_read(&self, channel: &ChannelStatus) -> bool {
        channel.next.is_some() && channel.next >= self.end(&channel.channel)
    }

    /// Waits until another reader was asked for more at its end.
    pub(super) async fn reached(&self) {
        self.reached.notified().await;
    }
}

#[async_trait]
impl Transport for Until {
    delegate!(self => self.broker, Transport {
        capabilities, create_with, delete, trim, list, describe, writer, subscription, subscriptions,
        unsubscribe, risks, encode_position, decode_position, close,
    });

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.broker.reader_with(channel, options).await?;
        let Some(End { at: end, empty }) = self.ends.get(channel).copied() else {
            return Ok(inner);
        };
        let at_end = empty || options.start == Start::Latest;
        Ok(Box::new(Reader { inner, end, at_end, told: false, reached: self.reached.clone() }))
    }
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn ChannelReader>,
    end: Position,
    at_end: bool,
    /// The end was returned as where reading continues.
    told: bool,
    reached: Arc<Notify>,
}

#[async_trait]
impl ChannelReader for Reader {
    delegate!(self => self.inner, ChannelReader { incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        if self.at_end {
            if self.told {
                self.reached.notify_one();
                sleep(limit.wait).await;
            }
            self.told = true;
            return Ok(ReadBatch::new(Vec::new(), self.end, true));
        }
        let mut batch = self.inner.read(limit).await?;
        if !batch.caught_up && batch.next < self.end {
            return Ok(batch);
        }
        batch.records.retain(|record| record.position < self.end);
        (self.at_end, self.told) = (true, true);
        Ok(ReadBatch::new(batch.records, self.end, true))
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.inner.seek(start).await?;
        (self.at_end, self.told) = (start == Start::Latest, false);
        Ok(())
    }
}
