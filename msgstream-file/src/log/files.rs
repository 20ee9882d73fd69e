//! Files that stay open, as many as the process may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msgstream_core::record::Incarnation;

use crate::disk::DiskFile;

/// The segments that were used last, each open once to read and once to write.
///
/// A file is known by its incarnation, so one that is kept open over the channel's end is never
/// taken for that of the next one.
#[derive(Debug)]
pub(crate) struct Files {
    capacity: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<Key, (Arc<dyn DiskFile>, u64)>,
    /// Counts uses, so that the least recent one is known.
    uses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) incarnation: Incarnation,
    pub(super) segment: u64,
    pub(super) writes: bool,
}

impl Files {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, open: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a file that is open.
    pub(super) fn get(&self, key: Key) -> Option<Arc<dyn DiskFile>> {
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        let (file, used) = open.files.get_mut(&key)?;
        *used = uses;
        Some(Arc::clone(file))
    }

    /// Keeps a file open, in the place of the one that was used least recently.
    pub(super) fn keep(&self, key: Key, file: Arc<dyn DiskFile>) {
        let mut open = self.lock();
        while open.files.len() >= self.capacity.max(1) {
            let least = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            least.and_then(|key| open.files.remove(&key));
        }
        open.uses += 1;
        let uses = open.uses;
        open.files.insert(key, (file, uses));
    }

    /// Closes a file, as soon as nobody uses it.
    pub(super) fn forget(&self, key: Key) {
        self.lock().files.remove(&key);
    }

    /// Closes all files, as soon as nobody uses them.
    pub(crate) fn forget_all(&self) {
        self.lock().files.clear();
    }
}
