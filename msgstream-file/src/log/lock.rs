//! Who writes.

use super::Log;
use crate::disk::{Access, DiskFile};
use crate::error::{Result, failed};
use crate::planted::{Bug, planted};

/// The lock of a channel, which is given up when this is dropped, or its process ends.
#[derive(Debug)]
pub(crate) struct Held(
    #[allow(dead_code, reason = "it is held, not used")] pub(super) Box<dyn DiskFile>,
);

/// One of a channel's two locks. Whoever waits for the other holds `Turn`, so that a process that
/// writes all the time has to wait for its turn, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Turn,
    Write,
}

impl Log {
    /// Takes a lock; `None` if somebody else has it.
    ///
    /// # Errors
    /// Fails if the channel was deleted, which may happen while the lock is waited for.
    pub(crate) fn try_lock(&self, lock: Lock) -> Result<Option<Held>> {
        let path = self.path(match lock {
            Lock::Turn => "turn",
            Lock::Write => "lock",
        });
        let lock = || {
            let file = self.disk.open(&path, Access::Write)?;
            Ok(file.try_lock()?.then_some(file))
        };
        let Some(file) = lock().map_err(failed("lock", &path))? else {
            return Ok(None);
        };
        if !planted(Bug::LockOnDeadFile) {
            // The file that is locked must be the one that is there, or its folder is on its way
            // out, and what is written into it would vanish with it.
            let same = || Ok(file.identity()? == self.disk.identity(&path)?);
            if !same().map_err(failed("lock", &path))? {
                self.check()?;
                return Ok(None);
            }
        }
        Ok(Some(Held(file)))
    }

    /// Takes the lock to write if nobody else has it, or waits for it.
    pub(crate) fn try_both_locks(&self) -> Result<Option<Held>> {
        let Some(_turn) = self.try_lock(Lock::Turn)? else { return Ok(None) };
        self.try_lock(Lock::Write)
    }
}
