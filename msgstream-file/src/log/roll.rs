//! The next segment.

use std::sync::Arc;

use super::files::Key;
use super::{Held, Log, write_small};
use crate::disk::{Access, DiskFile};
use crate::error::{Result, failed};
use crate::format::published::Published;
use crate::format::segment::{self, Segment};
use crate::planted::{Bug, planted};

impl Log {
    /// Ends the segment that is written, and begins one at an offset, which is the end of the log or
    /// beyond. It counts once it is published.
    ///
    /// The old segment is durable before the new one is there: so only the last one may be torn.
    /// The new one's name is durable before anything is appended to it: else all that is
    /// acknowledged there would vanish with the name. Whoever begins one may be killed before it
    /// counts: what is at the name then holds no records, and is replaced.
    pub(super) fn roll(&self, _held: &Held, published: &mut Published, first: u64) -> Result<()> {
        let old = self.segment_file(published.segment, true)?;
        let path = self.segment_path(published.segment);
        let end = || {
            if old.length()? > published.byte {
                old.cut(published.byte)?;
            }
            self.write_again(&*old, published)?;
            old.sync()
        };
        end().map_err(|error| {
            self.forget(published.segment);
            failed("sync", &path)(error)
        })?;

        let header = Segment {
            incarnation: self.incarnation.0,
            first,
            previous_end: published.end,
            time: published.time,
        };
        let (new, path) = (self.path(".new"), self.segment_path(first));
        write_small(&*self.disk, &new, &header.encode())?;
        let make = || {
            self.disk.rename(&new, &path)?;
            if planted(Bug::NoFolderSync) {
                return Ok(());
            }
            self.disk.sync_folder(&self.folder)
        };
        make().map_err(failed("begin", &path))?;

        // One of this name may have been open: somebody began it and was killed.
        self.forget(first);
        published.segment = first;
        published.byte = segment::HEADER as u64;
        published.end = first;
        (published.durable, published.durable_byte) = (first, published.byte);
        Ok(())
    }

    /// Returns a segment's file.
    pub(super) fn segment_file(&self, first: u64, writes: bool) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open_file(first, writes) {
            return Ok(file);
        }
        let path = self.segment_path(first);
        let access = if writes { Access::Write } else { Access::Read };
        let file: Arc<dyn DiskFile> =
            self.disk.open(&path, access).map_err(failed("open", &path))?.into();
        // Whoever reads has no lock: another channel may have taken this one's place.
        self.read_header(&*file, first)?;
        self.files.keep(self.key(first, writes), Arc::clone(&file));
        Ok(file)
    }

    /// Returns a segment's file if it is open.
    pub(super) fn open_file(&self, first: u64, writes: bool) -> Option<Arc<dyn DiskFile>> {
        self.files.get(self.key(first, writes))
    }

    const fn key(&self, segment: u64, writes: bool) -> Key {
        Key { incarnation: self.incarnation, segment, writes }
    }

    /// Closes a segment's files: what comes next doesn't go on with these descriptors.
    pub(super) fn forget(&self, first: u64) {
        for writes in [false, true] {
            self.files.forget(self.key(first, writes));
        }
    }
}
