//! A layer that counts the readers of each channel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::transport::{ChannelReader, ReaderOptions, Result, Transport};

/// How many readers of the channels there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readers(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    now: BTreeMap<String, usize>,
    most: usize,
}

impl Readers {
    /// The most that a channel ever had at a time.
    pub(crate) fn most(&self) -> usize {
        self.lock().most
    }

    fn opened(&self, channel: &str) {
        let Counts { now, most } = &mut *self.lock();
        let now = now.entry(channel.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) readers: Readers,
}

#[async_trait]
impl Transport for Counted {
    delegate!(self => self.inner, Transport {
        capabilities, create_with, delete, trim, list, describe, writer, subscription,
        unsubscribe, subscriptions, risks, encode_position, decode_position, close,
    });

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let inner = self.inner.reader_with(channel, options).await?;
        self.readers.opened(channel);
        let (channel, readers) = (channel.to_owned(), self.readers.clone());
        Ok(Box::new(CountedReader { inner, channel, readers }))
    }
}

#[derive(Debug)]
struct CountedReader {
    inner: Box<dyn ChannelReader>,
    channel: String,
    readers: Readers,
}

#[async_trait]
impl ChannelReader for CountedReader {
    delegate!(self => self.inner, ChannelReader { read, seek, incarnation });
}

impl Drop for CountedReader {
    fn drop(&mut self) {
        if let Some(now) = self.readers.lock().now.get_mut(&self.channel) {
            *now -= 1;
        }
    }
}
