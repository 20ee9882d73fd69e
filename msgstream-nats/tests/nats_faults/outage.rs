//! Servers that are down, or away for a while, or back without what they had.

use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Limit, ReaderOptions, Start, TransportErrorKind as Kind, TransportExt as _,
};

use crate::nats_server::Server;
use crate::support::{create, drain, failure, record, write};

#[tokio::test]
async fn a_server_that_is_down_is_told_at_once() {
    let server = Server::start().await;
    server.run("kill").await;
    let error = server.open_as("alice:secret@", "").await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn while_the_server_is_away_calls_fail_as_temporary_and_then_go_on() {
    let server = Server::start().await;
    let transport = server.open_as("", "?timeout_ms=2000").await.unwrap();
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..100).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let mut writer = transport.writer("orders").await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..100));
    let subscription = transport.subscription("orders", "reader").await.unwrap();
    subscription.ack(Position::new(50)).await.unwrap();

    server.run("kill").await;
    let error = failure(&mut *reader).await;
    assert!(error.is_temporary(), "{error}");
    let error = transport.describe("orders").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = subscription.ack(Position::new(60)).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = writer.submit(vec![record(100)]).await.rest.unwrap().error;
    assert!(matches!(error.kind(), Kind::Unavailable { .. } | Kind::Poisoned), "{error}");
    let error = writer.ready().await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Poisoned), "{error}");

    server.run("restart").await;
    write(&*transport, "orders", 100..200).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(100..200));
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(50)));
    subscription.ack(Position::new(60)).await.unwrap();
}

#[tokio::test]
async fn a_short_outage_is_not_seen_by_readers() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    for round in 0..3 {
        let numbers = round * 100..round * 100 + 100;
        write(&*transport, "orders", numbers.clone()).await;
        assert_eq!(drain(&mut *reader).await, Vec::from_iter(numbers));
        let waiting = reader.read(Limit::default().with_wait(Duration::from_millis(1)));
        let (batch, ()) = tokio::join!(waiting, server.run("kill"));
        assert!(batch.is_ok_and(|batch| batch.records.is_empty()));
        server.run("restart").await;
    }
}

#[tokio::test]
async fn a_read_that_nobody_polls_keeps_no_other_call_from_the_connection() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    drain(&mut *reader).await;
    server.run("kill").await;
    // In the server's place is somebody who says nothing, so the read stays where it connects.
    let address = server.url.strip_prefix("nats://").unwrap();
    let silent = tokio::net::TcpListener::bind(address).await.unwrap();
    let mut read = reader.read(Limit::default());
    let connection = tokio::select! {
        read = &mut read => panic!("it was to connect: {read:?}"),
        connection = silent.accept() => connection.unwrap(),
    };
    drop((connection, silent));
    server.run("restart").await;
    transport.describe("orders").await.unwrap();
    assert!(read.await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_server_that_comes_back_without_its_data_has_no_channel() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let mut writer = transport.writer("orders").await.unwrap();
    let subscription = transport.subscription("orders", "reader").await.unwrap();
    subscription.ack(Position::new(5)).await.unwrap();
    drain(&mut *reader).await;
    let incarnation = reader.incarnation();

    server.run("kill").await;
    std::fs::remove_dir_all(server.state.path().join("nats/data")).unwrap();
    server.run("restart").await;
    assert!(matches!(failure(&mut *reader).await.kind(), Kind::NotFound));
    let error = writer.submit(vec![record(10)]).await.rest.unwrap().error;
    assert!(matches!(error.kind(), Kind::Unavailable { .. } | Kind::Poisoned), "{error}");
    let error = subscription.ack(Position::new(6)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");

    // Another of the name is not mistaken for it, however long it is.
    create(&*transport, "orders").await;
    write(&*transport, "orders", 100..150).await;
    let error = failure(&mut *reader).await;
    assert!(matches!(error.kind(), Kind::WrongIncarnation { .. }), "{error}");
    let start = Start::At(Position::new(5));
    let error = transport
        .reader_with("orders", ReaderOptions::new(start).with_incarnation(incarnation))
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), Kind::WrongIncarnation { .. }), "{error}");
    assert_eq!(subscription.acked().await.unwrap(), None);
}
