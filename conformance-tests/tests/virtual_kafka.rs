//! The suite on virtual channels of a Kafka server:
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test virtual_kafka
//! brokers/down kafka
//! ```

mod minimum;
#[path = "../../msgstream-virtual/tests/harness/mod.rs"]
mod on_virtual;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_conformance::run;
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use self::on_virtual::{Below, OnVirtual};

const URL: &str = "MSGSTREAM_KAFKA_URL";

struct Kafka {
    registry: Registry,
    url: String,
}

#[async_trait]
impl Below for Kafka {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })
    }

    fn minimum(&self) -> Capabilities {
        minimum::kafka()
    }
}

fn main() -> ExitCode {
    let Ok(url) = std::env::var(URL) else {
        eprintln!(
            "the variable {URL} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up kafka)\"\n"
        );
        return ExitCode::FAILURE;
    };
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    // A hundred readers that are opened at once have that time together.
    let url = format!("{url}?timeout_ms=60000");
    run(OnVirtual(Kafka { registry, url }))
}
