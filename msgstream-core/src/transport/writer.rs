//! Writing to one channel.

use std::fmt;

use async_trait::async_trait;

use super::{Receipt, Result};
use crate::record::Record;

/// Appends records to one channel.
///
/// [`ready`](Self::ready) waits and may be cancelled; [`submit`](Self::submit) doesn't wait, so a
/// cancelled future never loses a batch.
///
/// ```
/// use msgstream_core::record::Record;
/// use msgstream_core::transport::{ChannelWriter, Transport, TransportExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> msgstream_core::transport::Result<()> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// # broker.create("orders").await?;
/// let mut writer = broker.writer("orders").await?;
/// writer.ready().await?;
/// let outcome = writer.submit(vec![Record::default(), Record::default()]).await;
/// assert_eq!(outcome.stored.len(), 2);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ChannelWriter: fmt::Debug + Send {
    /// Waits until the writer takes another batch: the number of records in flight is bounded.
    ///
    /// ```
    /// use msgstream_core::transport::{ChannelWriter, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// let mut writer = broker.writer("orders").await?;
    /// writer.ready().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`Poisoned`](super::TransportErrorKind::Poisoned) after a failed write, and with
    /// [`Closed`](super::TransportErrorKind::Closed).
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn ready(&mut self) -> Result<()>;

    /// Checks whether these records can be written at all. It looks at the records alone: it sends
    /// nothing, stores nothing and doesn't change the writer.
    ///
    /// [`submit`](Self::submit) refuses the same records, but a refusal poisons the writer. A caller
    /// that writes to several channels checks all records before it submits any.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// use msgstream_core::transport::{ChannelWriter, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// writer.check(&[Record::default()])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`TooLarge`](super::TransportErrorKind::TooLarge) or
    /// [`InvalidHeader`](super::TransportErrorKind::InvalidHeader).
    fn check(&self, records: &[Record]) -> Result<()>;

    /// Hands over a batch, in order, and returns a receipt for it. Batches are pipelined: the next
    /// one may be submitted before the receipt of this one resolves.
    ///
    /// Never fails by itself: the receipt says what became of the batch. A batch over the bound is
    /// taken too if [`ready`](Self::ready) wasn't called before.
    ///
    /// What is stored is a contiguous prefix of all that was submitted. After a failed or unknown
    /// outcome the writer is poisoned: it sends nothing more. Records that were in flight by then
    /// may still be stored, with gaps, and the fate of every later receipt is
    /// [`Fate::Unknown`](super::Fate::Unknown) or [`Fate::NotStored`](super::Fate::NotStored).
    ///
    /// Positions grow from receipt to receipt. If they go back, the channel was replaced under the
    /// writer: the batch fails with
    /// [`WrongIncarnation`](super::TransportErrorKind::WrongIncarnation), and the writer is
    /// poisoned.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// use msgstream_core::transport::{ChannelWriter, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// // Both batches are in flight at once.
    /// let first = writer.submit(vec![Record::default()]);
    /// let second = writer.submit(vec![Record::default()]);
    /// assert!(first.await.stored < second.await.stored);
    /// # Ok(())
    /// # }
    /// ```
    fn submit(&mut self, records: Vec<Record>) -> Receipt;

    /// Waits until all receipts have resolved, and ends the writer. Closing twice is harmless.
    ///
    /// ```
    /// use msgstream_core::transport::{ChannelWriter, Transport, TransportExt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// writer.close().await?;
    /// assert!(writer.ready().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// May be called again after a cancelled call.
    async fn close(&mut self) -> Result<()>;
}
