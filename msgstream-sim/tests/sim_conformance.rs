//! The suite on the simulated transport, without faults: what it does to its users with them is
//! then within the contract.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use msgstream_conformance::{Harness, run};
use msgstream_core::Timestamp;
use msgstream_core::transport::{Capabilities, Result, Transport};
use msgstream_sim::Sim;

/// Without a limit to the payload the scenarios about it would have nothing to check.
const MAX_PAYLOAD: usize = 1 << 20;

struct Simulated {
    sim: Sim,
}

#[async_trait]
impl Harness for Simulated {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.sim.transport()))
    }

    fn minimum(&self) -> Capabilities {
        Capabilities::all().with_max_payload(MAX_PAYLOAD)
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", &"x".repeat(256)].map(str::to_owned).into()
    }
}

fn main() -> ExitCode {
    let sim = Sim::seed(1)
        .latency(Duration::ZERO..Duration::from_millis(2))
        .short_reads(0.1)
        .gaps(0.2)
        .clock(Timestamp::from_system_time(SystemTime::now()).unwrap_or_default())
        .max_payload(MAX_PAYLOAD)
        .build();
    run(Simulated { sim })
}
