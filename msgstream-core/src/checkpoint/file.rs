//! A checkpoint store that is a file.

use std::ffi::OsString;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::format::{Wrong, decode, encode};
use super::store::{CheckpointStore, Generation, StoreError, Stored};

/// How long a save waits for another one. It takes that long only if a process was stopped in the
/// middle of a save.
const PATIENCE: Duration = Duration::from_secs(10);

/// A [`CheckpointStore`] in a file, for consumers on one machine.
///
/// A save writes to a file beside it, `NAME.tmp`, flushes it to the disk and renames it. So a
/// reader finds either the old checkpoint or the new one, even after a crash or a power cut. A lock
/// on `NAME.lock` keeps two processes from saving at once. That file stays, and must not be deleted
/// while a consumer runs. On a network file system this is only as reliable as its locks.
///
/// The file's permissions are preserved. A new file gets default permissions: if others mustn't
/// read it, make the directory private.
///
/// The file has a checksum: a damaged one is [`StoreError::Corrupt`], never mistaken for a missing
/// checkpoint.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::checkpoint::{CheckpointStore, FileStore};
///
/// let store: Arc<dyn CheckpointStore> = Arc::new(FileStore::new("/var/lib/shop/orders.checkpoint"));
/// ```
///
/// It must be used in a tokio runtime, and accesses the disk on its threads for blocking work.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Creates a store in the file of this path. The directory must exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of the file.
    ///
    /// ```
    /// use std::path::Path;
    /// # use msgstream_core::checkpoint::FileStore;
    /// assert_eq!(FileStore::new("orders.checkpoint").path(), Path::new("orders.checkpoint"));
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Option<Stored>, StoreError> {
        match fs::read(&self.path) {
            Ok(bytes) => match decode(&bytes) {
                Ok(stored) => Ok(Some(stored)),
                Err(Wrong { what, source }) => {
                    let source = source.map(Into::into);
                    Err(StoreError::Corrupt { path: self.path.clone(), what, source })
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // If the disk isn't mounted, that is an error, not a missing checkpoint.
                fs::metadata(self.folder()).map_err(failed("open the directory", self.folder()))?;
                Ok(None)
            }
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }

    fn replace(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let found = self.read()?.map(|stored| stored.generation);
        if found != expected {
            return Err(StoreError::Conflict { expected, found });
        }
        let temporary = self.beside(".tmp");
        let write = || {
            let bytes = encode(new)?;
            let mut file = create(&temporary, self.permissions()?)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(failed("write", &temporary))?;
        fs::rename(&temporary, &self.path).map_err(failed("replace", &self.path))?;
        sync_folder(self.folder()).map_err(failed("flush the directory", self.folder()))
    }

    /// Locks the store against other savers, until the returned file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.beside(".lock");
        let open = File::options().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(failed("open", &path))?;
        let began = Instant::now();
        loop {
            let error = match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => error,
                Err(TryLockError::WouldBlock) if began.elapsed() > PATIENCE => {
                    ErrorKind::TimedOut.into()
                }
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
            };
            return Err(failed("lock", &path)(error));
        }
    }

    /// Returns the file's permissions; `None` if it doesn't exist yet.
    fn permissions(&self) -> io::Result<Option<Permissions>> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(Some(found.permissions())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        path.into()
    }
}

#[async_trait]
impl CheckpointStore for FileStore {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let store = self.clone();
        blocking(&self.path, move || store.read()).await
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        let (store, new) = (self.clone(), new.clone());
        blocking(&self.path, move || store.replace(expected, &new)).await
    }
}

/// Runs work that waits for a disk on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|ended| Err(failed("use", path)(io::Error::other(ended))))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { operation, path, source }
}

/// Creates a new file with these permissions from the beginning. A leftover of a crash is removed;
/// so is a link, which isn't followed.
fn create(path: &Path, permissions: Option<Permissions>) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    let Some(permissions) = permissions else { return options.open(path) };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.set_permissions(permissions)?;
    Ok(file)
}

/// Makes a rename in a directory durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems can't flush directories; the file system's journal keeps renames.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
