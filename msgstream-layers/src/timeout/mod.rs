//! [`Timeout`]: a transport whose calls have a deadline.

mod channel;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, ReaderOptions, Result, Risk,
    Subscription, Transport, TransportError, TransportErrorKind,
};

use self::channel::{TimedReader, TimedSubscription, TimedWriter};
use crate::LONGEST;

/// A layer that ends calls that take too long.
///
/// Every transport has deadlines of its own, most of them tens of seconds. This layer sets a shorter
/// one, the same for each call of the transport, its writers, readers and subscriptions:
///
/// - A call that hasn't returned by then fails with
///   [`TimedOut`](msgstream_core::transport::TransportErrorKind::TimedOut), which is a temporary
///   error: what tries again by itself, such as sessions and consumers, does so.
/// - A read may take as long as its limit says that it waits, and the deadline on top.
/// - A batch whose outcome isn't known by then, counted from when it was submitted, is
///   [`Unknown`](msgstream_core::transport::Fate::Unknown), which poisons the writer. The deadline is
///   looked at when the receipt is polled.
///
/// A call that is ended is cancelled, so the transport's promises about cancelled calls hold: a read
/// loses nothing, and a channel may or may not have been created.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use msgstream_core::transport::{Transport, TransportExt};
/// use msgstream_layers::Timeout;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let broker = Timeout::over(broker, Duration::from_secs(3));
/// broker.create("orders").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Timeout {
    inner: Arc<dyn Transport>,
    after: Duration,
}

impl Timeout {
    /// Returns a layer over a transport.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use msgstream_core::transport::Transport;
    /// use msgstream_layers::Timeout;
    /// fn patient(broker: Arc<dyn Transport>) -> Arc<dyn Transport> {
    ///     Arc::new(Timeout::over(broker, Duration::from_secs(30)))
    /// }
    /// ```
    pub fn over(transport: Arc<dyn Transport>, after: Duration) -> Self {
        Self { inner: transport, after: after.min(LONGEST) }
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        channel: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        in_time(self.after, operation, channel, call).await
    }
}

/// Waits for a call, but no longer than so long.
async fn in_time<T>(
    after: Duration,
    operation: &'static str,
    channel: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let timed = tokio::time::timeout(after, call).await;
    timed.unwrap_or_else(|_| Err(timed_out(after, operation, channel)))
}

fn timed_out(after: Duration, operation: &'static str, channel: &str) -> TransportError {
    let error = TransportError::new(operation, TransportErrorKind::TimedOut { after });
    if channel.is_empty() { error } else { error.on(channel) }
}

#[async_trait]
impl Transport for Timeout {
    delegate!(self => self.inner, Transport { capabilities, encode_position, decode_position });

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        self.call("create", channel, self.inner.create_with(channel, options)).await
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        self.call("delete", channel, self.inner.delete(channel)).await
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        self.call("trim", channel, self.inner.trim(channel, before)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.call("list", "", self.inner.list(prefix)).await
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        self.call("describe", channel, self.inner.describe(channel)).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let writer = self.call("writer", channel, self.inner.writer(channel)).await?;
        Ok(Box::new(TimedWriter::new(writer, channel, self.after)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let opening = self.inner.reader_with(channel, options);
        let inner = self.call("reader", channel, opening).await?;
        Ok(Box::new(TimedReader { inner, channel: channel.into(), after: self.after }))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opening = self.inner.subscription(channel, name);
        let inner = self.call("subscription", channel, opening).await?;
        Ok(Arc::new(TimedSubscription { inner, channel: channel.into(), after: self.after }))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        self.call("unsubscribe", channel, self.inner.unsubscribe(channel, name)).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        self.call("subscriptions", channel, self.inner.subscriptions(channel)).await
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.call("risks", channel, self.inner.risks(channel)).await
    }

    async fn close(&self) -> Result<()> {
        self.call("close", "", self.inner.close()).await
    }
}

#[cfg(test)]
mod tests;
