//! The suite on a NATS server, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up nats)"
//! cargo test -p msgstream-conformance --features nats --test nats
//! brokers/down nats
//! ```

mod brokers;
mod minimum;
mod plain_nats;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, BrokerError, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_nats::PlainNats;

const URL: &str = "MSGSTREAM_NATS_URL";

struct Nats {
    registry: Registry,
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
        Some(self)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(120)
    }
}

#[async_trait]
impl Broker for Nats {
    async fn restart(&self) -> Result<(), BrokerError> {
        brokers::run("restart", "nats", None).await.map(drop)
    }

    async fn kill(&self) -> Result<(), BrokerError> {
        brokers::run("kill", "nats", None).await?;
        self.restart().await
    }
}

fn main() -> ExitCode {
    let Ok(url) = std::env::var(URL) else {
        eprintln!(
            "the variable {URL} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up nats)\"\n"
        );
        return ExitCode::FAILURE;
    };
    let mut registry = Registry::new();
    msgstream_nats::register(&mut registry);
    let plain = PlainNats { url: url.clone() };
    run(Nats { registry, url, plain })
}
