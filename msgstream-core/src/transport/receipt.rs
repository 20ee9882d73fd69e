//! What became of a batch that was handed to a writer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{TransportError, TransportErrorKind};
use crate::record::Position;

/// What became of a batch.
///
/// ```
/// use msgstream_core::record::Position;
/// use msgstream_core::transport::Outcome;
/// let outcome = Outcome::stored(vec![Position::new(4), Position::new(5)]);
/// assert_eq!(outcome.stored.len(), 2);
/// assert!(outcome.rest.is_none());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The positions of the records that are stored: the first ones of the batch, in order.
    pub stored: Vec<Position>,
    /// What became of the others; `None` if all are stored.
    pub rest: Option<Unstored>,
}

impl Outcome {
    /// Returns the outcome of a batch that is stored whole.
    ///
    /// ```
    /// use msgstream_core::transport::Outcome;
    /// assert!(Outcome::stored(Vec::new()).rest.is_none());
    /// ```
    #[must_use]
    pub const fn stored(positions: Vec<Position>) -> Self {
        Self { stored: positions, rest: None }
    }

    /// Returns the outcome of a batch of which only the first records are known to be stored.
    ///
    /// ```
    /// use msgstream_core::transport::{Fate, Outcome, TransportError, TransportErrorKind};
    /// let error = TransportError::new("submit", TransportErrorKind::Poisoned);
    /// let outcome = Outcome::partial(Vec::new(), Fate::NotStored, error);
    /// assert_eq!(outcome.rest.map(|rest| rest.fate), Some(Fate::NotStored));
    /// ```
    #[must_use]
    pub const fn partial(stored: Vec<Position>, fate: Fate, error: TransportError) -> Self {
        Self { stored, rest: Some(Unstored { fate, error }) }
    }
}

/// What became of the records of a batch that are not known to be stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unstored {
    /// What is known of them.
    pub fate: Fate,
    /// Why they are not known to be stored.
    pub error: TransportError,
}

/// What is known of records that were not acknowledged.
///
/// ```
/// use msgstream_core::transport::Fate;
/// // What is not stored may be sent again; an unknown fate may mean that it is there already.
/// let send_again = |fate| fate == Fate::NotStored;
/// assert!(send_again(Fate::NotStored) && !send_again(Fate::Unknown));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// They are not in the channel, and never will be.
    NotStored,
    /// Some, all or none of them are in the channel, or will be.
    Unknown,
}

/// A future of the [`Outcome`] of one batch. Dropping it cancels nothing.
///
/// ```
/// use msgstream_core::transport::{Outcome, Receipt};
/// use msgstream_core::record::Position;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let receipt = Receipt::ready(Outcome::stored(vec![Position::new(4)]));
/// assert_eq!(receipt.await.stored, [Position::new(4)]);
/// # });
/// ```
#[derive(Debug)]
#[must_use = "the receipt says whether the batch is stored"]
pub struct Receipt(State);

enum State {
    Ready(Option<Outcome>),
    Pending(oneshot::Receiver<Outcome>),
    Future(Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(outcome) => f.debug_tuple("Ready").field(outcome).finish(),
            Self::Pending(receiver) => f.debug_tuple("Pending").field(receiver).finish(),
            Self::Future(_) => f.write_str("Future"),
        }
    }
}

impl Receipt {
    /// Returns a receipt whose outcome is known already.
    ///
    /// ```
    /// use msgstream_core::transport::{Outcome, Receipt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert!(Receipt::ready(Outcome::stored(Vec::new())).await.rest.is_none());
    /// # }
    /// ```
    pub const fn ready(outcome: Outcome) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// Returns a receipt and the sender of its outcome. If the sender is dropped, the outcome is
    /// [`Fate::Unknown`].
    ///
    /// ```
    /// use msgstream_core::record::Position;
    /// use msgstream_core::transport::{Outcome, Receipt};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receipt) = Receipt::pending();
    /// sender.send(Outcome::stored(vec![Position::new(4)]));
    /// assert_eq!(receipt.await.stored, [Position::new(4)]);
    /// # }
    /// ```
    pub fn pending() -> (ReceiptSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (ReceiptSender(sender), Self(State::Pending(receiver)))
    }

    /// Returns a receipt that resolves with a future. For layers, which await the receipt of the writer
    /// that they wrap: dropping the receipt drops the future, so the future itself must write nothing.
    ///
    /// ```
    /// use msgstream_core::record::Record;
    /// use msgstream_core::transport::{ChannelWriter, Receipt};
    /// /// Submits a batch, and prints what became of it.
    /// fn submit(writer: &mut dyn ChannelWriter, records: Vec<Record>) -> Receipt {
    ///     let receipt = writer.submit(records);
    ///     Receipt::from_future(async move {
    ///         let outcome = receipt.await;
    ///         println!("{} records are stored", outcome.stored.len());
    ///         outcome
    ///     })
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> msgstream_core::transport::Result<()> {
    /// # use msgstream_core::transport::{Transport, TransportExt};
    /// # let broker = msgstream_mem::MemTransport::new(Default::default());
    /// # broker.create("orders").await?;
    /// # let mut writer = broker.writer("orders").await?;
    /// # assert_eq!(submit(&mut *writer, vec![Record::default()]).await.stored.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_future(outcome: impl Future<Output = Outcome> + Send + Sync + 'static) -> Self {
        Self(State::Future(Box::pin(outcome)))
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = match &mut self.0 {
            State::Ready(outcome) => outcome.take(),
            State::Pending(receiver) => match Pin::new(receiver).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(outcome) => outcome.ok(),
            },
            State::Future(future) => return future.as_mut().poll(cx),
        };
        Poll::Ready(outcome.unwrap_or_else(|| {
            let error = TransportError::new("submit", TransportErrorKind::Closed);
            Outcome::partial(Vec::new(), Fate::Unknown, error)
        }))
    }
}

/// Sends the outcome of a [`Receipt`], see [`Receipt::pending`].
#[derive(Debug)]
pub struct ReceiptSender(oneshot::Sender<Outcome>);

impl ReceiptSender {
    /// Sends what became of the batch. It is no error if the receipt was dropped.
    ///
    /// ```
    /// use msgstream_core::transport::{Outcome, Receipt};
    /// let (sender, receipt) = Receipt::pending();
    /// drop(receipt);
    /// sender.send(Outcome::stored(Vec::new()));
    /// ```
    pub fn send(self, outcome: Outcome) {
        // The receiver may be gone: dropping a receipt is allowed.
        drop(self.0.send(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_sender_leaves_the_outcome_unknown() {
        let (sender, receipt) = Receipt::pending();
        drop(sender);
        let outcome = receipt.await;
        assert!(outcome.stored.is_empty());
        assert!(matches!(outcome.rest, Some(Unstored { fate: Fate::Unknown, .. })));
    }

    #[tokio::test]
    async fn a_sent_outcome_arrives() {
        let (sender, receipt) = Receipt::pending();
        sender.send(Outcome::stored(vec![Position::new(9)]));
        assert_eq!(receipt.await.stored, [Position::new(9)]);
    }
}
