//! Where a checkpoint is kept: [`CheckpointStore`].

use std::error::Error as StdError;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Checkpoint;

/// Keeps the newest checkpoint of one consumer, and decides between two that both believe to be
/// that consumer: a register with compare-and-set.
///
/// Programs hand a store to a [`Committer`](super::Committer). What a store of one's own needs is
/// a database that sets a row if it still has the generation that was expected.
#[async_trait]
pub trait CheckpointStore: fmt::Debug + Send + Sync + 'static {
    /// What was saved last; `None` only where it is certain that nothing is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Io`], [`StoreError::Other`].
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn load(&self) -> Result<Option<Stored>, StoreError>;

    /// Puts `new` in the place of what has the generation `expected`, or of nothing. In one step:
    /// of two savers that expect the same, one gets [`StoreError::Conflict`]. Ok means that it is
    /// durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where something else is there: `new` is not stored. After every
    /// other error it may be.
    ///
    /// # Cancel safety
    /// After a cancelled call `new` may be stored, now or a while later. Save again with the same
    /// `expected`: only one of the two takes effect, and a conflict tells which.
    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError>;
}

#[async_trait]
impl<T: CheckpointStore + ?Sized> CheckpointStore for Arc<T> {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        (**self).load().await
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        (**self).save(expected, new).await
    }
}

/// What a store keeps.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Which save it is.
    pub generation: Generation,
    /// Where the stream stands; `None` where a consumer has begun that hasn't committed yet.
    pub checkpoint: Option<Checkpoint>,
    /// What the packs up to there led to, in the program's own bytes; or nothing.
    pub state: Bytes,
}

impl Stored {
    /// A checkpoint, and the state that goes with it.
    #[must_use]
    pub const fn new(generation: Generation, checkpoint: Option<Checkpoint>, state: Bytes) -> Self {
        Self { generation, checkpoint, state }
    }
}

/// Without the state, which is the program's own affair.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("generation", &self.generation)
            .field("checkpoint", &self.checkpoint)
            .field("state_bytes", &self.state.len())
            .finish()
    }
}

/// Which save of a store is meant: no two are equal, not even after the store was emptied.
///
/// ```
/// use msgstream_core::checkpoint::Generation;
/// let (mine, yours) = (Generation::claim(None), Generation::claim(None));
/// assert_ne!(mine, yours);
/// assert_eq!(mine.next().owner, mine.owner);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generation {
    /// Grows by one with each save.
    pub number: u64,
    /// Who saved: a number that each consumer draws when it starts.
    pub owner: u64,
}

impl Generation {
    /// The one after `found`, or the first, of a new owner.
    #[must_use]
    pub fn claim(found: Option<Self>) -> Self {
        // The one source of random numbers in the standard library.
        let owner = RandomState::new().hash_one(std::process::id());
        Self { owner, ..found.unwrap_or_default() }.next()
    }

    /// The next one of the same owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), owner: self.owner }
    }

    /// These numbers, as a store of one's own has kept them.
    #[must_use]
    pub const fn from_parts(number: u64, owner: u64) -> Self {
        Self { number, owner }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:016x}", self.number, self.owner)
    }
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else saved in the meantime, or emptied the store.
    #[error(
        "the checkpoint was not saved: the store has {}, and {} was expected; load again",
        Is(*found),
        Is(*expected)
    )]
    Conflict {
        /// What the caller had seen last; `None` is nothing.
        expected: Option<Generation>,
        /// What is there; `None` is nothing.
        found: Option<Generation>,
    },
    /// Something is there that can't be read as a checkpoint. Starting without one would repeat
    /// everything, so that is for a person to decide.
    #[error(
        "the checkpoint in {} is corrupt: {what}; restore it from a copy, or remove it to start anew",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file can't be used. A save may have taken effect all the same.
    #[error("can't {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A store that is not of this library failed. A save may have taken effect all the same.
    #[error("the checkpoint store failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

/// A generation, or none, in an error's text.
pub(super) struct Is(pub(super) Option<Generation>);

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(generation) => write!(f, "generation {generation}"),
            None => f.write_str("nothing"),
        }
    }
}
