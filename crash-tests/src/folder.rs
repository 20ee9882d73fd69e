//! The files of a round.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msgstream::checkpoint::{CheckpointStore, FileStore};

use crate::error::{Error, Result};
use crate::output::Totals;
use crate::plan::Plan;

/// A folder that the processes of a round share.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn journal(&self, producer: u32) -> PathBuf {
        self.0.join(format!("producer-{producer}.journal"))
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("packs")
    }

    /// What a process says when it fails.
    pub(crate) fn said(&self, process: &str) -> PathBuf {
        self.0.join(format!("{process}.log"))
    }

    pub(crate) fn store(&self) -> Arc<FileStore> {
        Arc::new(FileStore::new(self.0.join("consumer.checkpoint")))
    }

    pub(crate) fn write_plan(&self, plan: &Plan) -> Result<()> {
        let json = serde_json::to_vec(plan).map_err(Error::Json)?;
        let path = self.0.join("plan");
        fs::write(&path, json).map_err(Error::file(&path))
    }

    pub(crate) fn read_plan(&self) -> Result<Plan> {
        serde_json::from_slice(&read(&self.0.join("plan"))?).map_err(Error::Json)
    }

    /// What the consumer has committed.
    pub(crate) async fn committed(&self) -> Result<Totals> {
        match self.store().load().await? {
            Some(stored) if !stored.state.is_empty() => {
                serde_json::from_slice(&stored.state).map_err(Error::Json)
            }
            _ => Ok(Totals::default()),
        }
    }
}

/// A file's contents.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::file(path))
}

/// How long a file is; one that isn't there is empty.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Counts the lines of a file that grows.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: Option<File>,
    count: u64,
}

impl Lines {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, file: None, count: 0 }
    }

    /// How many there are now.
    pub(crate) fn count(&mut self) -> Result<u64> {
        let file = match &mut self.file {
            Some(file) => file,
            none => match File::open(&self.path) {
                Ok(file) => none.insert(file),
                Err(_) => return Ok(0),
            },
        };
        let mut new = Vec::new();
        file.read_to_end(&mut new).map_err(Error::file(&self.path))?;
        self.count += new.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(self.count)
    }
}
