//! What became of a batch that was handed to a writer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{TransportError, TransportErrorKind};
use crate::record::Position;

/// What became of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The positions of the records that are stored: the first ones of the batch, in order.
    pub stored: Vec<Position>,
    /// What became of the rest, `None` where there is none.
    pub rest: Option<(Fate, TransportError)>,
}

impl Outcome {
    /// All is stored.
    #[must_use]
    pub const fn stored(positions: Vec<Position>) -> Self {
        Self { stored: positions, rest: None }
    }

    /// The first records are stored, the rest is not, or not for certain.
    #[must_use]
    pub const fn partial(stored: Vec<Position>, fate: Fate, error: TransportError) -> Self {
        Self { stored, rest: Some((fate, error)) }
    }
}

/// What is known of records that were not acknowledged.
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

#[derive(Debug)]
enum State {
    Ready(Option<Outcome>),
    Pending(oneshot::Receiver<Outcome>),
}

impl Receipt {
    /// A receipt whose outcome is known already.
    pub const fn ready(outcome: Outcome) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// A receipt, and what fulfils it. A sender that is dropped makes the outcome
    /// [`Fate::Unknown`].
    pub fn pending() -> (ReceiptSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (ReceiptSender(sender), Self(State::Pending(receiver)))
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
        };
        Poll::Ready(outcome.unwrap_or_else(|| {
            let error = TransportError::new("submit", TransportErrorKind::Closed);
            Outcome::partial(Vec::new(), Fate::Unknown, error)
        }))
    }
}

/// Fulfils a [`Receipt`].
#[derive(Debug)]
pub struct ReceiptSender(oneshot::Sender<Outcome>);

impl ReceiptSender {
    /// Says what became of the batch. Nobody listening any more is no error.
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
        assert!(matches!(outcome.rest, Some((Fate::Unknown, _))));
    }

    #[tokio::test]
    async fn a_sent_outcome_arrives() {
        let (sender, receipt) = Receipt::pending();
        sender.send(Outcome::stored(vec![Position::new(9)]));
        assert_eq!(receipt.await.stored, [Position::new(9)]);
    }
}
