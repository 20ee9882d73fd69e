//! The suite on a NATS server, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up nats)"
//! cargo test -p msgstream-conformance --features nats --test nats
//! brokers/down nats
//! ```
//!
//! On a cluster of three, after `brokers/up nats-cluster`, with `MSGSTREAM_SUITE_ON=nats-cluster`.

mod brokers;
mod minimum;
mod plain_nats;
mod suite_on;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_nats::PlainNats;
use crate::suite_on::SuiteOn;

struct Nats {
    registry: Registry,
    on: SuiteOn,
    url: String,
    plain: PlainNats,
}

#[async_trait]
impl Harness for Nats {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })
    }

    fn minimum(&self) -> Capabilities {
        minimum::nats()
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", &"x".repeat(256), &".".repeat(100)].map(str::to_owned).into()
    }

    fn broker(&self) -> Option<&dyn Broker> {
        Some(&self.on)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(120)
    }
}

fn main() -> ExitCode {
    let on = match SuiteOn::new("nats") {
        Ok(on) => on,
        Err(what_to_do) => {
            eprintln!("{what_to_do}");
            return ExitCode::FAILURE;
        }
    };
    let mut registry = Registry::new();
    msgstream_nats::register(&mut registry);
    let plain = PlainNats { hosts: on.hosts() };
    // Servers of a cluster first elect who leads, and make many streams one by one.
    let url = match on.url.split_once('?') {
        Some((address, options)) => format!("{address}?timeout_ms=60000&{options}"),
        None => on.url.clone(),
    };
    run(Nats { registry, on, url, plain })
}
