//! The suite on the in-process transport.

mod minimum;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_conformance::{BadKind, BrokerError, Harness, PlainClient, PlainRecord, run};
use msgstream_core::record::Position;
use msgstream_core::record::unreadable;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};
use msgstream_mem::{MemConfig, MemTransport};

/// Without a limit to the payload the scenarios about it would have nothing to check.
const MAX_PAYLOAD: usize = 1 << 20;

struct Mem;

#[async_trait]
impl Harness for Mem {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let config = MemConfig::default().with_max_payload(MAX_PAYLOAD);
        let opened = MemTransport::named_with("conformance", config).map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })?;
        Ok(Arc::new(opened))
    }

    fn minimum(&self) -> Capabilities {
        minimum::mem().with_max_payload(MAX_PAYLOAD)
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", &"x".repeat(256)].map(str::to_owned).into()
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(self)
    }
}

const MARKED: BadKind = BadKind::new("another transport's mark");
const MARKED_ALONE: BadKind = BadKind { name: "the mark alone", shows_payload: false };

/// In memory there is no other client, but what another transport couldn't read can be passed on.
#[async_trait]
impl PlainClient for Mem {
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

fn main() -> ExitCode {
    run(Mem)
}
