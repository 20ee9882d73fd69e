//! [`Faults`]: a transport that fails now and then, for tests.

mod channel;
mod dice;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, ReaderOptions, Result, Risk,
    Subscription, Transport, TransportError, TransportErrorKind,
};
use tokio::time::sleep;

use self::channel::{FaultyReader, FaultySubscription, FaultyWriter};
use self::dice::{Call, Dice};
use crate::LONGEST;

/// A layer that makes a transport fail now and then, within what the contract of transports allows:
/// for tests of programs.
///
/// What goes wrong is decided by a seed. With the same seed the same happens, if the calls come in
/// the same order. Unless a rate is set, nothing goes wrong. A rate is a probability, from 0 to 1.
///
/// Batches are in part stored and in part not, or nobody knows; after that the writer is poisoned, and
/// what was submitted behind such a batch may be stored with gaps. Nothing that is acknowledged is
/// lost. What else may happen to a broker, its crashes and readers that lag included, is in the
/// simulator, `msgstream-sim`.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::produce::SessionConfig;
/// use msgstream_core::{Consumer, Producer, Timestamp, message::TimeSyncMsg};
/// use msgstream_layers::Faults;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), msgstream_core::Error> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let broker = Arc::new(Faults::over(broker, 7).unknown(0.2).not_stored(0.1));
/// let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
/// let mut producer = orders.session(SessionConfig::new("shop-1")).open().await?;
/// for ts in 1..=100 {
///     producer.send(TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0])).await?;
/// }
/// producer.end(Timestamp(100)).await?;
///
/// // The session sent again what had failed, and each message counts once.
/// assert!(broker.counts().unknown > 0);
/// let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
/// assert_eq!(packs.next_pack().await?.unwrap().msgs.len(), 100);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Faults {
    inner: Arc<dyn Transport>,
    dice: Arc<Dice>,
}

/// How often each fault of a [`Faults`] happened.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_layers::{FaultCounts, Faults};
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// assert_eq!(Faults::over(broker, 7).counts(), FaultCounts::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultCounts {
    /// Calls and reads that failed and had no effect.
    pub unavailable: u64,
    /// Calls that took effect, and whose caller got an error.
    pub lost_answers: u64,
    /// Batches whose first records were stored, or none, and the rest wasn't.
    pub not_stored: u64,
    /// Batches of which it isn't known what was stored.
    pub unknown: u64,
}

impl Faults {
    /// Returns a layer over a transport. The seed decides what goes wrong.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_layers::Faults;
    /// fn flaky(broker: Arc<dyn Transport>, seed: u64) -> Faults {
    ///     Faults::over(broker, seed).unavailable(0.05).unknown(0.05)
    /// }
    /// ```
    pub fn over(transport: Arc<dyn Transport>, seed: u64) -> Self {
        Self { inner: transport, dice: Arc::new(Dice::new(seed)) }
    }

    /// Sets how many calls and reads fail with
    /// [`Unavailable`](TransportErrorKind::Unavailable) and have no effect.
    #[must_use]
    pub fn unavailable(self, rate: f64) -> Self {
        self.dice.set(|rates| rates.unavailable = rate);
        self
    }

    /// Sets how many calls take effect and fail with
    /// [`Unavailable`](TransportErrorKind::Unavailable) all the same. Reads and batches don't: a read
    /// would lose records, and for batches there is [`unknown`](Self::unknown).
    #[must_use]
    pub fn lost_answers(self, rate: f64) -> Self {
        self.dice.set(|rates| rates.lost_answers = rate);
        self
    }

    /// Sets how many batches are stored in part, or not at all, and their writer knows it:
    /// [`NotStored`](msgstream_core::transport::Fate::NotStored).
    #[must_use]
    pub fn not_stored(self, rate: f64) -> Self {
        self.dice.set(|rates| rates.not_stored = rate);
        self
    }

    /// Sets how many batches are stored, all or some or none of them, and their writer doesn't know:
    /// [`Unknown`](msgstream_core::transport::Fate::Unknown).
    #[must_use]
    pub fn unknown(self, rate: f64) -> Self {
        self.dice.set(|rates| rates.unknown = rate);
        self
    }

    /// Sets how much longer each call, read and outcome takes: a time of this range, shorter than its
    /// end.
    #[must_use]
    pub fn delays(self, times: Range<Duration>) -> Self {
        let times = times.start.min(LONGEST)..times.end.min(LONGEST);
        self.dice.set(|rates| rates.delays = times);
        self
    }

    /// Ends the faults: from now on nothing goes wrong and nothing is delayed. Writers that are
    /// poisoned stay so.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use msgstream_core::transport::{Transport, TransportExt};
    /// use msgstream_layers::Faults;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// let broker = Faults::over(broker, 7).unavailable(1.0);
    /// assert!(broker.create("orders").await.is_err());
    /// broker.heal();
    /// broker.create("orders").await?;
    /// assert_eq!(broker.counts().unavailable, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn heal(&self) {
        self.dice.set(|rates| *rates = dice::Rates::default());
    }

    /// Returns how often each fault happened, so that a test can check that it tested something.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.dice.counts()
    }
}

/// Makes a call, or fails it.
async fn call<T>(
    dice: &Dice,
    operation: &'static str,
    channel: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    sleep(dice.delay()).await;
    match dice.call() {
        Call::Succeeds => call.await,
        Call::Fails => Err(unavailable(operation, channel)),
        Call::LosesAnswer => {
            call.await?;
            Err(unavailable(operation, channel))
        }
    }
}

fn unavailable(operation: &'static str, channel: &str) -> TransportError {
    let reason = "a fault was injected".to_owned();
    let error = TransportError::new(operation, TransportErrorKind::Unavailable { reason });
    if channel.is_empty() { error } else { error.on(channel) }
}

#[async_trait]
impl Transport for Faults {
    delegate!(self => self.inner, Transport {
        capabilities, encode_position, decode_position, close,
    });

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        call(&self.dice, "create", channel, self.inner.create_with(channel, options)).await
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        call(&self.dice, "delete", channel, self.inner.delete(channel)).await
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        call(&self.dice, "trim", channel, self.inner.trim(channel, before)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        call(&self.dice, "list", "", self.inner.list(prefix)).await
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        call(&self.dice, "describe", channel, self.inner.describe(channel)).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let writer = call(&self.dice, "writer", channel, self.inner.writer(channel)).await?;
        Ok(Box::new(FaultyWriter::new(writer, channel, self.dice.clone())))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let opening = self.inner.reader_with(channel, options);
        let inner = call(&self.dice, "reader", channel, opening).await?;
        let (channel, dice) = (channel.into(), self.dice.clone());
        Ok(Box::new(FaultyReader { inner, channel, dice }))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opening = self.inner.subscription(channel, name);
        let inner = call(&self.dice, "subscription", channel, opening).await?;
        let (channel, dice) = (channel.into(), self.dice.clone());
        Ok(Arc::new(FaultySubscription { inner, channel, dice }))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let removing = self.inner.unsubscribe(channel, name);
        call(&self.dice, "unsubscribe", channel, removing).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let listing = self.inner.subscriptions(channel);
        call(&self.dice, "subscriptions", channel, listing).await
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        call(&self.dice, "risks", channel, self.inner.risks(channel)).await
    }
}

#[cfg(test)]
mod tests;
