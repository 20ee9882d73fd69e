//! Durable cursors.

use serde::{Deserialize, Serialize};

use super::{Held, Log, outside, read_sealed, replace_sealed};
use crate::error::{Result, failed};
use msgstream_core::transport::TransportErrorKind as Kind;

/// What the file of a cursor holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cursor {
    /// Everything before this offset is done; `None` if it was never moved.
    acked: Option<u64>,
}

impl Log {
    /// Makes a cursor, if it isn't there. The name is that of its file.
    pub(crate) fn make_cursor(&self, _held: &Held, name: &str) -> Result<()> {
        self.check()?;
        match self.cursor(name) {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == Kind::NotFound => {
                replace_sealed(&*self.disk, &self.path("cursors"), name, &Cursor { acked: None })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Moves a cursor durably. It never moves back.
    pub(crate) fn ack(&self, held: &Held, name: &str, before: u64) -> Result<()> {
        let published = self.recover(held)?;
        if before > published.end
            && let Some(failure) = outside(before, &published)
        {
            return Err(failure);
        }
        let acked = match self.cursor(name) {
            Err(failure) if failure.kind == Kind::NotFound => None,
            acked => acked?,
        };
        // It is written even if it is there already: whoever wrote it may have failed to make it
        // durable.
        let acked = acked.max(Some(before));
        replace_sealed(&*self.disk, &self.path("cursors"), name, &Cursor { acked })
    }

    /// Returns where a cursor stands; `None` if it was never moved.
    pub(crate) fn acked(&self, name: &str) -> Result<Option<u64>> {
        let acked = self.cursor(name);
        // Afterwards: else it may be the cursor of the channel that took this one's place.
        self.check()?;
        match acked {
            Err(failure) if failure.kind == Kind::NotFound => Ok(None),
            acked => acked,
        }
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>> {
        let cursor: Cursor = read_sealed(&*self.disk, &self.path("cursors").join(name))?;
        Ok(cursor.acked)
    }

    /// Returns the names of the files in the folder of cursors.
    pub(crate) fn cursors(&self) -> Result<Vec<String>> {
        let path = self.path("cursors");
        let files = self.disk.list(&path).map_err(failed("list", &path));
        // Afterwards: else they may be those of the channel that took this one's place.
        self.check()?;
        files
    }

    /// Removes a cursor, if it is there.
    pub(crate) fn remove_cursor(&self, _held: &Held, name: &str) -> Result<()> {
        self.check()?;
        let (cursors, path) = (self.path("cursors"), self.path("cursors").join(name));
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(failed("remove", &path))?,
        }
        self.disk.sync_folder(&cursors).map_err(failed("sync", &cursors))
    }
}
