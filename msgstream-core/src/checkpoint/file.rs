//! A checkpoint store that is a file.

use std::ffi::OsString;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::format::{decode, encode};
use super::store::{CheckpointStore, Generation, StoreError, Stored};

/// How long a save waits for another one. It takes that long only where a process was stopped in
/// the middle of a save.
const PATIENCE: Duration = Duration::from_secs(10);

/// A [`CheckpointStore`] in a file, for consumers on one machine.
///
/// A save writes a file beside it, `NAME.tmp`, flushes it to the disk and renames it, so a reader,
/// also one after a crash or a power cut, finds the checkpoint of before or the new one. A lock on
/// `NAME.lock` keeps two processes from saving at once; that file stays, and must stay while a
/// consumer runs. On a network file system this holds only as far as its locks do.
///
/// The file's permissions stay as they are. A file that isn't there yet is made with those of any new
/// file: where others mustn't read it, make the folder private.
///
/// What is in the file has a checksum: a damaged one is [`StoreError::Corrupt`], never taken for no
/// checkpoint.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::checkpoint::{CheckpointStore, FileStore};
///
/// let store: Arc<dyn CheckpointStore> = Arc::new(FileStore::new("/var/lib/shop/orders.checkpoint"));
/// ```
///
/// It needs a tokio runtime, on whose threads for blocking work it uses the disk.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// A store in the file of this path. The folder must be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Option<Stored>, StoreError> {
        match fs::read(&self.path) {
            Ok(bytes) => match decode(&bytes) {
                Ok(stored) => Ok(Some(stored)),
                Err(what) => Err(StoreError::Corrupt { path: self.path.clone(), what }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A disk that isn't mounted is no new beginning.
                fs::metadata(self.folder()).map_err(failed("look into", self.folder()))?;
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
        sync_folder(self.folder()).map_err(failed("flush the folder", self.folder()))
    }

    /// Keeps others from saving, until it is dropped.
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

    /// Who may use the file; `None` where there is none yet.
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

/// Does what may wait for a disk where it keeps no other task waiting.
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

/// Makes a new file, which nobody may read who mustn't. What a crash left there goes; so does a link,
/// which isn't followed.
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

/// Makes a rename in a folder durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders can't be flushed; the file system's own journal keeps renames.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
