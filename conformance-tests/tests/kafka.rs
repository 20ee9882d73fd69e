//! The suite on a Kafka server, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test kafka
//! brokers/down kafka
//! ```
//!
//! On a cluster of three, after `brokers/up kafka-cluster`, with `MSGSTREAM_SUITE_ON=kafka-cluster`.

mod brokers;
mod crc32c;
mod minimum;
mod plain_kafka;
mod suite_on;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_kafka::PlainKafka;
use crate::suite_on::SuiteOn;

struct Kafka {
    registry: Registry,
    on: SuiteOn,
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
        Some(&self.on)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    // A broker that was killed looks through the logs of all channels before it answers.
    fn deadline(&self) -> Duration {
        Duration::from_secs(240)
    }
}

fn main() -> ExitCode {
    let on = match SuiteOn::new("kafka") {
        Ok(on) => on,
        Err(what_to_do) => {
            eprintln!("{what_to_do}");
            return ExitCode::FAILURE;
        }
    };
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    let plain = PlainKafka { hosts: on.hosts() };
    // A hundred readers that are opened at once have that time together.
    let url = format!("{}?timeout_ms=60000", on.url);
    run(Kafka { registry, on, url, plain })
}
