//! The suite on the in-process transport.

mod minimum;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{Harness, run};
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
}

fn main() -> ExitCode {
    run(Mem)
}
