//! The suite on a Pulsar broker, which is killed and restarted in between:
//!
//! ```sh
//! eval "$(brokers/up pulsar)"
//! cargo test -p msgstream-conformance --features pulsar --test pulsar
//! brokers/down pulsar
//! ```
//!
//! On a cluster, after `brokers/up pulsar-cluster`, with `MSGSTREAM_SUITE_ON=pulsar-cluster`.

mod brokers;
mod crc32c;
mod minimum;
mod plain_pulsar;
mod suite_on;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Broker, Harness, PlainClient, run};
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{Capabilities, Result, Transport, TransportError};

use crate::plain_pulsar::PlainPulsar;
use crate::suite_on::SuiteOn;

struct Pulsar {
    registry: Registry,
    on: SuiteOn,
    plain: PlainPulsar,
}

#[async_trait]
impl Harness for Pulsar {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        self.registry.connect(&self.on.url).await.map_err(|error| {
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
        Some(&self.on)
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(&self.plain)
    }

    /// A restart takes 10 to 40 seconds, on a busy machine more, and a scenario may have two.
    fn deadline(&self) -> Duration {
        Duration::from_secs(600)
    }
}

fn main() -> ExitCode {
    let on = match SuiteOn::new("pulsar") {
        Ok(on) => on,
        Err(what_to_do) => {
            eprintln!("{what_to_do}");
            return ExitCode::FAILURE;
        }
    };
    let mut registry = Registry::new();
    msgstream_pulsar::register(&mut registry);
    let plain = PlainPulsar { hosts: on.hosts() };
    run(Pulsar { registry, on, plain })
}
