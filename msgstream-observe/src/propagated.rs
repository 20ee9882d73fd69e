//! [`Propagated`]: a transport that writes trace context.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::delegate;
use msgstream_core::record::{MsgType, Record};
use msgstream_core::transport::{ChannelWriter, Receipt, Result, Transport};

use crate::TraceContext;

/// A layer that adds the current [`TraceContext`] to each message that is written.
///
/// The messages of a batch have the context that is current when it is submitted, unless they have
/// one already. Time ticks and what sessions write beside messages have none. What a session sends
/// again has the context that is current then. Readers return the context as headers, from which
/// [`TraceContext::extract`] takes it.
///
/// Put [`Observed`](crate::Observed) around it, so that messages come from the span of their batch.
///
/// The headers are 66 bytes for each message, and the `tracestate` comes on top.
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::{Consumer, Message, Producer, Timestamp, message::TimeSyncMsg};
/// use msgstream_observe::{Propagated, TraceContext};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
///
/// let context = TraceContext::new(123, 456, true)?;
/// let current = context.clone();
/// let broker = Arc::new(Propagated::over(broker, move || Some(current.clone())));
/// # let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
/// # let mut producer = orders.open().await?;
/// producer.send(TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0])).await?;
/// # producer.end(Timestamp(9)).await?;
///
/// # let mut packs = Consumer::builder(broker).channels(["orders"]).open().await?;
/// let pack = packs.next_pack().await?.expect("a message and its tick");
/// let Message::Stored(message) = &pack.msgs[0] else { unreachable!("it was read") };
/// assert_eq!(TraceContext::extract(&message.record.extra), Some(context));
/// # Ok(())
/// # }
/// ```
pub struct Propagated {
    inner: Arc<dyn Transport>,
    current: Current,
}

type Current = Arc<dyn Fn() -> Option<TraceContext> + Send + Sync>;

impl Propagated {
    /// Returns a layer over a transport. The function returns the current context; if it returns
    /// `None`, nothing is added. With the feature `opentelemetry` it is mostly
    /// `TraceContext::current`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use msgstream_core::transport::Transport;
    /// use msgstream_observe::{Propagated, TraceContext};
    /// tokio::task_local! { static REQUEST: TraceContext }
    /// fn propagated(broker: Arc<dyn Transport>) -> Propagated {
    ///     Propagated::over(broker, || REQUEST.try_with(Clone::clone).ok())
    /// }
    /// ```
    pub fn over(
        transport: Arc<dyn Transport>,
        current: impl Fn() -> Option<TraceContext> + Send + Sync + 'static,
    ) -> Self {
        Self { inner: transport, current: Arc::new(current) }
    }
}

impl fmt::Debug for Propagated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Propagated").field(&self.inner).finish()
    }
}

#[async_trait]
impl Transport for Propagated {
    delegate!(self => self.inner, Transport {
        capabilities, create_with, delete, trim, list, describe, reader_with, subscription,
        unsubscribe, subscriptions, risks, encode_position, decode_position, close,
    });

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let inner = self.inner.writer(channel).await?;
        Ok(Box::new(PropagatedWriter { inner, current: self.current.clone() }))
    }
}

struct PropagatedWriter {
    inner: Box<dyn ChannelWriter>,
    current: Current,
}

impl fmt::Debug for PropagatedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PropagatedWriter").field(&self.inner).finish()
    }
}

#[async_trait]
impl ChannelWriter for PropagatedWriter {
    delegate!(self => self.inner, ChannelWriter { ready, close });

    fn check(&self, records: &[Record]) -> Result<()> {
        match (self.current)() {
            None => self.inner.check(records),
            // The headers may be what is too much.
            Some(context) => {
                let mut records = records.to_vec();
                add(&context, &mut records);
                self.inner.check(&records)
            }
        }
    }

    fn submit(&mut self, mut records: Vec<Record>) -> Receipt {
        if let Some(context) = (self.current)() {
            add(&context, &mut records);
        }
        self.inner.submit(records)
    }
}

fn add(context: &TraceContext, records: &mut [Record]) {
    let encoded = context.encode();
    for record in records.iter_mut().filter(|r| r.meta.msg_type != MsgType::TIME_TICK) {
        encoded.add_to(&mut record.extra);
    }
}
