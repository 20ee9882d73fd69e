//! A checkpoint store in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::store::{CheckpointStore, Generation, StoreError, Stored};

/// A [`CheckpointStore`] in memory, for tests and simulations.
///
/// ```
/// # use std::sync::Arc;
/// # use msgstream_core::{Error, consume::Committer, checkpoint::MemoryStore};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let store = Arc::new(MemoryStore::default());
/// let (_committer, stored) = Committer::open(store).await?;
/// assert_eq!(stored.checkpoint, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Option<Stored>>);

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Option<Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        Ok(self.lock().clone())
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        let mut stored = self.lock();
        let found = stored.as_ref().map(|stored| stored.generation);
        if found != expected {
            return Err(StoreError::Conflict { expected, found });
        }
        *stored = Some(new.clone());
        Ok(())
    }
}
