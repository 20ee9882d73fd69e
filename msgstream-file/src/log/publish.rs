//! The published end: reading and writing it.

use msgstream_core::record::Incarnation;

use super::{Held, Log, read_small};
use crate::disk::{Access, write_all};
use crate::error::{Result, failed};
use crate::format::published::{Look, Published};

/// Somebody who writes it at this moment is done by then.
const LOOKS: usize = 3;

impl Log {
    /// Returns the published end; `None` if it must be [recovered](Self::recover) under the lock,
    /// because it is of another boot, or not whole.
    ///
    /// # Errors
    /// Fails if the channel was deleted, or replaced by another one of its name.
    pub(crate) fn published(&self) -> Result<Option<Published>> {
        let path = self.path("end");
        for _ in 0..LOOKS {
            let bytes = match read_small(&*self.disk, &path) {
                Ok(bytes) => bytes,
                // Without this file it is a copy, of a backup perhaps, or no channel any more.
                Err(failure)
                    if failure.kind == msgstream_core::transport::TransportErrorKind::NotFound =>
                {
                    return self.check().map(|()| None);
                }
                Err(failure) => return Err(failure),
            };
            match Published::look(&bytes) {
                Look::At(published) if published.boot != self.disk.boot().0 => return Ok(None),
                Look::At(published) if !self.is_own(published.incarnation) => {
                    return Err(self.replaced(Incarnation(published.incarnation)));
                }
                Look::At(published) => return Ok(Some(published)),
                Look::Unclear => {}
            }
        }
        Ok(None)
    }

    /// Writes the published end, of the next generation.
    pub(super) fn publish(&self, _held: &Held, published: &mut Published) -> Result<()> {
        published.generation += 1;
        let path = self.path("end");
        let write = || {
            let file = self.disk.open(&path, Access::Write)?;
            write_all(&*file, &published.encode(), published.place())
        };
        write().map_err(failed("write", &path))
    }

    /// Writes the published end in both of its places, whatever is there.
    pub(super) fn publish_anew(&self, _held: &Held, published: &mut Published) -> Result<()> {
        let path = self.path("end");
        let mut write = || {
            let file = match self.disk.open(&path, Access::Write) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.disk.open(&path, Access::Replace)?
                }
                opened => opened?,
            };
            for _ in 0..2 {
                published.generation += 1;
                write_all(&*file, &published.encode(), published.place())?;
            }
            Ok(())
        };
        write().map_err(failed("write", &path))
    }
}
