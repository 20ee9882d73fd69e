//! Streams that are deleted, full, or shorter than they were.

use std::error::Error as _;
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Fate, Limit, Start, TransportErrorKind as Kind, TransportExt as _, Unstored,
};

use crate::nats_server::Server;
use crate::support::{create, drain, record, write};

#[tokio::test]
async fn a_stream_deleted_under_its_writer_is_named() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut writer = transport.writer("orders").await.unwrap();
    transport.delete("orders").await.unwrap();
    let outcome = writer.submit(vec![record(0)]).await;
    let Unstored { fate, error, .. } = outcome.rest.unwrap();
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");
}

#[tokio::test]
async fn a_stream_deleted_under_a_waiting_reader_is_named_and_does_not_wait_for_its_time() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let waiting = reader.read(Limit::default().with_wait(Duration::from_secs(3600)));
    let (read, deleted) = tokio::join!(waiting, transport.delete("orders"));
    deleted.unwrap();
    assert!(matches!(read.unwrap_err().kind(), Kind::NotFound));
}

#[tokio::test]
async fn a_full_stream_is_told_and_what_was_stored_stays() {
    let server = Server::start().await;
    let transport = server.open_as("", "?max_bytes=20000&discard=new").await.unwrap();
    create(&*transport, "orders").await;
    let mut writer = transport.writer("orders").await.unwrap();
    let outcome = writer.submit((0..1000).map(record).collect()).await;
    let Unstored { fate, error, .. } = outcome.rest.unwrap();
    assert!(matches!(error.kind(), Kind::Full { .. }), "{error}");
    assert!(error.is_temporary());
    assert_eq!(fate, Fate::Unknown);
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let stored = drain(&mut *reader).await;
    assert!(!stored.is_empty() && stored.len() < 1000, "{}", stored.len());
    assert_eq!(stored[..outcome.stored.len()], *Vec::from_iter(0..outcome.stored.len() as u64));
}

#[tokio::test]
async fn a_reader_that_retention_passes_is_told() {
    let server = Server::start().await;
    let transport = server.open_as("", "?max_bytes=20000").await.unwrap();
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..5).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..5));
    // More than the reader asks for in advance.
    write(&*transport, "orders", 5..3000).await;
    let error = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => assert!(!batch.caught_up, "nothing is missing: {batch:?}"),
            Err(error) => break error,
        }
    };
    let Kind::PositionTrimmed { position, first } = *error.kind() else { panic!("{error}") };
    assert!(position < first);
    // It stays in place until it is told where to go.
    let again = reader.read(Limit::default()).await.unwrap_err();
    assert!(matches!(again.kind(), Kind::PositionTrimmed { .. }), "{again}");
    reader.seek(Start::At(first)).await.unwrap();
    assert_eq!(drain(&mut *reader).await.last(), Some(&2999));
}

#[tokio::test]
async fn single_messages_that_were_deleted_are_passed_over() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    // In the middle and at the end.
    for sequence in [3, 4, 9, 10] {
        let request = format!("{{\"seq\":{sequence}}}");
        client.request("$JS.API.STREAM.MSG.DELETE.orders", request.into()).await.unwrap();
    }
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, [0, 1, 4, 5, 6, 7]);
    let batch = reader.read(Limit::default().with_wait(Duration::ZERO)).await.unwrap();
    assert!(batch.caught_up);
    assert_eq!(batch.next, transport.describe("orders").await.unwrap().end);
    write(&*transport, "orders", 10..12).await;
    assert_eq!(drain(&mut *reader).await, [10, 11]);
}

#[tokio::test]
async fn a_trim_leaves_what_follows_messages_that_were_deleted() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    for sequence in [1, 5, 6, 10] {
        let request = format!("{{\"seq\":{sequence}}}");
        client.request("$JS.API.STREAM.MSG.DELETE.orders", request.into()).await.unwrap();
    }
    let end = transport.describe("orders").await.unwrap().end;
    let steps: [(_, _, &[u64]); 4] = [
        (Position::new(1), Some(2), &[1, 2, 3, 6, 7, 8]),
        // The first that is left stands after the position.
        (Position::new(5), Some(7), &[6, 7, 8]),
        (Position::new(9), Some(9), &[8]),
        (end, None, &[]),
    ];
    for (before, first, left) in steps {
        transport.trim("orders", before).await.unwrap();
        let info = transport.describe("orders").await.unwrap();
        assert_eq!((info.first, info.end), (first.map(Position::new), end));
        let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
        assert_eq!(drain(&mut *reader).await, left);
    }
    write(&*transport, "orders", 10..12).await;
    let mut reader = transport.reader("orders", Start::At(end)).await.unwrap();
    assert_eq!(drain(&mut *reader).await, [10, 11]);
}

#[tokio::test]
async fn a_stream_that_denies_purges_is_not_trimmed() {
    let server = Server::start().await;
    let transport = server.open().await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let stream = r#"{"name":"orders","subjects":["orders"],"deny_purge":true}"#;
    client.request("$JS.API.STREAM.CREATE.orders", stream.into()).await.unwrap();
    write(&*transport, "orders", 0..10).await;
    let error = transport.trim("orders", Position::new(4)).await.unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert!(!error.is_temporary() && cause.contains("purge"), "{error}: {cause}");
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));
}

#[tokio::test]
async fn readers_leave_no_consumers_behind() {
    #[derive(serde::Deserialize)]
    struct Answer {
        state: State,
    }
    #[derive(serde::Deserialize)]
    struct State {
        consumer_count: usize,
    }
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..10).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    for _ in 0..5 {
        reader.seek(Start::Earliest).await.unwrap();
        assert_eq!(drain(&mut *reader).await.len(), 10);
    }
    drop(reader);
    // There is no event for it: a consumer that stays is a test that hangs.
    loop {
        let info = client.request("$JS.API.STREAM.INFO.orders", "".into()).await.unwrap();
        let info: Answer = serde_json::from_slice(&info.payload).unwrap();
        if info.state.consumer_count == 0 {
            break;
        }
    }
}
