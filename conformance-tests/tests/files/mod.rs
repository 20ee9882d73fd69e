//! A folder of files, as the tests of it open it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_conformance::{BadKind, BrokerError, PlainClient, PlainRecord};
use msgstream_core::record::{Position, unreadable};
use msgstream_core::transport::{Capabilities, Result, Transport};
use msgstream_file::{FileConfig, FileTransport};
use tempfile::TempDir;

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

const MARKED: BadKind = BadKind::new("another transport's mark");
const MARKED_ALONE: BadKind = BadKind { name: "the mark alone", shows_payload: false };

/// There is no other client of these files, but what another transport couldn't read can be passed
/// on.
#[async_trait]
impl PlainClient for Files {
    fn bad_kinds(&self) -> &[BadKind] {
        &[MARKED, MARKED_ALONE]
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        let record = |record: &PlainRecord| match record {
            PlainRecord::Good(record) => record.clone(),
            PlainRecord::Bad { kind, payload } => {
                let payload = if kind.shows_payload { payload.clone() } else { Bytes::new() };
                unreadable(Position::default(), "it is bad", [], payload)
            }
        };
        let mut writer = self.open().await?.writer(channel).await?;
        for batch in records.chunks(1_000) {
            writer.ready().await?;
            let outcome = writer.submit(batch.iter().map(record).collect()).await;
            if let Some(rest) = outcome.rest {
                return Err(rest.error.into());
            }
        }
        Ok(writer.close().await?)
    }
}
