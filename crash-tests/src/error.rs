//! What can go wrong.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msgstream::checkpoint::StoreError;
use msgstream::registry::ConnectError;
use msgstream::transport::TransportError;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "`{scheme}` keeps nothing beyond its process, so there is nothing to kill: give the URL of a broker that `brokers/up` started"
    )]
    NothingToKill { scheme: String },
    #[error("there is no broker `{name}` in `{}`: name one with --broker", folder.display())]
    NoBroker { name: String, folder: PathBuf },
    #[error(
        "`{name}` has no three nodes, so that none would be left: name a cluster with --broker, such as kafka-cluster"
    )]
    NoNodes { name: String },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Stream(#[from] msgstream::Error),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("JSON can't be written or read")]
    Json(#[source] serde_json::Error),
    #[error("`{}` can't be used", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` has a line {line} that is none of a journal", path.display())]
    Journal { path: PathBuf, line: usize },
    #[error("the process of {name} can't be started or ended")]
    Process { name: String, source: io::Error },
    #[error("{name} failed ({status}): {said}")]
    Failed { name: String, status: String, said: String },
    #[error("{what} took longer than {} s; raise --deadline if the machine is slow", after.as_secs())]
    Deadline { what: String, after: Duration },
    #[error("the plain client of the broker failed")]
    Raw(#[source] Box<dyn StdError + Send + Sync>),
    #[error(
        "only {counted} of {wanted} rounds counted, of {tried}: nothing was on its way at the kills; raise --messages"
    )]
    TooFew { wanted: u32, counted: u32, tried: u32 },
    #[error(
        "NOT EXACTLY ONCE: {kind}, seed {seed}, round {round}, {count} places, the journals and the log are in `{}`, first:\n  {}",
        folder.display(), first.join("\n  ")
    )]
    Wrong {
        kind: &'static str,
        seed: u64,
        round: u32,
        count: usize,
        first: Vec<String>,
        folder: PathBuf,
    },
}

impl Error {
    /// An error of a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.into(), source }
    }

    /// Whether trying again may help: the broker is away.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Stream(msgstream::Error::Transport(error)) | Self::Transport(error) => {
                error.is_temporary()
            }
            _ => false,
        }
    }
}

/// An error with what caused it, on one line; a cause that the text has already is left out.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    text
}
