//! What a producer can do in a session alone.

use super::{InSession, Producer};
use crate::error::Result;
use crate::produce::session::{Opened, SessionCounts};

impl Producer<InSession> {
    /// Returns what opening the session found: its epoch, and the sequence number of this
    /// producer's last message on each channel.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().session(msgstream_core::produce::SessionConfig::new("billing-3")).open().await?;
    /// producer.send(order(5)).await?;
    /// producer.close().await?;
    ///
    /// let again = msgstream_core::produce::SessionConfig::new("billing-3");
    /// let producer = Producer::builder(broker).channels(["orders-0"]).session(again).open().await?;
    /// assert_eq!(producer.opened().last["orders-0"], 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.session.opened
    }

    /// Returns what the session has done so far.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        self.session.counts.get()
    }

    /// Makes sure that everything that was acknowledged before the call counts: that no newer
    /// session of the producer had begun. A program confirms before it forgets what it wrote.
    ///
    /// This writes one record to the home channel and reads up to it.
    ///
    /// ```
    /// # use msgstream_core::{Producer, Timestamp};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
    /// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
    /// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().session(msgstream_core::produce::SessionConfig::new("billing-3")).open().await?;
    /// producer.send(order(5)).await?;
    /// producer.confirm().await?;
    /// assert_eq!(producer.counts().confirmed, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced) if a newer session began: what was acknowledged
    /// since the last successful call may be void, and the producer sends nothing more.
    /// [`Error::Transport`](crate::Error::Transport) if the home channel fails.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing; the call may be repeated.
    pub async fn confirm(&mut self) -> Result<()> {
        self.writers.confirm().await
    }
}
