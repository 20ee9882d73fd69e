//! The suite on virtual channels of logs in files.

mod harness;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::run;
use msgstream_core::transport::{Capabilities, Result, Transport};
use msgstream_file::{FileConfig, FileTransport};
use tempfile::TempDir;

use self::harness::{Below, OnVirtual};

const MAX_PAYLOAD: usize = 1 << 20;

struct Files(TempDir);

#[async_trait]
impl Below for Files {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        // Small segments, so that every scenario has several.
        let config = FileConfig::new(self.0.path());
        let config = config.with_max_payload(MAX_PAYLOAD).with_segment_bytes(64 << 10);
        Ok(Arc::new(FileTransport::open(config).await?))
    }

    fn minimum(&self) -> Capabilities {
        Capabilities::all().with_max_payload(MAX_PAYLOAD)
    }
}

fn main() -> ExitCode {
    match tempfile::tempdir() {
        Ok(folder) => run(OnVirtual(Files(folder))),
        Err(error) => {
            eprintln!("no folder for the files: {error}");
            ExitCode::FAILURE
        }
    }
}
