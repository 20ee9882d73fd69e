//! What goes wrong with a NATS server, each time on one of its own: it is down, goes away, loses
//! its data, refuses, is full.
//!
//! ```sh
//! cargo test -p msgstream-nats --test nats_faults
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
#[path = "../../../conformance-tests/tests/brokers/mod.rs"]
mod brokers;
mod cluster;
mod domain;
mod foreign;
mod idle;
mod logs;
#[path = "../nats_server/mod.rs"]
mod nats_server;
mod others;
mod outage;
mod placement;
mod risks;
mod session;
mod streams;
mod support;
