//! The suite on virtual channels of a server that a variable of the environment names.

#[path = "../../../msgstream-virtual/tests/harness/mod.rs"]
mod on_virtual;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::run;
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use self::on_virtual::{Below, OnVirtual};

struct Broker {
    registry: Registry,
    url: String,
    minimum: fn() -> Capabilities,
}

#[async_trait]
impl Below for Broker {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })
    }

    fn minimum(&self) -> Capabilities {
        (self.minimum)()
    }
}

/// Runs it on the broker of this name, with these options in its URL.
pub(crate) fn run_on(
    name: &str,
    options: &str,
    register: fn(&mut Registry),
    minimum: fn() -> Capabilities,
) -> ExitCode {
    let variable = format!("MSGSTREAM_{}_URL", name.to_uppercase());
    let Ok(url) = std::env::var(&variable) else {
        eprintln!(
            "the variable {variable} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up {name})\"\n"
        );
        return ExitCode::FAILURE;
    };
    let mut registry = Registry::new();
    register(&mut registry);
    run(OnVirtual(Broker { registry, url: format!("{url}{options}"), minimum }))
}
