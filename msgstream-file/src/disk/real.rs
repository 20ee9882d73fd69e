//! The machine's own disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::statfs;
use rustix::io::ReadWriteFlags;

use super::{Access, Boot, Disk, DiskFile, Identity};

/// File systems whose locks are not those of the machine, or whose syncs end before the data is on
/// a disk: the number that `statfs` returns, and the name.
const UNRELIABLE: [(u64, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

#[derive(Debug)]
pub(crate) struct RealDisk {
    boot: Boot,
}

impl RealDisk {
    /// # Errors
    /// Fails if the system doesn't tell which boot it is.
    pub(crate) fn new() -> io::Result<Self> {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        let boot = u128::from_str_radix(&digits, 16)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(Self { boot: Boot(boot) })
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        match access {
            Access::Read => options.read(true),
            Access::Write => options.read(true).write(true),
            Access::Replace => options.read(true).write(true).create(true).truncate(true),
        };
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        fs::metadata(path).map(|found| Identity(found.dev(), found.ino()))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|found| found.len())
    }

    fn unreliable(&self, path: &Path) -> io::Result<Option<&'static str>> {
        // The field's type differs from platform to platform; the numbers have 32 bits.
        let found = statfs(path)?.f_type as u64 & 0xffff_ffff;
        Ok(UNRELIABLE.iter().find(|(number, _)| *number == found).map(|(_, name)| *name))
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut Vec<u8>, count: usize, at: u64) -> io::Result<usize> {
        buffer.reserve_exact(count);
        let before = buffer.len();
        // It reads into all the room that the buffer has, which may be more.
        let read = rustix::io::pread(&self.0, spare_capacity(buffer), at)?;
        buffer.truncate(before + count);
        Ok(read.min(count))
    }

    fn read_cached(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let parts = &mut [IoSliceMut::new(buffer)];
        Ok(rustix::io::preadv2(&self.0, parts, at, ReadWriteFlags::NOWAIT)?)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        // The system takes no more of them at a time.
        const MOST: usize = 1024;
        let parts = parts.get(..MOST).unwrap_or(parts);
        Ok(rustix::io::pwritev(&self.0, parts, at)?)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.metadata().map(|found| found.len())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        self.0.metadata().map(|found| Identity(found.dev(), found.ino()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{read_exact, read_up_to, write_all};
    use super::*;

    #[test]
    fn what_is_written_is_read_within_the_count() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new().unwrap();
        let path = folder.path().join("file");
        let file = disk.open(&path, Access::Replace).unwrap();
        write_all(&*file, b"0123456789", 3).unwrap();
        let mut buffer = Vec::with_capacity(100);
        read_exact(&*file, &mut buffer, 4, 5).unwrap();
        assert_eq!(buffer, b"2345");
        assert_eq!(read_up_to(&*file, &mut buffer, 100, 11).unwrap(), 2);
        assert_eq!(buffer, b"234589");
        assert!(read_exact(&*file, &mut buffer, 1, 13).is_err());
        file.cut(5).unwrap();
        assert_eq!((file.length().unwrap(), disk.length(&path).unwrap()), (5, 5));
    }

    #[test]
    fn a_lock_is_against_all_who_have_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new().unwrap();
        let path = folder.path().join("lock");
        let one = disk.open(&path, Access::Replace).unwrap();
        let other = disk.open(&path, Access::Write).unwrap();
        assert!(one.try_lock().unwrap());
        assert!(!other.try_lock().unwrap());
        assert_eq!(one.identity().unwrap(), disk.identity(&path).unwrap());
        drop(one);
        assert!(other.try_lock().unwrap());
    }

    #[test]
    fn the_boot_and_the_file_system_are_known() {
        let disk = RealDisk::new().unwrap();
        assert_eq!(disk.boot(), RealDisk::new().unwrap().boot());
        assert_eq!(disk.unreliable(Path::new("/proc")).unwrap(), None);
        assert!(disk.unreliable(Path::new("/no/such/folder")).is_err());
    }
}
