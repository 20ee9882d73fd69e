//! What is logged of a server that goes away.

use std::time::Duration;

use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use tracing::Level;

use crate::nats_server::{Logs, Server};
use crate::support::{create, drain, failure, write};

#[tokio::test]
async fn a_lost_connection_is_told_once_and_so_is_its_return() {
    let server = Server::start().await;
    let (logs, _guard) = Logs::begin();
    let transport = server.open_as("app:app@", "?timeout_ms=1000").await.unwrap();
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    drain(&mut *reader).await;
    assert!(logs.ours(Level::WARN).is_empty(), "{:?}", logs.all());

    server.run("kill").await;
    for _ in 0..2 {
        assert!(failure(&mut *reader).await.is_temporary());
        assert!(transport.describe("orders").await.unwrap_err().is_temporary());
    }
    server.run("restart").await;
    write(&*transport, "orders", 0..10).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));

    let (lost, back) = (logs.ours(Level::WARN), logs.ours(Level::INFO));
    for users in ["readers", "requests"] {
        for lines in [&lost, &back] {
            let told = lines.iter().filter(|line| line.contains(users)).count();
            assert_eq!(told, 1, "{users}: {lost:?} {back:?}");
        }
    }
    let host = server.url.strip_prefix("nats://").unwrap();
    assert!(lost.iter().all(|line| line.contains(host)), "{lost:?}");
    assert!(!logs.ours(Level::DEBUG).is_empty());
    // The client library says nothing of its own failing to come back: it isn't to.
    let all = logs.all();
    let errors = all.iter().filter(|(level, _)| *level == Level::ERROR);
    assert_eq!(errors.count(), 0, "{all:?}");
}

#[tokio::test]
async fn a_reader_whose_consumer_is_gone_tells_that_and_goes_on() {
    let server = Server::start().await;
    let (logs, _guard) = Logs::begin();
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));
    let client = async_nats::connect(&server.url).await.unwrap();
    let names = client.request("$JS.API.CONSUMER.NAMES.orders", "".into()).await.unwrap();
    let names: serde_json::Value = serde_json::from_slice(&names.payload).unwrap();
    let name = names["consumers"][0].as_str().unwrap();
    client.request(format!("$JS.API.CONSUMER.DELETE.orders.{name}"), "".into()).await.unwrap();
    write(&*transport, "orders", 10..20).await;
    let mut records = Vec::new();
    while records.len() < 10 {
        let limit = Limit::default().with_wait(Duration::from_secs(60));
        records.extend(reader.read(limit).await.unwrap().records);
    }
    assert_eq!(logs.ours(Level::WARN).len(), 1, "{:?}", logs.ours(Level::WARN));
    assert_eq!(logs.ours(Level::INFO).len(), 1, "{:?}", logs.ours(Level::INFO));
}
