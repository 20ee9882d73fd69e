//! What the suite can't know of Kafka: topics of other programs, partitions, transactions, retention, limits,
//! many channels, a broker that is down, hangs or refuses, and a cluster of which one node does.
//!
//! ```sh
//! eval "$(brokers/up kafka)"; eval "$(brokers/up kafka-cluster)"
//! cargo test -p msgstream-kafka --test kafka_faults
//! brokers/down kafka; brokers/down kafka-cluster
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod acl;
mod alone;
#[path = "../../../conformance-tests/tests/brokers/mod.rs"]
mod brokers;
mod cluster;
mod created;
mod gaps;
mod keys;
mod logs;
mod many;
mod milvus;
mod outage;
mod partitions;
mod reader;
mod risks;
mod support;
#[cfg(feature = "ssl")]
mod tls;
mod topics;
