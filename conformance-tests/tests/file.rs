//! The suite on a folder of files.

mod files;
mod minimum;
mod passed_on;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{Harness, PlainClient, run};
use msgstream_core::transport::{Capabilities, Result, Transport};

use self::files::Files;

#[async_trait]
impl Harness for Files {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.open().await
    }

    fn minimum(&self) -> Capabilities {
        files::minimum()
    }

    fn invalid_names(&self) -> Vec<String> {
        files::invalid_names()
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(self)
    }
}

fn main() -> ExitCode {
    match tempfile::tempdir() {
        Ok(folder) => run(Files(folder)),
        Err(error) => {
            eprintln!("no folder for the files: {error}");
            ExitCode::FAILURE
        }
    }
}
