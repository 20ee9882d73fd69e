//! Every command on real brokers: `brokers/with nats kafka pulsar -- cargo test …`.

use std::net::TcpListener;

use crate::kit::commands::every_command;
use crate::kit::run;

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

#[test]
fn a_broker_that_cant_be_reached_ends_a_command_with_3() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = free.local_addr().unwrap();
    drop(free);
    for url in [
        format!("nats://{host}"),
        format!("kafka://{host}?timeout_ms=1000"),
        format!("pulsar://{host}?admin=http://{host}&timeout_ms=1000"),
    ] {
        for command in [&["channels", "list"][..], &["doctor"], &["conformance"]] {
            run(&[command, &[&url]].concat(), 3);
        }
        for command in ["tail", "repair-ticks"] {
            run(&[command, &url, "orders"], 3);
        }
        let folder = tempfile::tempdir().unwrap();
        run(&["copy", &crate::kit::url(folder.path()), &url, "orders"], 3);
    }
}
