//! A reader to which nothing comes.

use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{Limit, Start, Transport, TransportErrorKind as Kind};
use serde_json::Value;

use crate::nats_server::Server;
use crate::support::{create, drain, failure, write};

/// How many requests to JetStream the account has made.
async fn requests(client: &async_nats::Client) -> u64 {
    let answer = client.request("$JS.API.INFO", "".into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    answer["api"]["total"].as_u64().unwrap()
}

#[tokio::test]
async fn it_asks_the_server_seldom() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));
    assert!(reader.read(Limit::default()).await.unwrap().caught_up);

    let client = async_nats::connect(&server.url).await.unwrap();
    let before = requests(&client).await;
    let reads = 8;
    for _ in 0..reads {
        let batch = reader.read(Limit::default()).await.unwrap();
        assert!(batch.records.is_empty() && batch.caught_up, "{batch:?}");
    }
    // One of them is ours. A busy machine may be late with its signs of life now and then.
    let asked = requests(&client).await - before - 1;
    assert!(asked <= reads / 2, "{asked} requests for {reads} reads");

    write(&*transport, "orders", 10..20).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(10..20));
    transport.delete("orders").await.unwrap();
    assert!(matches!(failure(&mut *reader).await.kind(), Kind::NotFound));
}

#[tokio::test]
async fn an_end_that_was_deleted_is_passed_over() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    for sequence in [8, 9, 10] {
        let which = format!(r#"{{"seq":{sequence}}}"#);
        client.request("$JS.API.STREAM.MSG.DELETE.orders", which.into()).await.unwrap();
    }
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..7));
    let batch = reader.read(Limit::default()).await.unwrap();
    assert_eq!((batch.next.offset(), batch.caught_up), (11, true));
    write(&*transport, "orders", 10..20).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(10..20));
}
