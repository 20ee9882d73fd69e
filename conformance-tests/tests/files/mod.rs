//! A folder of files, as the tests of it open it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{BadKind, BrokerError, PlainClient, PlainRecord};
use msgstream_core::transport::{Capabilities, Result, Transport};
use msgstream_file::{FileConfig, FileTransport};
use tempfile::TempDir;

use crate::passed_on;

/// Small, so that the scenarios about it are quick.
const MAX_PAYLOAD: usize = 1 << 20;
/// Small, so that every scenario has several segments.
const SEGMENT: u64 = 64 << 10;

pub(crate) fn config(folder: &Path) -> FileConfig {
    FileConfig::new(folder).with_max_payload(MAX_PAYLOAD).with_segment_bytes(SEGMENT)
}

/// What a folder must be able to do at the least: everything.
pub(crate) fn minimum() -> Capabilities {
    crate::minimum::file().with_max_payload(MAX_PAYLOAD)
}

pub(crate) fn invalid_names() -> Vec<String> {
    ["", "a\nb", "a\0b", &"x".repeat(256), &"/".repeat(86)].map(str::to_owned).into()
}

pub(crate) struct Files(pub(crate) TempDir);

impl Files {
    pub(crate) async fn open(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(FileTransport::open(config(self.0.path())).await?))
    }
}

#[async_trait]
impl PlainClient for Files {
    fn bad_kinds(&self) -> &[BadKind] {
        &passed_on::BAD_KINDS
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        passed_on::write(&*self.open().await?, channel, records).await
    }
}
