//! The simulated disk, as the log sees it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::Content;
use super::file::SimFile;
use super::folder::Folder;
use super::state::{Node, State, broken, too_many_files};
use super::task::pause;
use crate::disk::{Access, Boot, Disk, DiskFile, Identity};
use crate::format::segment;

/// A disk whose state is in memory. Every call is a place at which its program may be paused, or
/// end.
#[derive(Clone, Debug)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: pauses, draws the faults that any call may meet, and notes what came out.
    pub(super) fn call<T: Noted>(
        &self,
        name: &'static str,
        what: &dyn fmt::Display,
        numbers: [u64; 2],
        call: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        pause();
        let mut state = self.state();
        let result = state.begin_call().and_then(|()| call(&mut state));
        let came_out = match &result {
            Ok(value) => value.word(),
            Err(error) => error.raw_os_error().unwrap_or(77) as u64 | 1 << 40,
        };
        let program = state.program;
        let kind = u64::from_le_bytes(std::array::from_fn(|at| {
            name.as_bytes().get(at).copied().unwrap_or_default()
        }));
        state.trace.note([kind ^ (program as u64) << 56, numbers[0], numbers[1], came_out], || {
            let out = match &result {
                Ok(value) => format!("{:x}", value.word()),
                Err(error) => error.to_string(),
            };
            format!("p{program} {name} {what} {numbers:?} -> {out}")
        });
        result
    }

    fn path_call<T: Noted>(
        &self,
        name: &'static str,
        path: &Path,
        call: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.call(name, &path.display(), [0, 0], call)
    }
}

/// What a call returns, as a number for the hash.
pub(super) trait Noted {
    fn word(&self) -> u64;
}

impl Noted for () {
    fn word(&self) -> u64 {
        1
    }
}

impl Noted for bool {
    fn word(&self) -> u64 {
        u64::from(*self)
    }
}

impl Noted for usize {
    fn word(&self) -> u64 {
        *self as u64
    }
}

impl Noted for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

impl Noted for Vec<String> {
    fn word(&self) -> u64 {
        self.len() as u64
    }
}

impl Noted for (usize, u64) {
    fn word(&self) -> u64 {
        self.0 as u64
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let (number, opened) = self.path_call("open", path, |state| {
            let rate = state.faults.too_many_files;
            if state.rng.chance(rate) {
                state.rare("too many files");
                return Err(too_many_files());
            }
            let number = match (state.find(path), access) {
                (Err(error), Access::Replace) if error.kind() == ErrorKind::NotFound => {
                    if state.is_full() {
                        state.rare("no room for a file");
                        return Err(ErrorKind::StorageFull.into());
                    }
                    let (holder, name) = state.holder(path)?;
                    let number = state.make(Node::File(Content::default()));
                    state.folder_mut(holder)?.add(name, number);
                    number
                }
                (found, _) => found?,
            };
            let (content, _, page) = state.content_mut(number)?;
            if access == Access::Replace {
                content.cut(0, page);
            }
            Ok((number, state.open()))
        })?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let segment = segment::first_of(name).is_some();
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
            opened,
            kind: match name {
                "end" => "end",
                _ if segment => "segment",
                _ => "file",
            },
        }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.path_call("mkdir", path, |state| {
            if state.find(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if state.is_full() {
                return Err(ErrorKind::StorageFull.into());
            }
            let (holder, name) = state.holder(path)?;
            let number = state.make(Node::Folder(Folder::default()));
            state.folder_mut(holder)?.add(name, number);
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.path_call("list", path, |state| {
            let folder = state.find(path)?;
            Ok(state.folder(folder)?.names.keys().cloned().collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = fmt::from_fn(|f| write!(f, "{} to {}", from.display(), to.display()));
        self.call("rename", &what, [0, 0], |state| {
            let number = state.find(from)?;
            let ((folder, from), (other, to)) = (state.holder(from)?, state.holder(to)?);
            if folder != other {
                return Err(ErrorKind::CrossesDevices.into());
            }
            let file = state.is_file(number);
            if let Some(there) = state.folder(folder)?.names.get(to).copied()
                && !file
                && !state.folder(there)?.names.is_empty()
            {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            state.folder_mut(folder)?.rename(from, to, number, file);
            let program = state.program;
            let did = match to {
                "bounds" => "killed when it had replaced the bounds",
                _ if segment::first_of(to).is_some() => "killed when it had begun a segment",
                _ if from == ".new" => "killed when it had replaced a cursor",
                _ if to.starts_with('.') => "killed when it had renamed a channel to delete it",
                _ => "killed when it had named a channel",
            };
            state.last.insert(program, did);
            if state.rng.chance(state.traps) {
                state.trapped = Some(program);
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.path_call("remove", path, |state| {
            let number = state.find(path)?;
            if !state.is_file(number) {
                return Err(ErrorKind::IsADirectory.into());
            }
            let (holder, name) = state.holder(path)?;
            state.folder_mut(holder)?.remove(name);
            let program = state.program;
            state.last.insert(program, "killed when it had removed a file");
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.path_call("rmdir", path, |state| {
            let number = state.find(path)?;
            if !state.folder(number)?.names.is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            let (holder, name) = state.holder(path)?;
            state.folder_mut(holder)?.remove(name);
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.path_call("syncdir", path, |state| {
            let number = state.find(path)?;
            let (rate, program) = (state.faults.sync_folder, state.program);
            if state.rng.chance(rate) {
                state.rare("a folder's sync failed");
                return Err(broken());
            }
            state.folder_mut(number)?.sync();
            let did = match state.last.get(&program) {
                Some(&"killed when it had begun a segment") => {
                    "killed when it had begun a segment durably"
                }
                _ => "killed when it had synced a folder",
            };
            state.last.insert(program, did);
            Ok(())
        })
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        let number = self.path_call("stat", path, |state| state.find(path))?;
        Ok(Identity(1, number as u64))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.path_call("measure", path, |state| {
            let number = state.find(path)?;
            Ok(state.content(number)?.cached.len() as u64)
        })
    }

    fn unreliable(&self, _path: &Path) -> io::Result<Option<&'static str>> {
        Ok(None)
    }

    fn boot(&self) -> Boot {
        Boot(self.state().boot)
    }

    fn now(&self) -> u64 {
        self.state().clock
    }
}
