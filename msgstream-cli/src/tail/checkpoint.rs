//! Where the next run goes on.

use std::path::Path;
use std::sync::Arc;

use msgstream::checkpoint::{Checkpoint, FileStore};
use msgstream::consume::Committer;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::sink::Shown;
use crate::error::{Error, Result};

/// Saves what was shown.
#[derive(Debug)]
pub(super) struct Saver(Committer);

/// What is saved beside the checkpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// How many messages of the pack after it were shown, by a run that stopped after a number of
    /// lines.
    shown: usize,
}

impl Saver {
    /// Opens the file. Returns what an earlier run showed, too.
    pub(super) async fn open(path: &Path) -> Result<(Self, Option<(Checkpoint, usize)>)> {
        let (committer, stored) = Committer::open(Arc::new(FileStore::new(path))).await?;
        let Some(checkpoint) = stored.checkpoint else { return Ok((Self(committer), None)) };
        let state: State = serde_json::from_slice(&stored.state).map_err(|_| {
            let path = path.display();
            let reason = "is the checkpoint of another program: name another file";
            Error::Usage(format!("`{path}` {reason}"))
        })?;
        Ok((Self(committer), Some((checkpoint, state.shown))))
    }

    /// Saves what was shown each time that it is more, until nobody shows anything. What comes
    /// while it saves is saved together.
    pub(super) async fn run(mut self, mut shown: watch::Receiver<Option<Shown>>) -> Result<()> {
        while shown.changed().await.is_ok() {
            let latest = shown.borrow_and_update().clone();
            if let Some(Shown { checkpoint, messages }) = latest {
                let state = serde_json::to_vec(&State { shown: messages })?;
                self.0.save(&checkpoint, state).await?;
            }
        }
        Ok(())
    }
}
