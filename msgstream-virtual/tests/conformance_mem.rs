//! The suite on virtual channels of the in-process transport.

mod harness;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::run;
use msgstream_core::transport::{
    Capabilities, Capability, Result, Transport, TransportError, TransportErrorKind as Kind,
};
use msgstream_mem::{MemConfig, MemTransport};

use self::harness::{Below, OnVirtual};

/// Without a limit to the payload the scenarios about it would have nothing to check.
const MAX_PAYLOAD: usize = 1 << 20;

struct Mem;

#[async_trait]
impl Below for Mem {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let config = MemConfig::default().with_max_payload(MAX_PAYLOAD);
        let opened = MemTransport::named_with("virtual", config).map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })?;
        Ok(Arc::new(opened))
    }

    fn minimum(&self) -> Capabilities {
        Capabilities::all().without(Capability::Persistent).with_max_payload(MAX_PAYLOAD)
    }
}

fn main() -> ExitCode {
    run(OnVirtual(Mem))
}
