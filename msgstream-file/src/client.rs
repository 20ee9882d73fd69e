//! What a handle shares with its writers, readers and subscriptions.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Incarnation;
use msgstream_core::transport::{TransportError, TransportErrorKind as Kind};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use crate::FileConfig;
use crate::config::FEWEST_FILES;
use crate::disk::Disk;
use crate::error::{Result, failed};
use crate::format::published::Published;
use crate::log::{About, Files, Held, Lock, Log, remove_remains};
use crate::name::file_name;
use crate::queue::Queue;
use crate::watch::Watch;
use crate::workers::Workers;

/// How many commits wait for other processes at a time: each holds an open file.
const COMMITS: usize = 16;

/// How long a process waits before it looks again whether a lock is free.
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Longer than anybody waits, and short enough for the clock.
pub(crate) const A_LONG_TIME: Duration = Duration::from_secs(365 * 86_400);

/// Locks, also after a panic elsewhere: no update here leaves a half-done state behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) config: FileConfig,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) files: Arc<Files>,
    pub(crate) commits: Semaphore,
    pub(crate) watch: Watch,
    pub(crate) workers: Arc<Workers>,
    /// What is submitted to each channel, by all of the handle's writers.
    queues: Mutex<HashMap<Incarnation, Weak<Queue>>>,
    closed: watch::Sender<bool>,
    /// How many tasks have something to write.
    busy: watch::Sender<usize>,
}

/// A task that has something to write: closing the handle waits for its end.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Handle>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|busy| *busy -= 1);
    }
}

enum Step<T, F> {
    Done(T),
    /// Somebody else has the lock.
    Busy(F, Option<Held>),
}

impl Handle {
    /// Makes the folder if it is missing, and may be made.
    pub(crate) async fn open(config: FileConfig, disk: Arc<dyn Disk>) -> Result<Arc<Self>> {
        let cached = config.max_open_files.saturating_sub(FEWEST_FILES - 16);
        let handle = Arc::new(Self {
            files: Files::new(cached),
            commits: Semaphore::new(COMMITS),
            watch: Watch::default(),
            workers: Arc::default(),
            queues: Mutex::default(),
            closed: watch::Sender::new(false),
            busy: watch::Sender::new(0),
            disk,
            config,
        });
        let own = Arc::clone(&handle);
        handle.blocking(move || own.open_folder()).await?;
        Ok(handle)
    }

    fn open_folder(&self) -> Result<()> {
        let folder = self.config.folder();
        match self.config.create {
            true => make(&*self.disk, folder)?,
            false => find(&*self.disk, folder)?,
        }
        let unreliable = self.disk.unreliable(folder).map_err(failed("look at", folder))?;
        if let Some(system) = unreliable {
            let reason = format!(
                "{} is on {system}, whose locks and syncs can't be relied on: use a folder on a local disk",
                folder.display()
            );
            return Err(Kind::Config { reason }.into());
        }
        if let Err(error) = remove_remains(&*self.disk, folder) {
            tracing::debug!(folder = %folder.display(), %error, "nothing was tidied up");
        }
        Ok(())
    }

    /// Runs work that waits for the disk on a thread for it. It goes on if the future is dropped.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.workers.run(work).await.unwrap_or_else(|| {
            let reason = "the runtime ended".to_owned();
            Err(Kind::Unavailable { reason }.into())
        })
    }

    /// Does something under a channel's lock, once it is free.
    pub(crate) async fn locked<T, F>(&self, log: &Log, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Held) -> Result<T> + Send + 'static,
    {
        let deadline = Instant::now() + self.config.timeout.min(A_LONG_TIME);
        let (mut act, mut turn, mut pause) = (act, None, SHORTEST_PAUSE);
        loop {
            let log = log.clone();
            let step = self.blocking(move || {
                if turn.is_none() {
                    turn = log.try_lock(Lock::Turn)?;
                }
                if turn.is_some()
                    && let Some(held) = log.try_lock(Lock::Write)?
                {
                    drop(turn);
                    return act(&held).map(Step::Done);
                }
                Ok(Step::Busy(act, turn))
            });
            match step.await? {
                Step::Done(done) => return Ok(done),
                Step::Busy(again, held) => (act, turn) = (again, held),
            }
            if Instant::now() >= deadline {
                return Err(Kind::TimedOut { after: self.config.timeout }.into());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns the published end of a log, which is recovered if it must be.
    pub(crate) async fn published(&self, log: &Log) -> Result<Published> {
        let own = log.clone();
        match self.blocking(move || own.published()).await? {
            Some(published) => Ok(published),
            None => {
                let own = log.clone();
                self.locked(log, move |held| own.recover(held)).await
            }
        }
    }

    /// Returns the folder of a channel.
    pub(crate) fn folder_of(&self, channel: &str) -> Result<PathBuf> {
        self.check_open()?;
        let name = match channel {
            // Though the prefix alone would be a name.
            "" => file_name(""),
            channel => file_name(&self.whole_name(channel)),
        };
        let name = name.map_err(|reason| Kind::InvalidName { reason })?;
        Ok(self.config.folder().join(name))
    }

    /// Returns the failure of a call that needs the folder of all channels. That one missing is no
    /// missing channel.
    pub(crate) fn vanished(&self, failure: Failure) -> Failure {
        let folder = self.config.folder();
        if failure.kind != Kind::NotFound || self.disk.identity(folder).is_ok() {
            return failure;
        }
        let folder = folder.display();
        let reason = format!("the folder {folder} is gone: open the transport again to make it");
        failure.with_kind(Kind::Unavailable { reason })
    }

    /// Returns a channel's name with the prefix.
    pub(crate) fn whole_name(&self, channel: &str) -> String {
        format!("{}{channel}", self.config.prefix)
    }

    /// Returns a channel's log, and what is known of it.
    pub(crate) async fn find(self: &Arc<Self>, channel: &str) -> Result<(Attached, About)> {
        let folder = match self.folder_of(channel) {
            // A channel of such a name can't be there.
            Err(failure) if matches!(failure.kind, Kind::InvalidName { .. }) => {
                return Err(Kind::NotFound.into());
            }
            folder => folder?,
        };
        let (disk, files) = (Arc::clone(&self.disk), Arc::clone(&self.files));
        let (log, about) = self.blocking(move || Log::open(&disk, &files, &folder)).await?;
        if about.name != self.whole_name(channel) {
            let reason = format!("the file system takes it for the channel `{}`", about.name);
            return Err(Kind::InvalidName { reason }.into());
        }
        let handle = Arc::clone(self);
        Ok((Attached { handle, log, channel: channel.into() }, about))
    }

    /// Returns the queue of a channel.
    pub(crate) fn queue(self: &Arc<Self>, log: &Log) -> Arc<Queue> {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get(&log.incarnation()).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::new(Queue::new(log.clone()));
        queues.insert(log.incarnation(), Arc::downgrade(&queue));
        queue
    }

    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|busy| *busy += 1);
        Busy(Arc::clone(self))
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(crate) fn check_open(&self) -> Result<(), Kind> {
        if self.is_closed() { Err(Kind::Closed) } else { Ok(()) }
    }

    /// Waits until the handle is closed.
    pub(crate) async fn closed(&self) {
        // The sender is here, so this can't fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Refuses everything that comes from now on, and waits until what was submitted is settled.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        let _ = self.busy.subscribe().wait_for(|busy| *busy == 0).await;
        self.files.forget_all();
    }
}

/// Makes a folder and those that it is in, durably.
fn make(disk: &dyn Disk, folder: &Path) -> Result<()> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    match disk.create_folder(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(disk, parent)?;
            disk.create_folder(folder).map_err(failed("create", folder))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return disk.list(folder).map(drop).map_err(failed("list", folder));
        }
        Err(error) => {
            // It may be there all the same: some systems look at the rights first.
            return disk.list(folder).map(drop).map_err(|_| failed("create", folder)(error));
        }
    }
    disk.sync_folder(parent).map_err(failed("sync", parent))
}

/// Looks whether a folder is there.
fn find(disk: &dyn Disk, folder: &Path) -> Result<()> {
    match disk.list(folder) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let reason = format!("there is no log in the folder {}", folder.display());
            Err(failed("list", folder)(error).with_kind(Kind::Unavailable { reason }))
        }
        Err(error) => Err(failed("list", folder)(error)),
    }
}

/// One incarnation of a channel, as a handle sees it.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) handle: Arc<Handle>,
    pub(crate) log: Log,
    channel: Arc<str>,
}

impl Attached {
    /// Returns the error of an operation on this channel.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        failure: impl Into<Failure>,
    ) -> TransportError {
        failure.into().during(operation).on(&*self.channel)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use super::*;
    use crate::disk::{Access, Boot, DiskFile, Identity};

    /// A mounted folder of another machine.
    #[derive(Debug)]
    struct Network;

    impl Disk for Network {
        fn create_folder(&self, _: &Path) -> io::Result<()> {
            Err(ErrorKind::AlreadyExists.into())
        }

        fn list(&self, _: &Path) -> io::Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn unreliable(&self, _: &Path) -> io::Result<Option<&'static str>> {
            Ok(Some("NFS"))
        }

        fn open(&self, _: &Path, _: Access) -> io::Result<Box<dyn DiskFile>> {
            Err(ErrorKind::Unsupported.into())
        }

        fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
            Err(ErrorKind::Unsupported.into())
        }

        fn remove_file(&self, _: &Path) -> io::Result<()> {
            Err(ErrorKind::Unsupported.into())
        }

        fn remove_folder(&self, _: &Path) -> io::Result<()> {
            Err(ErrorKind::Unsupported.into())
        }

        fn sync_folder(&self, _: &Path) -> io::Result<()> {
            Err(ErrorKind::Unsupported.into())
        }

        fn identity(&self, _: &Path) -> io::Result<Identity> {
            Err(ErrorKind::Unsupported.into())
        }

        fn length(&self, _: &Path) -> io::Result<u64> {
            Err(ErrorKind::Unsupported.into())
        }

        fn boot(&self) -> Boot {
            Boot(1)
        }

        fn now(&self) -> u64 {
            1
        }
    }

    #[tokio::test]
    async fn a_network_file_system_is_refused_by_name() {
        let opened = Handle::open(FileConfig::new("/mnt/log"), Arc::new(Network)).await;
        let Kind::Config { reason } = opened.unwrap_err().kind else { unreachable!() };
        assert!(reason.contains("/mnt/log") && reason.contains("NFS"), "{reason}");
    }
}
