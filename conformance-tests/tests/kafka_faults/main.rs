//! What the suite can't know of Kafka: topics of other programs, transactions, retention, limits,
//! many channels, and a broker that is down or refuses.
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test kafka_faults
//! brokers/down kafka
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod acl;
#[path = "../brokers/mod.rs"]
mod brokers;
mod gaps;
mod many;
mod milvus;
mod outage;
mod reader;
mod support;
#[cfg(feature = "kafka-ssl")]
mod tls;
mod topics;
