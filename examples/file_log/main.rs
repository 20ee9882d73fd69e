//! The whole suite on a transport of one's own: a directory with a file for each channel.
//!
//! `cargo run --example file_log` takes the arguments of a test program; `cargo test` runs it too.

mod codec;
mod transport;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{Harness, run};
use msgstream_core::transport::{Capabilities, Capability, Result, Transport};

use crate::transport::FileLog;

struct Files(tempfile::TempDir);

#[async_trait]
impl Harness for Files {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(FileLog::new(self.0.path())))
    }

    fn minimum(&self) -> Capabilities {
        let can = Capabilities::none()
            .with(Capability::Create)
            .with(Capability::Delete)
            .with(Capability::List);
        can.with(Capability::SeekPosition)
            .with(Capability::BinaryHeaders)
            .with(Capability::Keys)
            .with_max_payload(1 << 20)
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a/b", "..", &"x".repeat(300)].map(str::to_owned).into()
    }
}

fn main() -> ExitCode {
    match tempfile::tempdir() {
        Ok(directory) => run(Files(directory)),
        Err(error) => {
            eprintln!("no directory for the files: {error}");
            ExitCode::FAILURE
        }
    }
}
