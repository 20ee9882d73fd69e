//! What the log asks of a disk: the only way to it, so that a test can put a simulated one in its
//! place.
//!
//! All calls block. Whoever writes a file keeps to the order that the [log](crate::log) describes.

#[cfg(target_os = "linux")]
mod real;

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;

/// Returns the disk of this machine.
#[cfg(target_os = "linux")]
pub(crate) fn of_this_machine() -> Result<Arc<dyn Disk>> {
    let disk = real::RealDisk::new().map_err(crate::error::failed("read", Path::new("/proc")))?;
    Ok(Arc::new(disk))
}

/// Fails: on other systems the log can't find out whether the machine was restarted.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_this_machine() -> Result<Arc<dyn Disk>> {
    let reason = "logs in files need Linux: use another transport here".to_owned();
    Err(msgstream_core::transport::TransportErrorKind::Config { reason }.into())
}

/// Files and folders, the clock, and which boot of the machine this is.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;

    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a folder, in any order, without those that aren't UTF-8.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Renames a file, which replaces another one, or a folder, which replaces none that holds
    /// anything.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Returns what a path names now.
    fn identity(&self, path: &Path) -> io::Result<Identity>;

    /// Returns the length of the file at a path, in bytes.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Returns the name of the file system, if it is one whose locks and syncs can't be relied on.
    fn unreliable(&self, path: &Path) -> io::Result<Option<&'static str>>;

    fn boot(&self) -> Boot;

    /// Returns the wall clock, in Unix milliseconds.
    fn now(&self) -> u64;
}

/// An open file. Dropping it closes it, which ends its lock.
pub(crate) trait DiskFile: fmt::Debug + Send + Sync {
    /// Appends to a buffer up to `count` bytes of the file from a place on. Returns how many: 0 at
    /// the end of the file, and perhaps fewer than there are elsewhere.
    fn read_at(&self, buffer: &mut Vec<u8>, count: usize, at: u64) -> io::Result<usize>;

    /// Reads what the system has in memory of the bytes from a place on, without waiting for the disk.
    /// Returns how many: fewer than fit the buffer, or an error, if it would have to wait or can't tell.
    fn read_cached(&self, _buffer: &mut [u8], _at: u64) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    /// Writes some of the bytes of parts that follow each other, and returns how many.
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize>;

    fn length(&self) -> io::Result<u64>;

    /// Cuts the file to a length.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Makes what was written durable. After a failure nothing is known of what was written since
    /// the sync before, and trying again doesn't help: the system may think it written.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock of the file against all others who have it open. Returns whether it is taken.
    fn try_lock(&self) -> io::Result<bool>;

    fn identity(&self) -> io::Result<Identity>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read a file that exists.
    Read,
    /// To read and write a file that exists.
    Write,
    /// To write a file that is made, or emptied if it exists.
    Replace,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) u64, pub(crate) u64);

/// Which boot of the machine: what was written but not synced may be gone in the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boot(pub(crate) u128);

/// Appends to a buffer exactly `count` bytes of a file from a place on.
pub(crate) fn read_exact(
    file: &dyn DiskFile,
    buffer: &mut Vec<u8>,
    count: usize,
    at: u64,
) -> io::Result<()> {
    match read_up_to(file, buffer, count, at)? == count {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Appends to a buffer up to `count` bytes of a file from a place on. Returns fewer only if the file
/// ends.
pub(crate) fn read_up_to(
    file: &dyn DiskFile,
    buffer: &mut Vec<u8>,
    count: usize,
    at: u64,
) -> io::Result<usize> {
    let mut read = 0;
    while read < count {
        match file.read_at(buffer, count - read, at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Writes all of the bytes.
pub(crate) fn write_all(file: &dyn DiskFile, bytes: &[u8], at: u64) -> io::Result<()> {
    write_parts(file, &mut [IoSlice::new(bytes)], at)
}

/// Writes all bytes of parts that follow each other.
pub(crate) fn write_parts(
    file: &dyn DiskFile,
    mut parts: &mut [IoSlice<'_>],
    mut at: u64,
) -> io::Result<()> {
    // Empty ones in front are none to be written.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_at(parts, at) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut parts, written);
                at += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
