//! The log of one channel: a folder of segments, and the rules that keep what was acknowledged.
//!
//! | file | what it is |
//! | --- | --- |
//! | `channel` | the channel's name, incarnation and properties; written once |
//! | `00000000000000000000.log` | a segment, named by the offset of its first record |
//! | `end` | the [published end](Published): readers read up to it, and no further |
//! | `bounds` | the first offset that is left, and offsets that are reserved; durable |
//! | `cursors/NAME` | a durable cursor |
//! | `lock`, `turn` | locks; these two files are never replaced while the channel lives |
//!
//! Any process may write. It takes the lock, cuts what is beyond the published end, appends, syncs,
//! publishes, and only then acknowledges. So a record that a reader has seen is durable, and one
//! that a failed or killed writer left behind is never taken up: its sync may have failed, and then
//! the system shows it as written though it isn't on the disk.
//!
//! What is published counts in this boot of the machine. In another one, whoever comes first scans
//! the last segment and publishes anew.
//!
//! Everything here blocks.

mod append;
mod batch;
mod bounds;
mod buffer;
mod create;
mod cursor;
mod files;
mod lock;
mod place;
mod publish;
mod read;
mod recover;
mod repair;
mod retain;
mod roll;
mod seek;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::TransportErrorKind as Kind;
use serde::{Deserialize, Serialize};

pub(crate) use self::append::Writing;
pub(crate) use self::batch::Batch;
pub(crate) use self::create::{create, delete, new_incarnation, remove_remains};
pub(crate) use self::files::Files;
pub(crate) use self::lock::{Held, Lock};
pub(crate) use self::place::Place;
use crate::disk::{Access, Disk, read_up_to, write_all};
use crate::error::{Result, failed, wrong};
use crate::format::published::Published;
use crate::format::sealed::{seal, unseal};
use crate::format::segment;
use crate::planted::{Bug, planted};

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Before it is published.
    #[default]
    Commit,
    /// Some time after it was published.
    Later,
}

/// What a writer keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) sync: SyncMode,
    /// A segment of this size is followed by a new one, in bytes.
    pub(crate) segment_bytes: u64,
    /// How much is kept, in bytes.
    pub(crate) max_bytes: Option<u64>,
    /// How long records are kept.
    pub(crate) max_age: Option<Duration>,
}

/// What `channel` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) properties: BTreeMap<String, String>,
}

/// The log of one incarnation of a channel.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    files: Arc<Files>,
    folder: PathBuf,
    incarnation: Incarnation,
}

impl Log {
    /// Returns the log in a folder, and what is known of it.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        files: &Arc<Files>,
        folder: &Path,
    ) -> Result<(Self, About)> {
        let about: About = read_sealed(&**disk, &folder.join("channel"))?;
        let (disk, files) = (Arc::clone(disk), Arc::clone(files));
        let incarnation = about.incarnation;
        Ok((Self { disk, files, folder: folder.to_owned(), incarnation }, about))
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn segment_path(&self, first: u64) -> PathBuf {
        self.path(&segment::file_name(first))
    }

    /// Returns the first offsets of the segments that are there, sorted.
    fn segments(&self) -> Result<Vec<u64>> {
        let names = self.disk.list(&self.folder).map_err(failed("list", &self.folder))?;
        let mut firsts: Vec<_> = names.iter().filter_map(|name| segment::first_of(name)).collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Makes the channel's own name durable. The one who created it may have been killed before it
    /// was, and what is acknowledged must not vanish with the folder.
    pub(crate) fn keep(&self) -> Result<()> {
        let root = self.folder.parent().unwrap_or(&self.folder);
        self.disk.sync_folder(root).map_err(failed("sync", root))
    }

    /// Fails unless the folder is still that of this incarnation.
    fn check(&self) -> Result<()> {
        let about: About = read_sealed(&*self.disk, &self.path("channel"))?;
        match about.incarnation == self.incarnation {
            true => Ok(()),
            false => Err(self.replaced(about.incarnation)),
        }
    }

    fn is_own(&self, incarnation: u128) -> bool {
        incarnation == self.incarnation.0 || planted(Bug::LockOnDeadFile)
    }

    fn replaced(&self, found: Incarnation) -> Failure {
        Kind::WrongIncarnation { expected: self.incarnation, found }.into()
    }
}

/// Returns the failure of a position that isn't in a channel any more, or not yet.
pub(crate) fn outside(offset: u64, published: &Published) -> Option<Failure> {
    let position = Position::new(offset);
    let kind = if offset < published.first {
        Kind::PositionTrimmed { position, first: Position::new(published.first) }
    } else if offset > published.end {
        Kind::PositionBeyondEnd { position, end: Position::new(published.end) }
    } else {
        return None;
    };
    Some(kind.into())
}

/// Reads a whole small file.
fn read_small(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    const LARGEST: usize = 16 << 20;
    let read = || {
        let file = disk.open(path, Access::Read)?;
        let length = file.length()?;
        let mut bytes = Vec::new();
        read_up_to(&*file, &mut bytes, usize::try_from(length).unwrap_or(LARGEST).min(LARGEST), 0)?;
        Ok(bytes)
    };
    read().map_err(failed("read", path))
}

fn read_sealed<T: serde::de::DeserializeOwned>(disk: &dyn Disk, path: &Path) -> Result<T> {
    unseal(&read_small(disk, path)?).map_err(|what| wrong(path, what))
}

/// Writes a small file and syncs it, not its name.
fn write_small(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        // One that is there is never emptied: after a power cut a file system without a journal may
        // show a file that was renamed by its old name, too, and it may be in use by the other.
        match disk.remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
        let file = disk.open(path, Access::Replace)?;
        write_all(&*file, bytes, 0)?;
        file.sync()
    };
    write().map_err(failed("write", path))
}

fn sealed<T: Serialize>(value: &T, path: &Path) -> Result<Vec<u8>> {
    seal(value).map_err(|error| failed("encode", path)(error.into()))
}

/// Replaces a small file durably. After a failure the old content or the new one is there.
fn replace_sealed<T: Serialize>(
    disk: &dyn Disk,
    folder: &Path,
    name: &str,
    value: &T,
) -> Result<()> {
    let (path, new) = (folder.join(name), folder.join(".new"));
    write_small(disk, &new, &sealed(value, &path)?)?;
    disk.rename(&new, &path).map_err(failed("replace", &path))?;
    disk.sync_folder(folder).map_err(failed("sync", folder))
}
