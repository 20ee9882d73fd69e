//! Checkpoints: everything needed to continue exactly where a pack ended.
//!
//! Every pack comes with a [`Checkpoint`]. A consumer that saves it together with the results of
//! the pack processes each message exactly once, however often it crashes:
//!
//! 1. **Open** the store. That takes it over: a consumer that was believed dead and isn't can't
//!    commit any more. Opening returns the last checkpoint and the program's state.
//! 2. **Resume** from that checkpoint, or begin at the start if there is none yet.
//! 3. **Consume** a pack and apply it to the state.
//! 4. **Commit** the checkpoint [`MsgPack::end`](crate::MsgPack::end) and the state: both are saved
//!    in one step, and once they are durable the subscriptions are acknowledged. Then consume the
//!    next pack. Not every pack needs a commit: what wasn't committed is consumed again.
//!
//! After a crash before the save, the pack comes again, to the state from before it. After a crash
//! later, the next pack follows.
//!
//! ```
//! # use std::sync::Arc;
//! use msgstream_core::checkpoint::{CheckpointStore, MemoryStore};
//! use msgstream_core::{Consumer, Error};
//! # use msgstream_core::{Producer, Timestamp, transport::Transport};
//!
//! /// Counts orders, and continues where the last run ended.
//! async fn count(broker: Arc<dyn Transport>, store: Arc<dyn CheckpointStore>) -> Result<usize, Error> {
//!     let builder = Consumer::builder(broker).channels(["orders"]).subscription("count");
//!     let (mut packs, mut orders) = builder.store(store).open_with(|| 0).await?;
//!     while let Some(pack) = packs.next_pack().await? {
//!         orders += pack.msgs.len();
//!         packs.commit(&pack, &orders).await?;
//!     }
//!     Ok(orders)
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! # let broker = Arc::new(msgstream_mem::MemTransport::new(Default::default()));
//! # let mut producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing().open().await?;
//! # producer.send(msgstream_core::message::TimeSyncMsg::new(Timestamp(5)).with_hash_keys([0])).await?;
//! # producer.end(Timestamp(5)).await?;
//! let store: Arc<dyn CheckpointStore> = Arc::new(MemoryStore::default());
//! assert_eq!(count(broker.clone(), store.clone()).await?, 1);
//! assert_eq!(count(broker, store).await?, 1, "the second run counts nothing again");
//! # Ok(()) }
//! ```
//!
//! [`TtMsgStream`](crate::TtMsgStream) has the same steps by hand, with a
//! [`Committer`](crate::consume::Committer).
//!
//! **A subscription's cursor alone is at-least-once.** It moves after the work was done, so a crash
//! in between repeats the work. And it only says where to continue reading a channel, not which
//! messages after that place were in earlier packs, or which are copies. The cursor shows the
//! broker what it may delete. The checkpoint says where the consumer is.
//!
//! **Side effects** outside of the state must be the same when a pack comes again. Packs are, to
//! the byte: for example, a file that is named after a pack's end may be written again. A program
//! with a database of its own needs no store: it saves the checkpoint in the same transaction as
//! the results of the pack, and calls [`Consumer::ack`](crate::Consumer::ack) after the
//! transaction.
//!
//! A store of your own takes a few lines, see [`CheckpointStore`].

mod file;
mod format;
mod memory;
mod store;

use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

pub use self::file::FileStore;
pub use self::memory::MemoryStore;
pub use self::store::{CheckpointStore, Generation, StoreError, Stored};
use crate::dedup::ProducerState;
use crate::record::Timestamp;
use crate::record::{Incarnation, Position};

/// Where a [`Consumer`](crate::Consumer) is after a pack.
///
/// It is a value: cheap to clone, and serialisable, so that it can be saved together with the
/// results of the packs. Resuming from it returns the packs that would have followed.
///
/// ```
/// use msgstream_core::checkpoint::Checkpoint;
/// let stored = serde_json::to_string(&Checkpoint::default())?;
/// assert_eq!(serde_json::from_str::<Checkpoint>(&stored)?, Checkpoint::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The end of the last pack; `None` before the first.
    pub frontier: Option<Timestamp>,
    /// One mark per channel. The map is persistent: checkpoints share what didn't change between
    /// them.
    pub channels: OrdMap<Arc<str>, Mark>,
}

/// Where one channel is in a [`Checkpoint`].
///
/// ```
/// use msgstream_core::checkpoint::Mark;
/// let mark: Mark = serde_json::from_str(r#"{"resume":[7,0,0],"floor":5,"cut":[9,0,0]}"#)?;
/// assert_eq!(mark.watermark, Some(msgstream_core::Timestamp(5)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// Where reading continues: the first record before `cut` that belongs to a later pack, or
    /// `cut` if there is none. A subscription may be acknowledged up to here, and no further. It
    /// never goes back from one checkpoint to a later one.
    pub resume: Position,
    /// The channel's watermark just before `resume`. It is stored as `floor`.
    #[serde(rename = "floor")]
    pub watermark: Option<Timestamp>,
    /// The first tick at or after the frontier. For an idle channel without one, the last record
    /// that was read, `None` before there was any; then `resume` may be just after it. Up to here
    /// it is decided which records are duplicates or void, and a resumed consumer decides the same.
    pub cut: Option<Position>,
    /// The state of the channel's producers at `cut`.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub producers: OrdMap<Arc<str>, ProducerState>,
    /// The positions from `resume` to `cut` of records that were dropped as duplicates or void.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub dropped: Vector<Position>,
    /// Set for an idle channel whose ticks are behind the frontier: from this position on its
    /// watermark is at least the checkpoint's frontier, although no tick raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Position>,
    /// The incarnation of the channel that the positions belong to, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}
