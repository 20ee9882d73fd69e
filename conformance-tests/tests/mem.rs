//! The suite on the in-process transport.

mod minimum;
mod passed_on;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{BadKind, BrokerError, Harness, PlainClient, PlainRecord, run};
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

#[async_trait]
impl PlainClient for Mem {
    fn bad_kinds(&self) -> &[BadKind] {
        &passed_on::BAD_KINDS
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        passed_on::write(&*self.open().await?, channel, records).await
    }
}

fn main() -> ExitCode {
    run(Mem)
}
