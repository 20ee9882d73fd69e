//! Acknowledging on one channel.

use std::fmt;

use async_trait::async_trait;

use super::Result;
use crate::record::Position;

/// A named, durable cursor on one channel.
///
/// ```
/// # use msgstream_core::record::Record;
/// use msgstream_core::transport::{Start, Subscription, Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// # broker.create("orders").await?;
/// # let mut writer = broker.writer("orders").await?;
/// # writer.submit(vec![Record::default()]).await;
/// let cursor = broker.subscription("orders", "billing").await?;
/// assert_eq!(cursor.acked().await?, None);
/// let end = broker.describe("orders").await?.end;
/// cursor.ack(end).await?;
/// // A reader goes on where the cursor stands.
/// let start = cursor.acked().await?.map_or(Start::Earliest, Start::At);
/// let reader = broker.reader("orders", start).await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Subscription: fmt::Debug + Send + Sync {
    /// Moves the cursor: everything before the position is done. `Ok` means that the broker has
    /// stored it.
    ///
    /// A handle never moves the cursor back: an earlier position has no effect. If several handles
    /// share a cursor, the last one to acknowledge may win.
    ///
    /// ```
    /// use msgstream_core::transport::{Subscription, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let cursor = broker.subscription("orders", "billing").await?;
    /// cursor.ack(broker.describe("orders").await?.end).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The cursor may or may not have moved after a cancelled call.
    async fn ack(&self, before: Position) -> Result<()>;

    /// Returns where the cursor stands: at the last position that was acknowledged, or earlier,
    /// because some brokers keep only the boundaries of what was stored together. Returns `None` if
    /// it was never moved, or only in another incarnation of the channel.
    ///
    /// ```
    /// use msgstream_core::transport::{Subscription, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let cursor = broker.subscription("orders", "billing").await?;
    /// assert_eq!(cursor.acked().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn acked(&self) -> Result<Option<Position>>;
}
