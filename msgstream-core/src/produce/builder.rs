//! Opening a producer.

use crate::transport::TransportExt as _;
use std::fmt;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::producer::{InSession, NoSession, Producer};
use super::session::{Counts, SessionConfig};
use super::writers::Writers;
use crate::error::Result;
use crate::repack::{ByHashKey, Repack};
use crate::transport::{AT_A_TIME, Transport};

/// Opens a [`Producer`], see there.
#[must_use = "a builder does nothing until `open`"]
pub struct ProducerBuilder<S = NoSession> {
    transport: Arc<dyn Transport>,
    channels: Vec<String>,
    repack: Box<dyn Repack>,
    create_missing: bool,
    session: S,
}

impl ProducerBuilder {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        let repack = Box::new(ByHashKey);
        Self { transport, channels: Vec::new(), repack, create_missing: false, session: NoSession }
    }

    /// Sets the session: what fails is written again, and consumers take each message once. See
    /// [`session`](super::session).
    pub fn session(self, session: SessionConfig) -> ProducerBuilder<SessionConfig> {
        let Self { transport, channels, repack, create_missing, session: NoSession } = self;
        ProducerBuilder { transport, channels, repack, create_missing, session }
    }

    /// Opens a producer on the channels.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for no channel or one named twice,
    /// [`Error::Ended`](crate::Error::Ended) for a channel that has ended, and
    /// [`Error::Transport`](crate::Error::Transport), such as for a channel that isn't there.
    ///
    /// An end is found among the last 64 records; who may not read doesn't find it.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. Channels may have been created.
    pub async fn open(self) -> Result<Producer> {
        self.create().await?;
        let channels: Vec<_> = self.channels.iter().map(String::as_str).collect();
        let writers = Writers::open(&*self.transport, &channels).await?;
        Ok(Producer::new(writers, self.repack, NoSession))
    }
}

impl ProducerBuilder<SessionConfig> {
    /// Opens a producer on the channels, in a session. An earlier session of the same producer id can't
    /// write any more. The program goes on with what follows
    /// [`Opened::last`](super::Opened::last) in its own source.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced) if a newer session was opened meanwhile,
    /// [`Error::NumbersLost`](crate::Error::NumbersLost),
    /// [`Error::NumbersSpent`](crate::Error::NumbersSpent),
    /// [`Error::Ended`](crate::Error::Ended) for a channel that has ended (with
    /// [`scan_since`](SessionConfig::with_scan_since) it is found among the last 64 records),
    /// [`Error::Config`](crate::Error::Config) for no channel, one named twice, an id that can't be
    /// one, or outside of a tokio runtime, and [`Error::Transport`](crate::Error::Transport), such
    /// as for a channel that isn't there, or that fails for
    /// [`retry_for`](SessionConfig::with_retry_for).
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call. Channels may have been created, and an earlier
    /// session of the producer may be fenced.
    pub async fn open(self) -> Result<Producer<InSession>> {
        self.create().await?;
        let channels: Vec<_> = self.channels.iter().map(String::as_str).collect();
        let counts = Counts::default();
        let opening = Writers::with_session(&self.transport, self.session, &channels, &counts);
        let (writers, opened) = opening.await?;
        Ok(Producer::new(writers, self.repack, InSession { opened, counts }))
    }
}

impl<S> ProducerBuilder<S> {
    /// Sets the channels to write to. Their order is what a repack's indexes count by.
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Creates the channels that aren't there. Unless set, all of them have to be there.
    pub const fn create_missing(mut self) -> Self {
        self.create_missing = true;
        self
    }

    /// Sets what splits packs over the channels. [`ByHashKey`] unless set.
    pub fn repack(mut self, repack: impl Repack + 'static) -> Self {
        self.repack = Box::new(repack);
        self
    }

    async fn create(&self) -> Result<()> {
        super::distinct(self.channels.iter().map(String::as_str))?;
        if !self.create_missing {
            return Ok(());
        }
        let create = |channel: &String| {
            let (transport, channel) = (self.transport.clone(), channel.clone());
            async move { transport.create_if_missing(&channel).await.map(drop) }.boxed()
        };
        let creating: Vec<_> = self.channels.iter().map(create).collect();
        Ok(stream::iter(creating).buffered(AT_A_TIME).try_collect::<()>().await?)
    }
}

impl<S: fmt::Debug> fmt::Debug for ProducerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("transport", &self.transport)
            .field("channels", &self.channels)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
