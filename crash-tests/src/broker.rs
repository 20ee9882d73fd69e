//! The broker, by the scripts that start and kill it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::error::{Error, Result};

/// A broker that `brokers/up NAME` started.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    folder: PathBuf,
    name: String,
}

impl Broker {
    /// The one of this name.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../brokers");
        if !folder.join(name).join("broker.sh").is_file() {
            return Err(Error::NoBroker { name: name.to_owned(), folder });
        }
        Ok(Self { folder, name: name.to_owned() })
    }

    /// Kills it without warning; it is gone then.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.run("kill").await
    }

    /// Starts it again, with its data; it answers then.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.run("restart").await
    }

    async fn run(&self, script: &str) -> Result<()> {
        let mut command = Command::new(self.folder.join(script));
        let output = command.arg(&self.name).stdin(Stdio::null()).output().await;
        let name = format!("brokers/{script} {}", self.name);
        match output {
            Err(source) => Err(Error::Process { name, source }),
            Ok(output) if !output.status.success() => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(Error::Failed { name, status: output.status.to_string(), said })
            }
            Ok(_) => Ok(()),
        }
    }
}
