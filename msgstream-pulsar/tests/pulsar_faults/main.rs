//! What goes wrong with a Pulsar broker: it is down, is silent, moves topics, drops records, refuses,
//! and of several hosts some don't answer.
//!
//! ```sh
//! eval "$(brokers/up pulsar)"
//! cargo test -p msgstream-pulsar --test pulsar_faults
//! brokers/down pulsar
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod broker;
#[path = "../../../conformance-tests/tests/brokers/mod.rs"]
mod brokers;
mod defaults;
mod hosts;
mod logs;
mod moves;
mod others;
mod outage;
mod proxy;
mod raw;
mod receipts;
mod redirects;
mod risks;
mod support;
mod unreadable;
