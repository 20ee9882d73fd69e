//! Every command on real brokers: `brokers/with nats kafka pulsar -- cargo test …`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use crate::kit::commands::every_command;

fn on(variable: &str) {
    let url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} isn't set: run the test with `brokers/with`"));
    let prefix = format!("commands-{}-{}", std::process::id(), jiff::Timestamp::now().as_second());
    every_command(&url, &prefix);
}

#[test]
fn on_nats() {
    on("MSGSTREAM_NATS_URL");
}

#[test]
fn on_kafka() {
    on("MSGSTREAM_KAFKA_URL");
}

#[test]
fn on_pulsar() {
    on("MSGSTREAM_PULSAR_URL");
}
