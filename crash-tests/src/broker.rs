//! The broker, by the scripts that start and kill it.

use std::fs;
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

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many nodes it has.
    pub(crate) fn nodes(&self) -> Result<u32> {
        let path = self.folder.join(&self.name).join("broker.sh");
        let script = fs::read_to_string(&path).map_err(Error::file(&path))?;
        let numbers = script.lines().find_map(|line| line.strip_prefix("all_nodes="));
        Ok(numbers.map_or(1, |numbers| numbers.split_whitespace().count() as u32))
    }

    /// Runs a script for one node, or for the whole broker.
    pub(crate) async fn run(&self, script: &str, node: Option<u32>) -> Result<()> {
        let node = node.map(|node| node.to_string());
        let mut command = Command::new(self.folder.join(script));
        command.arg(&self.name).args(&node).stdin(Stdio::null());
        let output = command.output().await;
        let of_node = node.map(|node| format!(" {node}")).unwrap_or_default();
        let name = format!("brokers/{script} {}{of_node}", self.name);
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
