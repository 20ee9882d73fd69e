//! Where a stream stands: everything needed to go on exactly where a pack ended.
//!
//! A [`Checkpoint`] comes with every pack. A consumer that keeps it together with what the pack led
//! to has each message's effect exactly once, however often it crashes:
//!
//! 1. **Open** the store with [`Committer::open`]. That takes it over: a consumer that was believed
//!    dead and isn't can't commit any more. It gives the last checkpoint and the program's state.
//! 2. **Resume** the stream there, or create its consumers where there is no checkpoint yet.
//! 3. **Consume** a pack and work it into the state.
//! 4. **Commit** [`MsgPack::end`](crate::MsgPack::end) and the state with [`Committer::commit`]: both
//!    are saved in one step, and once they are durable the subscriptions are acknowledged. Then the
//!    next pack. Not every pack needs a commit: what wasn't committed is consumed again.
//!
//! A crash before the save gives the pack again, to the state of before. A crash after it goes on
//! with the next pack.
//!
//! ```
//! # use std::sync::Arc;
//! use msgstream_core::checkpoint::CheckpointStore;
//! use msgstream_core::consume::Committer;
//! use msgstream_core::transport::{Start, Transport};
//! use msgstream_core::{Error, TickSource, ConsumerConfig, TtMsgStream};
//! # struct Totals(Vec<u8>);
//! # impl Totals {
//! #     fn read(state: &[u8]) -> Self { Self(state.to_vec()) }
//! #     fn add(&mut self, _: &msgstream_core::MsgPack) {}
//! #     fn write(&self) -> Vec<u8> { self.0.clone() }
//! # }
//!
//! /// Adds up orders, and goes on where the run before ended.
//! async fn add_up(
//!     transport: Arc<dyn Transport>,
//!     store: Arc<dyn CheckpointStore>,
//! ) -> Result<Totals, Error> {
//!     let (mut committer, stored) = Committer::open(store).await?;
//!     let mut totals = Totals::read(&stored.state);
//!     let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
//!     match &stored.checkpoint {
//!         Some(end) => stream.resume(Some("totals"), end, |_| TickSource::Written).await?,
//!         None => stream.create_consumers(Some("totals"), &["orders"], Start::Earliest).await?,
//!     }
//!     stream.start()?;
//!     while let Some(pack) = stream.consume().await? {
//!         totals.add(&pack);
//!         stream.commit(&mut committer, &pack.end, totals.write()).await?;
//!     }
//!     Ok(totals)
//! }
//! ```
//!
//! **A subscription's cursor alone is at-least-once.** It moves after the work was done, so a crash
//! in between repeats the work; and it says of a channel where to read on, but not which messages
//! read from there on were part of packs before, nor which are a producer's repetitions. The cursor
//! tells the broker what may be deleted. The checkpoint says where the stream stands.
//!
//! **What leaves the program** must be part of the state, or come out the same when a pack comes
//! again: packs do, to the byte, so a file that is named after a pack's end and replaced is as good.
//! A program with a database of its own needs no store: it keeps the checkpoint in the transaction
//! that has what the pack led to, and calls [`TtMsgStream::ack`](crate::TtMsgStream::ack) after it.
//!
//! A store of one's own is a few lines, see [`CheckpointStore`].

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

/// Where a [`TtMsgStream`](crate::TtMsgStream) stands after a pack.
///
/// It is a value: cheap to clone, and serialisable, so that it can be stored together with what
/// the packs led to. Resuming from it gives the packs that would have followed.
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
    /// One mark per channel. A persistent map: a pack shares what it didn't change with the packs
    /// before and after it.
    pub channels: OrdMap<Arc<str>, Mark>,
}

/// Where one channel stands in a [`Checkpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// Where reading goes on: the first record before `cut` that belongs to a later pack, else
    /// `cut`. A subscription may be acknowledged up to here, and no further. It never goes back
    /// from one checkpoint to a later one.
    pub resume: Position,
    /// The watermark just before `resume`.
    #[serde(rename = "floor")]
    pub watermark: Option<Timestamp>,
    /// The first tick at or after the frontier. Of an idle channel without one, the last record
    /// that was read, and `None` before there was any; `resume` may be just after it then. Records
    /// up to here are judged: whoever resumes takes them as they were taken before.
    pub cut: Option<Position>,
    /// Where the channel's producers stand at `cut`.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub producers: OrdMap<Arc<str>, ProducerState>,
    /// Where records from `resume` to `cut` were left out, as duplicates or void.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub dropped: Vector<Position>,
    /// Set on an idle channel whose ticks are behind the frontier: from this position on its watermark
    /// is at least the checkpoint's frontier, though no tick says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Position>,
    /// The life of the channel that the positions belong to, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}
