//! Readers that open what is sealed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::transport::{ChannelReader, Limit, ReadBatch, Result};

use super::key::Keys;
use super::seal::open;

pub(super) struct OpeningReader {
    inner: Box<dyn ChannelReader>,
    channel: Arc<str>,
    keys: Arc<dyn Keys>,
}

impl OpeningReader {
    pub(super) fn new(inner: Box<dyn ChannelReader>, channel: &str, keys: Arc<dyn Keys>) -> Self {
        Self { inner, channel: channel.into(), keys }
    }
}

impl fmt::Debug for OpeningReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpeningReader").field(&self.inner).finish()
    }
}

#[async_trait]
impl ChannelReader for OpeningReader {
    delegate!(self => self.inner, ChannelReader { seek, incarnation });

    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let mut batch = self.inner.read(limit).await?;
        let (channel, keys) = (&*self.channel, &self.keys);
        let records = batch.records.into_iter();
        batch.records =
            records.map(|record| open(record, channel, |id| keys.opening(channel, id))).collect();
        Ok(batch)
    }
}
