//! Making and removing a channel's folder.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use msgstream_core::record::Incarnation;
use msgstream_core::transport::TransportErrorKind as Kind;

use super::bounds::Bounds;
use super::{About, Files, Held, Lock, Log, sealed, write_small};
use crate::disk::{Access, Disk};
use crate::error::{Result, failed};
use crate::format::published::Published;
use crate::format::segment::{self, Segment};
use crate::planted::{Bug, planted};

/// What is being made, or removed, has a name that begins so, which no channel's folder has.
const MAKING: &str = ".new-";
const REMOVING: &str = ".deleted-";

/// Whoever makes a channel is done with it by then, or was killed: in milliseconds.
const MADE_AFTER: u64 = 3_600_000;

/// Makes the folder of a channel: whole, or not at all.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    files: &Arc<Files>,
    folder: &Path,
    name: &str,
    properties: BTreeMap<String, String>,
    incarnation: Incarnation,
) -> Result<()> {
    let root = folder.parent().unwrap_or(folder);
    if exists(&**disk, folder)? {
        return Err(Kind::AlreadyExists.into());
    }
    let making = root.join(format!("{MAKING}{}-{incarnation}", disk.now()));
    let about = About { name: name.to_owned(), incarnation, properties };
    disk.create_folder(&making).map_err(failed("create", &making))?;
    let made = fill(disk, files, &making, about).and_then(|_making| {
        // Another process may have made it meanwhile, and a folder doesn't replace one that
        // holds something.
        disk.rename(&making, folder).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => Kind::AlreadyExists.into(),
            _ => failed("create", folder)(error),
        })?;
        if planted(Bug::NoFolderSync) {
            return Ok(());
        }
        disk.sync_folder(root).map_err(failed("sync", root))
    });
    if made.is_err() {
        // It may have been renamed. What can't be removed now is removed at the next start.
        let _ = remove(&**disk, &making);
    }
    made
}

fn exists(disk: &dyn Disk, path: &Path) -> Result<bool> {
    match disk.identity(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look for", path)(error)),
    }
}

/// Fills a channel's folder. The lock that it returns says that somebody is at it.
fn fill(disk: &Arc<dyn Disk>, files: &Arc<Files>, folder: &Path, about: About) -> Result<Held> {
    let path = |name: &str| folder.join(name);
    let (d, incarnation) = (&**disk, about.incarnation);
    write_small(d, &path("lock"), b"")?;
    write_small(d, &path("turn"), b"")?;
    let log = Log {
        disk: Arc::clone(disk),
        files: Arc::clone(files),
        folder: folder.to_owned(),
        incarnation,
    };
    // Somebody may have taken it for remains.
    let taken = || failed("lock", &path("lock"))(ErrorKind::ResourceBusy.into());
    let held = log.try_lock(Lock::Write)?.ok_or_else(taken)?;
    write_small(d, &path("channel"), &sealed(&about, &path("channel"))?)?;
    write_small(d, &path("bounds"), &sealed(&Bounds::default(), &path("bounds"))?)?;
    let first = Segment { incarnation: incarnation.0, first: 0, previous_end: 0, time: 0 };
    write_small(d, &log.segment_path(0), &first.encode())?;
    log.publish_anew(
        &held,
        &mut Published {
            boot: disk.boot().0,
            incarnation: incarnation.0,
            byte: segment::HEADER as u64,
            durable_byte: segment::HEADER as u64,
            ..Published::default()
        },
    )?;
    let cursors = path("cursors");
    disk.create_folder(&cursors).map_err(failed("create", &cursors))?;
    disk.sync_folder(folder).map_err(failed("sync", folder))?;
    Ok(held)
}

/// Deletes a channel: at once, by another name, and then its files.
pub(crate) fn delete(log: &Log, _held: &Held) -> Result<()> {
    let (disk, folder) = (&*log.disk, &log.folder);
    log.check()?;
    let root = folder.parent().unwrap_or(folder);
    let removing = root.join(format!("{REMOVING}{}", log.incarnation));
    disk.rename(folder, &removing).map_err(failed("delete", folder))?;
    disk.sync_folder(root).map_err(failed("sync", root))?;
    if let Err(error) = remove(disk, &removing) {
        tracing::warn!(folder = %removing.display(), %error, "a deleted channel's files are left, and are removed at the next start");
    }
    Ok(())
}

/// The file by which somebody has a channel for itself.
const LOCK: &str = "lock";

/// Removes what is left of channels whose process ended while it made or deleted them.
pub(crate) fn remove_remains(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    let names = disk.list(root)?;
    // Whoever renamed a channel to delete it may have been killed before that was durable. Else a
    // power cut could bring back a channel of which files are gone.
    if names.iter().any(|name| name.starts_with(REMOVING)) && !planted(Bug::RemainsUnsynced) {
        disk.sync_folder(root)?;
    }
    for name in names {
        let folder = root.join(&name);
        let began = name.strip_prefix(MAKING).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        let abandoned = |began: u64| disk.now().saturating_sub(began) > MADE_AFTER;
        let mut lock = None;
        if began.is_some_and(abandoned) {
            // Its maker has its lock, however long it was suspended. It is held while all is
            // removed: a maker that goes on then finds out.
            match disk.open(&folder.join(LOCK), Access::Write) {
                Ok(held) if held.try_lock().unwrap_or(false) => lock = Some(held),
                // Its maker was killed before it made the lock, or is about to: what it makes from here on
                // must stay.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let _ = disk.remove_folder(&folder);
                    continue;
                }
                _ => continue,
            }
        } else if !name.starts_with(REMOVING) {
            continue;
        }
        // Another process may be at it.
        let _ = remove(disk, &folder);
        drop(lock);
    }
    Ok(())
}

/// Removes a channel's folder with all that is in it. What is gone already is no error.
fn remove(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    };
    let names = |folder: &Path| match disk.list(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    };
    let cursors = folder.join("cursors");
    for name in names(&cursors)? {
        gone(disk.remove_file(&cursors.join(name)))?;
    }
    gone(disk.remove_folder(&cursors))?;
    for name in names(folder)?.into_iter().filter(|name| name != LOCK) {
        gone(disk.remove_file(&folder.join(name)))?;
    }
    // Last, for what has no lock is only removed if it is empty.
    gone(disk.remove_file(&folder.join(LOCK)))?;
    gone(disk.remove_folder(folder))
}

/// Returns an incarnation that no other channel has, by chance. It is never
/// [`Incarnation::UNKNOWN`].
pub(crate) fn new_incarnation(salt: u64) -> Incarnation {
    // Each state has keys of its own, which the system's source of randomness began.
    let half = || u128::from(RandomState::new().hash_one(salt));
    Incarnation((half() << 64 | half()).max(1))
}
