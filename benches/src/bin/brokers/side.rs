//! The two sides that are compared, and the brokers.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use msgstream_core::transport::Transport;
use tokio::task::JoinSet;

use crate::load::{Found, Load};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Who writes and reads: msgstream, or the plain client. Both are given the same channels.
#[async_trait]
pub(crate) trait Side: Send + Sync {
    /// Opens what it takes to write the load. Each channel's messages are written in their order,
    /// with as many in flight as the other side has, and the work ends when all are acknowledged.
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>>;

    /// Opens what it takes to read the load from its beginning. The work ends with its last
    /// message.
    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>>;
}

#[async_trait]
impl<S: Side + ?Sized> Side for &S {
    async fn publish(&self, load: &Arc<Load>) -> Result<Box<dyn Work<()>>> {
        (**self).publish(load).await
    }

    async fn read(&self, load: &Arc<Load>) -> Result<Box<dyn Work<Found>>> {
        (**self).read(load).await
    }
}

/// What is measured: from the call of [`run`](Self::run) until it returns. What shall end outside
/// of it, such as a connection, stays in `self`.
#[async_trait]
pub(crate) trait Work<T>: Send {
    /// Does it, once.
    async fn run(&mut self) -> Result<T>;
}

/// The plain client of a broker.
#[async_trait]
pub(crate) trait Raw: Side {
    /// Lines of a list: the versions, and what the sides have in common.
    fn about(&self) -> String;

    /// How many messages a channel holds, as the broker counts them.
    async fn stored(&self, channel: &str) -> Result<u64>;
}

/// A broker, by both sides.
pub(crate) struct Broker {
    /// Makes the channels, too, and removes them.
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) raw: Box<dyn Raw>,
}

type Open = fn() -> BoxFuture<'static, Result<Broker>>;

/// The brokers that are compiled in, by the names of their features and of their folders in
/// `brokers/`.
pub(crate) const BROKERS: &[(&str, Open)] = &[
    #[cfg(feature = "kafka")]
    ("kafka", || Box::pin(crate::kafka::open())),
    #[cfg(feature = "nats")]
    ("nats", || Box::pin(crate::nats::open())),
    #[cfg(feature = "pulsar")]
    ("pulsar", || Box::pin(crate::pulsar::open())),
];

/// Runs tasks, one for each channel, and gives what they gave in the order of the channels.
pub(crate) async fn for_each<F, T>(tasks: impl IntoIterator<Item = F>) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut running = JoinSet::new();
    for (channel, task) in tasks.into_iter().enumerate() {
        running.spawn(async move { Ok::<_, Error>((channel, task.await?)) });
    }
    let mut done = Vec::new();
    while let Some(joined) = running.join_next().await {
        done.push(joined??);
    }
    done.sort_by_key(|(channel, _)| *channel);
    Ok(done.into_iter().map(|(_, given)| given).collect())
}
