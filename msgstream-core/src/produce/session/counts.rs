//! The counters of sessions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a session has done so far; of a [`MsgStream`](crate::MsgStream), all its sessions together.
///
/// ```
/// # use msgstream_core::{Producer, Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let order = |ts| msgstream_core::message::TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0]);
/// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().session(msgstream_core::produce::SessionConfig::new("billing-3")).open().await?;
/// producer.send(order(5)).await?;
/// let counts = producer.counts();
/// assert_eq!((counts.opened, counts.resent_records), (1, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounts {
    /// Sessions that were opened.
    pub opened: u64,
    /// Fences that were sent, including those that had to be sent again.
    pub fences_sent: u64,
    /// Times that opening read a channel again from its beginning, because the part that it read
    /// first didn't determine the sequence number.
    pub scans_restarted: u64,
    /// Bases that were sent: on opening, to confirm, and if no tick was written for long.
    pub bases_sent: u64,
    /// Batches that were sent again, in whole or in part.
    pub resent_batches: u64,
    /// Records that were sent again.
    pub resent_records: u64,
    /// Batches whose outcome was unknown until they were sent again and acknowledged.
    pub unknown_resolved: u64,
    /// Writers that were opened to replace failed ones.
    pub reopened_writers: u64,
    /// Ticks and bases that had to wait until the messages before them were acknowledged, and batches
    /// that had to wait for a tick of a pack, a base, or because much was sent ahead of a tick.
    pub held_back: u64,
    /// Ticks that messages after them were sent ahead of.
    pub overtaken_ticks: u64,
    /// Channels on which the session gave up.
    pub gave_up: u64,
    /// Successful confirmations.
    pub confirmed: u64,
    /// Times that opening or confirming found a newer epoch.
    pub fenced: u64,
    /// Channels on which the session was closed with a goodbye record.
    pub goodbyes: u64,
}

/// The counters, shared by everything that counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Mutex<SessionCounts>>);

impl Counts {
    pub(crate) fn get(&self) -> SessionCounts {
        *self.lock()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SessionCounts> {
        // Numbers are valid whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
