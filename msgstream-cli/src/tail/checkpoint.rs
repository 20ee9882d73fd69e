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
pub(super) struct Saver {
    committer: Committer,
    shown: watch::Receiver<Option<Shown>>,
}

/// What is saved beside the checkpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// How many messages of the pack after it were shown, by a run that stopped after a number of
    /// lines.
    shown: usize,
}

impl Saver {
    /// Opens the file. Returns the saver, where it takes from what was shown, and what an earlier
    /// run showed.
    pub(super) async fn open(
        path: &Path,
    ) -> Result<(Self, watch::Sender<Option<Shown>>, Option<(Checkpoint, usize)>)> {
        let (committer, stored) = Committer::open(Arc::new(FileStore::new(path))).await?;
        let begun = match stored.checkpoint {
            None => None,
            Some(checkpoint) => {
                let state: State = serde_json::from_slice(&stored.state).map_err(|_| {
                    let path = path.display();
                    Error::Usage(format!(
                        "`{path}` is the checkpoint of another program: name another file"
                    ))
                })?;
                Some((checkpoint, state.shown))
            }
        };
        let (sender, shown) = watch::channel(None);
        Ok((Self { committer, shown }, sender, begun))
    }

    /// Waits until more was shown.
    pub(super) async fn changed(&mut self) {
        if self.shown.changed().await.is_err() {
            // Nothing more is shown; whoever stopped knows why.
            std::future::pending().await
        }
    }

    /// Saves what was shown since the last time.
    pub(super) async fn save(&mut self) -> Result<()> {
        let Some(Shown { checkpoint, messages }) = self.shown.borrow_and_update().clone() else {
            return Ok(());
        };
        let state = serde_json::to_vec(&State { shown: messages })?;
        Ok(self.committer.save(&checkpoint, state).await?)
    }
}
