//! Where the next run goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use msgstream::checkpoint::{Checkpoint, CheckpointStore as _, FileStore, StoreError, Stored};
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
    /// Opens the file, for these channels. Returns what an earlier run showed, too.
    pub(super) async fn open(
        path: &Path,
        channels: &[String],
    ) -> Result<(Self, Option<(Checkpoint, usize)>)> {
        let store = FileStore::new(path);
        // Opening takes the file from a run that uses it, so what can't be used is refused before.
        let found = store.load().await.map_err(|error| corrupt(path, error))?;
        found.map(|stored| shown(path, stored, channels)).transpose()?;
        let (committer, stored) = Committer::open(Arc::new(store)).await?;
        let shown = shown(path, stored, channels)?;
        Ok((Self(committer), shown))
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

/// Returns what an earlier run showed of the same channels.
fn shown(path: &Path, stored: Stored, channels: &[String]) -> Result<Option<(Checkpoint, usize)>> {
    let Some(checkpoint) = stored.checkpoint else { return Ok(None) };
    let state: State = serde_json::from_slice(&stored.state).map_err(|_| {
        let path = path.display();
        let reason = "is the checkpoint of another program: name another file";
        Error::Usage(format!("`{path}` {reason}"))
    })?;
    // The messages of a channel that isn't in the checkpoint would be left out up to its frontier, and
    // those of one that isn't named would never be shown.
    let kept: BTreeSet<&str> = checkpoint.channels.keys().map(|channel| &**channel).collect();
    let named: BTreeSet<&str> = channels.iter().map(|channel| &**channel).collect();
    if kept != named {
        let [kept, named] = [kept, named].map(|all| all.into_iter().map(str::to_owned).collect());
        return Err(Error::OtherChannels { path: path.to_owned(), kept, named });
    }
    Ok(Some((checkpoint, state.shown)))
}

/// Tells a damaged checkpoint from what never was one, and belongs to somebody.
fn corrupt(path: &Path, error: StoreError) -> Error {
    const BEGIN: &[u8] = b"msgstream-checkpoint ";
    let is_other = |found: &[u8]| !found.starts_with(BEGIN);
    match error {
        StoreError::Corrupt { .. } if std::fs::read(path).is_ok_and(|found| is_other(&found)) => {
            Error::NotACheckpoint { path: path.to_owned() }
        }
        error => error.into(),
    }
}
