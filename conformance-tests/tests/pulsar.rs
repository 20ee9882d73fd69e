//! The suite on a Pulsar broker, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up pulsar)"
//! cargo test -p msgstream-conformance --features pulsar --test pulsar
//! brokers/down pulsar
//! ```

mod brokers;
mod crc32c;
mod minimum;
mod plain_pulsar;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, BrokerError, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_pulsar::PlainPulsar;

const URL: &str = "MSGSTREAM_PULSAR_URL";

struct Pulsar {
    registry: Registry,
    url: String,
    plain: PlainPulsar,
}

#[async_trait]
impl Harness for Pulsar {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })
    }

    fn minimum(&self) -> Capabilities {
        minimum::pulsar()
    }

    fn invalid_names(&self) -> Vec<String> {
        let long = "x".repeat(256);
        ["", "a\nb", "a\0b", "a/b", "..", " a", "a-partition-1", &long].map(str::to_owned).into()
    }

    fn broker(&self) -> Option<&dyn Broker> {
        Some(self)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    /// A restart takes 10 to 40 seconds, on a busy machine more, and a scenario may have two.
    fn deadline(&self) -> Duration {
        Duration::from_secs(600)
    }
}

#[async_trait]
impl Broker for Pulsar {
    async fn restart(&self) -> Result<(), BrokerError> {
        brokers::run("restart", "pulsar", None).await.map(drop)
    }

    async fn kill(&self) -> Result<(), BrokerError> {
        brokers::run("kill", "pulsar", None).await?;
        self.restart().await
    }
}

fn main() -> ExitCode {
    let Ok(url) = std::env::var(URL) else {
        eprintln!(
            "the variable {URL} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up pulsar)\"\n"
        );
        return ExitCode::FAILURE;
    };
    let mut registry = Registry::new();
    msgstream_pulsar::register(&mut registry);
    let plain = PlainPulsar { url: url.clone() };
    run(Pulsar { registry, url, plain })
}
