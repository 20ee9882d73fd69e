//! The suite on the in-process transport under both layers: they change nothing of what it does.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::{Harness, run};
use msgstream_core::transport::{
    Capabilities, Capability, Result, Transport, TransportError, TransportErrorKind as Kind,
};
use msgstream_mem::{MemConfig, MemTransport};
use msgstream_observe::{Observed, Propagated};

/// Without a limit to the payload the scenarios about it would have nothing to check.
const MAX_PAYLOAD: usize = 1 << 20;

struct Layers;

#[async_trait]
impl Harness for Layers {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let config = MemConfig::default().with_max_payload(MAX_PAYLOAD);
        let opened = MemTransport::named_with("observed", config).map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })?;
        // There is no context to add: the suite compares the headers that it reads.
        let propagated = Propagated::over(Arc::new(opened), || None);
        Ok(Arc::new(Observed::over(Arc::new(propagated), "mem")))
    }

    fn minimum(&self) -> Capabilities {
        Capabilities::all().without(Capability::Persistent).with_max_payload(MAX_PAYLOAD)
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", &"x".repeat(256)].map(str::to_owned).into()
    }
}

fn main() -> ExitCode {
    run(Layers)
}
