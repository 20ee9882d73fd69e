//! An open file of the simulated disk.

use std::io::{self, ErrorKind, IoSlice};

use super::disk::SimDisk;
use super::folder::Number;
use super::state::broken;
use crate::disk::{DiskFile, Identity};

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) number: Number,
    /// Tells it from others that have the same file open.
    pub(super) opened: u64,
    pub(super) kind: &'static str,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.state().close(self.number, self.opened);
    }
}

impl SimFile {
    fn call<T: super::disk::Noted>(
        &self,
        name: &'static str,
        numbers: [u64; 2],
        call: impl FnOnce(&mut super::state::State) -> io::Result<T>,
    ) -> io::Result<T> {
        let what = std::fmt::from_fn(|f| write!(f, "{} {}", self.kind, self.number));
        self.disk.call(name, &what, numbers, call)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut Vec<u8>, count: usize, at: u64) -> io::Result<usize> {
        self.call("read", [at, count as u64], |state| {
            if state.rng.chance(state.faults.interrupted) {
                return Err(ErrorKind::Interrupted.into());
            }
            let short = state.rng.chance(state.faults.short);
            let (content, rng, _) = state.content_mut(self.number)?;
            let from = (at as usize).min(content.cached.len());
            let mut count = count.min(content.cached.len() - from);
            if short && count > 1 {
                count = rng.between(1, count as u64 - 1) as usize;
            }
            buffer.extend_from_slice(&content.cached[from..from + count]);
            Ok(count)
        })
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let bytes = parts.iter().flat_map(|part| part.iter()).copied().collect::<Vec<_>>();
        self.call("write", [at, bytes.len() as u64], |state| {
            if state.rng.chance(state.faults.interrupted) {
                return Err(ErrorKind::Interrupted.into());
            }
            let short = state.rng.chance(state.faults.short);
            let full = state.is_full();
            let (content, rng, page) = state.content_mut(self.number)?;
            let (at, mut count) = (at as usize, bytes.len());
            if short && count > 1 {
                count = rng.between(1, count as u64 - 1) as usize;
            }
            // What the file has already can be written over.
            let room = content.cached.len().next_multiple_of(page).saturating_sub(at);
            if full && count > room {
                count = room;
                if count == 0 {
                    state.rare("no room");
                    return Err(ErrorKind::StorageFull.into());
                }
            }
            content.write(&bytes[..count], at, page);
            let program = state.program;
            let whole = count == bytes.len();
            let did = match self.kind {
                "end" if whole => "killed when it had published",
                "end" => "killed while it published",
                "segment" if whole => "killed when it had written records",
                "segment" => "killed while it wrote records",
                _ => "killed when it had written a small file",
            };
            state.last.insert(program, did);
            Ok(count)
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.call("length", [0, 0], |state| Ok(state.content(self.number)?.cached.len() as u64))
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.call("cut", [length, 0], |state| {
            let (content, _, page) = state.content_mut(self.number)?;
            content.cut(length as usize, page);
            state.rare("a tail was cut");
            let program = state.program;
            state.last.insert(program, "killed when it had cut a tail");
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.call("sync", [0, 0], |state| {
            let (rate, program) = (state.faults.sync, state.program);
            let fails = state.rng.chance(rate);
            let (content, rng, page) = state.content_mut(self.number)?;
            if fails && !content.is_durable() {
                content.fail_sync(page, rng);
                state.rare("a sync failed");
                return Err(broken());
            }
            content.sync(page);
            if self.kind == "segment" {
                state.last.insert(program, "killed when it had synced records");
            }
            Ok(())
        })
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.call("lock", [self.opened, 0], |state| Ok(state.lock(self.number, self.opened)))
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity(1, self.number as u64))
    }
}
