//! Messages of 64 MiB on each server, with the layer `Chunks`, and writers that fail between their parts:
//!
//! ```sh
//! eval "$(brokers/up nats)"
//! cargo test -p msgstream-conformance --features nats --test large_messages
//! brokers/down nats
//! ```
#![cfg(any(feature = "nats", feature = "kafka", feature = "pulsar"))]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../msgstream-layers/tests/chunks/scans.rs"]
mod scans;

use std::sync::Arc;

use msgstream_conformance::unique_name;
use msgstream_core::registry::Registry;
use msgstream_layers::{Chunks, Faults};

use self::scans::{receive, send};

const LENS: [usize; 5] = [100, 64 << 20, 1_000, (8 << 20) + 1, (64 << 20) - 1];

/// One message fits, and no two.
const BUDGET: usize = 100 << 20;

async fn large_messages_pass(broker: &str, register: fn(&mut Registry)) {
    let url = std::env::var(format!("MSGSTREAM_{}_URL", broker.to_uppercase()))
        .unwrap_or_else(|_| panic!("there is no server: run eval \"$(brokers/up {broker})\""));
    let mut registry = Registry::new();
    register(&mut registry);
    let broker = registry.connect(&url).await.unwrap();
    for failures in [0.0, 0.01] {
        let faults =
            Arc::new(Faults::over(broker.clone(), 7).unknown(failures).not_stored(failures));
        let chunks = Arc::new(Chunks::over(faults));
        let channel = unique_name();
        send(chunks.clone(), &channel, &LENS).await;
        receive(chunks.clone(), &channel, &LENS, BUDGET).await;
        assert!(chunks.counts().split >= 3, "{:?}", chunks.counts());
    }
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn on_nats() {
    large_messages_pass("nats", msgstream_nats::register).await;
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn on_kafka() {
    large_messages_pass("kafka", msgstream_kafka::register).await;
}

#[cfg(feature = "pulsar")]
#[tokio::test]
async fn on_pulsar() {
    large_messages_pass("pulsar", msgstream_pulsar::register).await;
}
