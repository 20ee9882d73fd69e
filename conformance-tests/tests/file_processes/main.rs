//! The suite on a folder of files that two processes use: of the handles of each scenario every
//! other one is in a process of its own.
//!
//! It runs twice, so that each scenario has its first handle in either process.

mod error;
#[path = "../files/mod.rs"]
mod files;
mod link;
#[path = "../minimum/mod.rs"]
mod minimum;
#[path = "../passed_on/mod.rs"]
mod passed_on;
mod protocol;
mod remote;
mod server;

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use msgstream_conformance::{Harness, PlainClient, run};
use msgstream_core::transport::{Capabilities, Result, Transport};
use tokio::runtime::{Handle, Id};

use self::files::Files;
use self::link::Link;
use self::remote::Remote;

/// The variable that makes a process of this program serve the folder that it names.
const SERVED: &str = "MSGSTREAM_SERVED_FOLDER";

struct Processes {
    files: Files,
    other: Arc<Link>,
    /// Whether the next handle of each scenario is in the other process.
    remote: Mutex<HashMap<Id, bool>>,
    /// Whether the first one is.
    remote_first: bool,
}

impl Processes {
    fn start(remote_first: bool) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let other = Link::start(folder.path())?;
        Ok(Self { files: Files(folder), other, remote: Mutex::default(), remote_first })
    }

    fn is_remote(&self) -> bool {
        // Every scenario has a runtime of its own.
        let scenario = Handle::current().id();
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        let next = remote.entry(scenario).or_insert(self.remote_first);
        std::mem::replace(next, !*next)
    }
}

#[async_trait]
impl Harness for Processes {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        match self.is_remote() {
            true => Ok(Arc::new(Remote::open(&self.other, self.minimum()).await?)),
            false => self.files.open().await,
        }
    }

    fn minimum(&self) -> Capabilities {
        files::minimum()
    }

    fn invalid_names(&self) -> Vec<String> {
        files::invalid_names()
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.files)
    }
}

fn main() -> ExitCode {
    if let Some(folder) = env::var_os(SERVED) {
        return server::serve(Path::new(&folder));
    }
    let mut code = ExitCode::SUCCESS;
    for remote_first in [false, true] {
        let ran = match Processes::start(remote_first) {
            Ok(processes) => run(processes),
            Err(error) => {
                eprintln!("no other process: {error}");
                ExitCode::FAILURE
            }
        };
        if ran != ExitCode::SUCCESS {
            code = ran;
        }
    }
    code
}
