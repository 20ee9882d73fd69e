//! Where checkpoints are saved: [`CheckpointStore`].

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

/// Stores the newest checkpoint of one consumer, and decides between two processes that both act as
/// that consumer: a register with compare-and-set.
///
/// Programs pass a store to [`ConsumerBuilder::store`](crate::consume::ConsumerBuilder::store) or
/// to a [`Committer`](crate::consume::Committer). A store of your own needs a database that can set
/// a row only if it still has the expected generation:
///
/// ```
/// use std::sync::Mutex;
/// use msgstream_core::checkpoint::{CheckpointStore, Generation, StoreError, Stored};
///
/// #[derive(Debug, Default)]
/// struct Row(Mutex<Option<Stored>>);
///
/// #[async_trait::async_trait]
/// impl CheckpointStore for Row {
///     async fn load(&self) -> Result<Option<Stored>, StoreError> {
///         Ok(self.0.lock().unwrap().clone())
///     }
///
///     async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
///         let mut row = self.0.lock().unwrap();
///         let found = row.as_ref().map(|stored| stored.generation);
///         if found != expected {
///             return Err(StoreError::Conflict { expected, found });
///         }
///         *row = Some(new.clone());
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait CheckpointStore: fmt::Debug + Send + Sync + 'static {
    /// Returns what was saved last; `None` only if it is certain that nothing is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Io`], [`StoreError::Other`].
    ///
    /// # Cancel safety
    /// Cancelling has no effect.
    async fn load(&self) -> Result<Option<Stored>, StoreError>;

    /// Replaces what has the generation `expected`, or nothing, by `new`, in one step: of two
    /// savers that expect the same, one gets [`StoreError::Conflict`]. `Ok` means that it is
    /// durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if something else is there: `new` is not stored. After every other
    /// error it may be stored.
    ///
    /// # Cancel safety
    /// After a cancelled call `new` may be stored, now or a while later. Save again with the same
    /// `expected`: only one of the two takes effect, and a conflict says which.
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

/// What is in a store.
///
/// ```
/// use msgstream_core::checkpoint::{Generation, Stored};
/// let stored = Stored::new(Generation::claim(None), None, "the state".into());
/// assert_eq!(stored.state, "the state");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The save that it comes from.
    pub generation: Generation,
    /// The checkpoint; `None` if a consumer has opened the store and not committed yet.
    pub checkpoint: Option<Checkpoint>,
    /// The program's state after the packs up to the checkpoint, in its own encoding. May be empty.
    pub state: Bytes,
}

impl Stored {
    /// Returns a value with these parts.
    #[must_use]
    pub const fn new(generation: Generation, checkpoint: Option<Checkpoint>, state: Bytes) -> Self {
        Self { generation, checkpoint, state }
    }
}

/// Omits the state, which only the program can interpret.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("generation", &self.generation)
            .field("checkpoint", &self.checkpoint)
            .field("state_bytes", &self.state.len())
            .finish()
    }
}

/// Identifies a save of a store. No two are equal, not even after the store was emptied.
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
    /// Who saved: a random number that each consumer draws when it starts.
    pub owner: u64,
}

impl Generation {
    /// Returns the generation after `found`, or the first one, of a new owner.
    ///
    /// ```
    /// # use msgstream_core::checkpoint::Generation;
    /// let found = Generation::from_parts(7, 0xabcd);
    /// let claimed = Generation::claim(Some(found));
    /// assert_eq!(claimed.number, 8);
    /// assert_ne!(claimed.owner, found.owner);
    /// ```
    #[must_use]
    pub fn claim(found: Option<Self>) -> Self {
        // The only source of random numbers in the standard library.
        let owner = RandomState::new().hash_one(std::process::id());
        Self { owner, ..found.unwrap_or_default() }.next()
    }

    /// Returns the next generation of the same owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), owner: self.owner }
    }

    /// Returns the generation with these numbers, for a store of your own.
    ///
    /// ```
    /// # use msgstream_core::checkpoint::Generation;
    /// let found = Generation::from_parts(7, 0xabcd);
    /// assert_eq!(found.next().number, 8);
    /// ```
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

/// An error of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another consumer saved meanwhile, or the store was emptied.
    #[error(
        "the checkpoint was not saved: the store has {}, but {} was expected; load again",
        Is(*found),
        Is(*expected)
    )]
    Conflict {
        /// The generation that the caller expected; `None` is nothing.
        expected: Option<Generation>,
        /// The generation that is there; `None` is nothing.
        found: Option<Generation>,
    },
    /// What is in the store can't be read as a checkpoint. Starting without one would repeat
    /// everything, so a person has to decide.
    #[error(
        "the checkpoint in {} is corrupt: {what}; restore it from a copy, or remove it to start from the beginning",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What the parser found, if there is one.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A file operation failed. A save may have taken effect nevertheless.
    #[error("the checkpoint store can't {operation} {}; check that the directory is there and writable", path.display())]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A store that is not part of this library failed. A save may have taken effect nevertheless.
    #[error("the checkpoint store failed; try again once it works")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

/// Displays a generation, or `nothing`, in an error's text.
pub(super) struct Is(pub(super) Option<Generation>);

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(generation) => write!(f, "generation {generation}"),
            None => f.write_str("nothing"),
        }
    }
}
