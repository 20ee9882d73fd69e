//! Readers that open what is sealed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::transport::{ChannelReader, Limit, ReadBatch, Result};

use super::key::Keys;
use super::seal::open;

pub(super) struct OpeningReader {
    pub(super) inner: Box<dyn ChannelReader>,
    /// The name that messages are bound to.
    pub(super) name: Arc<str>,
    pub(super) keys: Arc<dyn Keys>,
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
        let (name, keys) = (&*self.name, &self.keys);
        let records = batch.records.into_iter();
        batch.records =
            records.map(|record| open(record, name, |id| keys.opening(name, id))).collect();
        Ok(batch)
    }
}
