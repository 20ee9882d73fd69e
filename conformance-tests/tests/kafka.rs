//! The suite on a Kafka server, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test kafka
//! brokers/down kafka
//! ```

mod brokers;
mod crc32c;
mod minimum;
mod plain_kafka;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, BrokerError, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_kafka::PlainKafka;

const URL: &str = "MSGSTREAM_KAFKA_URL";

struct Kafka {
    registry: Registry,
    url: String,
    plain: PlainKafka,
}

#[async_trait]
impl Harness for Kafka {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        })
    }

    fn minimum(&self) -> Capabilities {
        minimum::kafka()
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", "a b", "a/b", "a:0", "..", "__msgstream", &"x".repeat(250)]
            .map(str::to_owned)
            .into()
    }

    fn broker(&self) -> Option<&dyn Broker> {
        Some(self)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    // A broker that was killed looks through the logs of all channels before it answers.
    fn deadline(&self) -> Duration {
        Duration::from_secs(240)
    }
}

#[async_trait]
impl Broker for Kafka {
    async fn restart(&self) -> Result<(), BrokerError> {
        brokers::run("restart", "kafka", None).await.map(drop)
    }

    async fn kill(&self) -> Result<(), BrokerError> {
        brokers::run("kill", "kafka", None).await?;
        self.restart().await
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
    let plain = PlainKafka { address: url.trim_start_matches("kafka://").to_owned() };
    // A hundred readers that are opened at once have that time together.
    let url = format!("{url}?timeout_ms=60000");
    run(Kafka { registry, url, plain })
}
