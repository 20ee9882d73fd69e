//! Save, then acknowledge: [`Committer`].

use std::sync::Arc;

use bytes::Bytes;

use crate::checkpoint::{Checkpoint, CheckpointStore, Generation, StoreError, Stored};
use crate::error::{Error, Result};

/// How often a consumer that starts tries to take over from one that saves all the time.
const CLAIMS: usize = 100;

/// The only one that may commit to a store: saves checkpoints, and acknowledges them once they are
/// durable. See [the module](super) for the loop around it.
///
/// The last to open a store has it. Whoever had it before gets [`Error::TakenOver`] from its next
/// commit, which changes nothing.
#[derive(Debug)]
pub struct Committer {
    store: Arc<dyn CheckpointStore>,
    /// The newest of this consumer's own generations that is known to be stored.
    held: Generation,
    counts: CommitCounts,
}

/// What a [`Committer`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitCounts {
    /// Checkpoints that were saved.
    pub commits: u64,
    /// Commits that were refused because another consumer took over.
    pub refused: u64,
    /// Saves that were cancelled or failed, and turned out to be stored all the same.
    pub resolved: u64,
}

impl Committer {
    /// Takes over a store, also an empty one, and gives what is in it. From now on no consumer that
    /// opened it before can commit.
    ///
    /// # Errors
    /// [`Error::Store`]. Where other consumers commit or start all the time, it is
    /// [`StoreError::Conflict`]: stop them, or try again.
    ///
    /// # Cancel safety
    /// After a cancelled call the store may be taken from the consumer before. Open it again.
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

    /// Saves where a stream stands after a pack, [`MsgPack::end`](crate::MsgPack::end), together
    /// with what the packs led to. `state` is the program's own, as [`Committer::open`] returns it;
    /// it takes the place of the one before, and may be empty. Acknowledge the checkpoint after it.
    ///
    /// # Errors
    /// [`Error::TakenOver`]: another consumer goes on, so stop. [`Error::Store`]: whether the
    /// checkpoint is saved is not known; save again, this checkpoint or a later one, and that call
    /// finds out. Saving is tried once.
    ///
    /// # Cancel safety
    /// After a cancelled call the checkpoint may be saved or not; the next call finds out.
    pub async fn save(&mut self, checkpoint: &Checkpoint, state: impl Into<Bytes>) -> Result<()> {
        self.put(Stored::new(self.held, Some(checkpoint.clone()), state.into())).await
    }

    /// What was done so far.
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
            // A save that was cancelled or failed, and took effect all the same: this one goes on
            // top of it. Should it take effect only later, then it is the one with the conflict.
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
