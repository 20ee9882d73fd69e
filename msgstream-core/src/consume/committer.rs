//! Saving checkpoints: [`Committer`].

use std::sync::Arc;

use bytes::Bytes;

use crate::checkpoint::{Checkpoint, CheckpointStore, Generation, StoreError, Stored};
use crate::error::{Error, Result};

/// How often a consumer that starts tries to take over from one that saves continually.
const CLAIMS: usize = 100;

/// Saves checkpoints to a store as its only owner. See [`checkpoint`](crate::checkpoint) for the
/// loop around it.
///
/// The last one to open a store owns it. The next save of the owner before fails with
/// [`Error::TakenOver`] and changes nothing.
#[derive(Debug)]
pub struct Committer {
    store: Arc<dyn CheckpointStore>,
    /// This consumer's newest generation that is known to be stored.
    held: Generation,
    counts: CommitCounts,
}

/// What a [`Committer`] has done so far.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
/// # use msgstream_core::{checkpoint::MemoryStore, consume::Committer};
/// let (committer, _) = Committer::open(std::sync::Arc::new(MemoryStore::default())).await?;
/// assert_eq!(committer.counts().commits, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitCounts {
    /// Checkpoints that were saved.
    pub commits: u64,
    /// Commits that were refused because another consumer took over.
    pub refused: u64,
    /// Saves that were cancelled or failed, and turned out to be stored nevertheless.
    pub resolved: u64,
}

impl Committer {
    /// Takes over a store, which may be empty, and returns what is in it. From now on no consumer
    /// that opened it before can commit.
    ///
    /// # Errors
    /// [`Error::Store`]. If other consumers commit or start continually, it has
    /// [`StoreError::Conflict`]: stop them, or try again.
    ///
    /// # Cancel safety
    /// After a cancelled call the store may be taken over from an earlier consumer. Open it again.
    pub async fn open(store: Arc<dyn CheckpointStore>) -> Result<(Self, Stored)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let found = store.load().await?;
            let expected = found.as_ref().map(|stored| stored.generation);
            let held = Generation::claim(expected);
            let claimed = Stored { generation: held, ..found.unwrap_or_default() };
            match store.save(expected, &claimed).await {
                Ok(()) => {
                    let counts = CommitCounts::default();
                    return Ok((Self { store, held, counts }, claimed));
                }
                Err(StoreError::Conflict { .. }) if tries < CLAIMS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Saves the checkpoint after a pack, [`MsgPack::end`](crate::MsgPack::end), together with the
    /// program's state, which [`Committer::open`] returns. Both replace what was saved before; the
    /// state may be empty. Acknowledge the checkpoint after this call.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
    /// # use std::sync::Arc;
    /// # use msgstream_core::checkpoint::{Checkpoint, MemoryStore};
    /// # use msgstream_core::consume::Committer;
    /// let store = Arc::new(MemoryStore::default());
    /// let (mut committer, _) = Committer::open(store.clone()).await?;
    /// committer.save(&Checkpoint::default(), "the state").await?;
    /// assert_eq!(committer.counts().commits, 1);
    ///
    /// let (_committer, stored) = Committer::open(store).await?;
    /// assert_eq!(stored.state, "the state");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::TakenOver`] if another consumer opened the store: stop. [`Error::Store`] if it
    /// isn't known whether the checkpoint is saved: save again, this checkpoint or a later one, and
    /// that call finds out. This call tries once.
    ///
    /// # Cancel safety
    /// After a cancelled call the checkpoint may be saved or not; the next call finds out.
    pub async fn save(&mut self, checkpoint: &Checkpoint, state: impl Into<Bytes>) -> Result<()> {
        self.put(Stored::new(self.held, Some(checkpoint.clone()), state.into())).await
    }

    /// Returns how many saves there were so far.
    #[must_use]
    pub const fn counts(&self) -> CommitCounts {
        self.counts
    }

    /// Saves under this consumer's next generation.
    async fn put(&mut self, mut new: Stored) -> Result<()> {
        loop {
            new.generation = self.held.next();
            let found = match self.store.save(Some(self.held), &new).await {
                Ok(()) => {
                    self.held = new.generation;
                    self.counts.commits += 1;
                    return Ok(());
                }
                Err(StoreError::Conflict { found, .. }) if found != Some(self.held) => found,
                Err(error) => return Err(error.into()),
            };
            // An earlier save was cancelled or failed, and took effect nevertheless: this one goes
            // on top of it. If it takes effect only later, it has the conflict.
            if let Some(own) = found.filter(|found| found.owner == self.held.owner) {
                self.held = own;
                self.counts.resolved += 1;
            } else {
                self.counts.refused += 1;
                return Err(Error::TakenOver { held: self.held, found });
            }
        }
    }
}
