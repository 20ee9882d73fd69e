//! A checkpoint store that is a file.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
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
            let mut file = File::create(&temporary)?;
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::collections::BTreeSet;

    use super::*;

    fn stored(generation: Generation, bytes: usize) -> Stored {
        Stored::new(generation, None, vec![generation.number as u8; bytes].into())
    }

    fn folder() -> (tempfile::TempDir, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("checkpoint"));
        (folder, store)
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded_by_another() {
        let (_folder, store) = folder();
        assert_eq!(store.load().await.unwrap(), None);
        let first = stored(Generation::claim(None), 3);
        store.save(None, &first).await.unwrap();
        let another = FileStore::new(store.path());
        assert_eq!(another.load().await.unwrap(), Some(first.clone()));
        let second = stored(first.generation.next(), 0);
        another.save(Some(first.generation), &second).await.unwrap();
        assert_eq!(store.load().await.unwrap(), Some(second));
    }

    #[tokio::test]
    async fn what_cant_be_read_isnt_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let refused = FileStore::new(folder.path()).load().await;
        assert!(matches!(refused, Err(StoreError::Io { operation: "read", .. })), "{refused:?}");
    }

    #[test]
    fn a_name_alone_is_in_the_current_folder() {
        assert_eq!(FileStore::new("checkpoint").folder(), Path::new("."));
        assert_eq!(FileStore::new("state/checkpoint").folder(), Path::new("state"));
    }

    #[tokio::test]
    async fn a_wrong_generation_is_a_conflict_and_changes_nothing() {
        let (_folder, store) = folder();
        let first = stored(Generation::claim(None), 3);
        let other = Generation::claim(None);
        let expects = async |wrong: Option<Generation>, there: Option<Generation>| {
            let refused = store.save(wrong, &stored(Generation::claim(wrong), 1)).await;
            let Err(StoreError::Conflict { expected, found }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((expected, found), (wrong, there));
        };
        expects(Some(other), None).await;
        assert_eq!(store.load().await.unwrap(), None);
        store.save(None, &first).await.unwrap();
        for wrong in [None, Some(other), Some(first.generation.next())] {
            expects(wrong, Some(first.generation)).await;
        }
        assert_eq!(store.load().await.unwrap(), Some(first));
    }

    /// Each saver loads and saves in its turn; no two ever replace the same.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_savers_that_expect_the_same_one_wins() {
        const SAVES: u64 = 60;
        let (_folder, shared) = folder();
        let saver = |store: FileStore| async move {
            let mut won = Vec::new();
            loop {
                let found = store.load().await.unwrap().map(|stored| stored.generation);
                let new = Generation::claim(found);
                if new.number > SAVES {
                    return won;
                }
                match store.save(found, &stored(new, 9)).await {
                    Ok(()) => won.push(new.number),
                    Err(StoreError::Conflict { expected, found }) => assert_ne!(expected, found),
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let savers: Vec<_> = (0..4)
            .map(|n| if n < 2 { shared.clone() } else { FileStore::new(shared.path()) })
            .map(|store| tokio::spawn(saver(store)))
            .collect();
        let mut won = Vec::new();
        for saver in savers {
            won.extend(saver.await.unwrap());
        }
        won.sort_unstable();
        assert_eq!(won, Vec::from_iter(1..=SAVES));
    }

    /// What is read while another saves is what was before or what comes after, whole.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_sees_no_half_written_file() {
        let (_folder, store) = folder();
        let mut last = stored(Generation::claim(None), 0);
        store.save(None, &last).await.unwrap();
        let reader = FileStore::new(store.path());
        let end = last.generation.number + 50;
        let reader = tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !seen.contains(&end) {
                let Stored { generation, state, .. } = reader.load().await.unwrap().unwrap();
                assert!(seen.last() <= Some(&generation.number), "it went back to {generation}");
                assert!(state.iter().all(|byte| *byte == generation.number as u8));
                seen.insert(generation.number);
            }
        });
        while last.generation.number < end {
            let number = last.generation.number as usize;
            let new = stored(last.generation.next(), [70_000, 10, 300_000][number % 3]);
            store.save(Some(last.generation), &new).await.unwrap();
            last = new;
        }
        reader.await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_never_taken_for_none() {
        let (_folder, store) = folder();
        let first = stored(Generation::claim(None), 3);
        store.save(None, &first).await.unwrap();
        let bytes = fs::read(store.path()).unwrap();
        for end in 0..bytes.len() {
            fs::write(store.path(), &bytes[..end]).unwrap();
            let read = store.load().await;
            assert!(matches!(&read, Err(StoreError::Corrupt { path, .. }) if path == store.path()));
        }
        for expected in [None, Some(first.generation)] {
            let refused = store.save(expected, &stored(first.generation.next(), 1)).await;
            assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
        }
        assert_eq!(fs::read(store.path()).unwrap(), bytes[..bytes.len() - 1]);
    }

    #[tokio::test]
    async fn what_a_crash_in_a_save_left_is_harmless() {
        let (_folder, store) = folder();
        fs::write(store.beside(".tmp"), vec![b'x'; 100_000]).unwrap();
        assert_eq!(store.load().await.unwrap(), None);
        let first = stored(Generation::claim(None), 3);
        store.save(None, &first).await.unwrap();
        assert_eq!(store.load().await.unwrap(), Some(first));
    }

    #[tokio::test]
    async fn a_save_waits_for_the_one_before() {
        let (_folder, store) = folder();
        let held = store.lock().unwrap();
        let first = stored(Generation::claim(None), 3);
        let mut save = Box::pin(store.save(None, &first));
        // It can't be done however long the others run.
        for _ in 0..100 {
            assert!(futures::poll!(&mut save).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(store.load().await.unwrap(), None);
        drop(held);
        save.await.unwrap();
        assert_eq!(store.load().await.unwrap(), Some(first));
    }

    #[tokio::test]
    async fn a_cancelled_save_takes_effect_whole_or_not_at_all() {
        let (_folder, store) = folder();
        let first = stored(Generation::claim(None), 3);
        drop(futures::poll!(Box::pin(store.save(None, &first))));
        // Only one of the two takes effect, whichever comes first.
        let second = stored(Generation::claim(None), 4);
        let there = match store.save(None, &second).await {
            Ok(()) => second,
            Err(StoreError::Conflict { found, .. }) if found == Some(first.generation) => first,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(store.load().await.unwrap(), Some(there));
    }

    #[tokio::test]
    async fn a_missing_folder_is_an_error_that_names_it() {
        let (folder, _) = folder();
        let missing = folder.path().join("no");
        let store = FileStore::new(missing.join("checkpoint"));
        let Err(StoreError::Io { path, .. }) = store.load().await else { panic!("it is missing") };
        assert_eq!(path, missing);
        let save = store.save(None, &stored(Generation::claim(None), 1)).await;
        assert!(matches!(save, Err(StoreError::Io { .. })), "{save:?}");
    }
}
