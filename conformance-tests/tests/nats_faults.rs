//! What goes wrong with a NATS server, each time on one of its own: it is down, goes away, loses
//! its data, refuses, is full.
//!
//! ```sh
//! cargo test -p msgstream-conformance --features nats --test nats_faults
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod brokers;
mod nats_server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{InsertRequest, MsgBase};
use msgstream_core::registry::ConnectError;
use msgstream_core::session::SessionConfig;
use msgstream_core::transport::{
    ChannelReader, Fate, Limit, Meta, Position, Record, Start, Transport, TransportError,
    TransportErrorKind as Kind,
};
use msgstream_core::{
    Error, Message, MsgPack, MsgStream, MsgType, Timestamp, TtConfig, TtMsgStream,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::nats_server::Server;

fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

async fn create(transport: &dyn Transport, channel: &str) {
    transport.create(channel, BTreeMap::new()).await.unwrap();
}

async fn write(transport: &dyn Transport, channel: &str, numbers: std::ops::Range<u64>) {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(numbers.map(record).collect()).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
}

/// The times of the records that are left, in their order.
async fn drain(reader: &mut dyn ChannelReader) -> Vec<u64> {
    let mut times = Vec::new();
    loop {
        let batch = reader.read(Limit::default()).await.unwrap();
        times.extend(batch.records.iter().map(|r| r.meta.timestamp.0));
        if batch.caught_up {
            return times;
        }
    }
}

/// The error of a reader whose channel is gone: an answer of the server may be on its way.
async fn failure(reader: &mut dyn ChannelReader) -> TransportError {
    loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
            Err(error) => return error,
        }
    }
}

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
async fn wrong_credentials_are_refused_at_once() {
    let server = Server::start().await;
    for user in ["app:wrong@", "nobody:app@", "a-token@"] {
        let error = server.open_as(user, "").await.unwrap_err();
        let ConnectError::Transport(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(!error.is_temporary());
    }
    assert!(server.open_as("app:app@", "").await.is_ok());
}

#[tokio::test]
async fn while_the_server_is_away_calls_fail_as_temporary_and_then_go_on() {
    let server = Server::start().await;
    let transport = server.open_as("", "?timeout_ms=2000").await.unwrap();
    create(&*transport, "orders").await;
    write(&*transport, "orders", 0..100).await;
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
    let (_, error) = writer.submit(vec![record(100)]).await.rest.unwrap();
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
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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

/// A producer's session and a consumer work all the time; only the server is away for a while.
#[tokio::test]
async fn ten_seconds_without_the_server_lose_and_repeat_nothing() {
    let server = Server::start().await;
    let transport = server.open().await;
    for channel in ["home", "orders", "plain"] {
        create(&*transport, channel).await;
    }
    let (acked, mut progress) = watch::channel(0);
    let (stop, stopped) = oneshot::channel();
    let producing = tokio::spawn(produce(transport.clone(), acked, stopped));
    let consuming = tokio::spawn(consume(transport.clone()));
    progress.wait_for(|acked| *acked >= 2_000).await.unwrap();

    // A plain writer writes until the server is gone, and is told what became of each batch.
    let mut writer = transport.writer("plain").await.unwrap();
    let write = async {
        let mut receipts = Vec::new();
        while writer.ready().await.is_ok() {
            let first = 100 * receipts.len() as u64;
            receipts.push(writer.submit((first..first + 100).map(record).collect()));
        }
        receipts
    };
    let (receipts, ()) = tokio::join!(write, server.run("kill"));
    let (mut told, mut failed) = (Vec::new(), None);
    for receipt in receipts {
        let outcome = receipt.await;
        assert!(failed.is_none() || outcome.stored.is_empty(), "{outcome:?}");
        told.extend(outcome.stored);
        failed = failed.or(outcome.rest);
    }
    let (_, error) = failed.unwrap();
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!producing.is_finished() && !consuming.is_finished());
    let error = transport.describe("orders").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");

    server.run("restart").await;
    let before = *progress.borrow();
    progress.wait_for(|acked| *acked >= before + 2_000).await.unwrap();
    stop.send(()).unwrap();
    let (sent, resent) = producing.await.unwrap();
    assert!(resent > 0, "nothing was in flight when the server went away");
    assert_eq!(*progress.borrow(), sent);
    assert_eq!(consuming.await.unwrap(), Vec::from_iter(1..=sent));

    // What the plain writer was told is stored is there, at its place.
    let mut reader = transport.reader("plain", Start::Earliest, None).await.unwrap();
    let stored = drain(&mut *reader).await;
    assert!(told.len() <= stored.len());
    assert_eq!(stored[..told.len()], *Vec::from_iter(0..told.len() as u64));
    assert!(told.iter().map(|position| position.offset()).eq(1..=told.len() as u64));
}

/// Writes numbers from 1 on in a session until it is told to stop, and gives the last one, and how
/// many records had to be sent again. Tells the last that is acknowledged.
async fn produce(
    transport: Arc<dyn Transport>,
    acked: watch::Sender<u64>,
    mut stopped: oneshot::Receiver<()>,
) -> (u64, u64) {
    let mut stream = MsgStream::new(transport);
    let config = SessionConfig::new("p", "home").unwrap();
    stream.create_session(config, &["orders"]).await.unwrap();
    stream.start().unwrap();
    let (receipts, mut pending) = mpsc::unbounded_channel();
    let acks = tokio::spawn(async move {
        while let Some((last, receipt)) = pending.recv().await {
            let receipt: msgstream_core::stream::PackReceipt = receipt;
            receipt.await.unwrap();
            acked.send_replace(last);
        }
    });
    let mut sent = 0;
    while stopped.try_recv().is_err() {
        let numbers = sent + 1..=sent + 100;
        sent += 100;
        let messages: MsgPack = numbers.map(insert).collect();
        stream.ready().await.unwrap();
        let receipt = stream.submit(messages).unwrap();
        receipts.send((sent, receipt)).unwrap();
        if sent % 1_000 == 0 {
            stream.tick(Timestamp(sent)).await.unwrap();
        }
    }
    drop(receipts);
    acks.await.unwrap();
    stream.end(Timestamp(sent)).await.unwrap();
    let resent = stream.session_counts().resent_records;
    stream.close().await.unwrap();
    (sent, resent)
}

fn insert(number: u64) -> Message {
    let insert = InsertRequest {
        base: Some(MsgBase::new(MsgType::INSERT, Timestamp(number))),
        timestamps: vec![number],
        row_ids: vec![1],
        num_rows: 1,
        ..InsertRequest::default()
    };
    InsertMsg::new(insert).with_hash_keys([0]).into()
}

/// The numbers that come out, up to the channel's end. Only errors that pass are passed over.
async fn consume(transport: Arc<dyn Transport>) -> Vec<u64> {
    let mut stream = TtMsgStream::new(transport, TtConfig::default()).unwrap();
    stream.create_consumers(None, &["orders"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    let mut numbers = Vec::new();
    loop {
        match stream.consume().await {
            Ok(Some(pack)) => {
                let stored = pack.msgs.iter().filter_map(Message::stored);
                numbers.extend(stored.map(|message| message.record.meta.timestamp.0));
            }
            Ok(None) => return numbers,
            Err(Error::Transport(error)) if error.is_temporary() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_read_that_nobody_polls_keeps_no_other_call_from_the_connection() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
    let mut writer = transport.writer("orders").await.unwrap();
    let subscription = transport.subscription("orders", "reader").await.unwrap();
    subscription.ack(Position::new(5)).await.unwrap();
    drain(&mut *reader).await;
    let incarnation = reader.incarnation();

    server.run("kill").await;
    std::fs::remove_dir_all(server.state.path().join("nats/data")).unwrap();
    server.run("restart").await;
    assert!(matches!(failure(&mut *reader).await.kind(), Kind::NotFound));
    let (_, error) = writer.submit(vec![record(10)]).await.rest.unwrap();
    assert!(matches!(error.kind(), Kind::Unavailable { .. } | Kind::Poisoned), "{error}");
    let error = subscription.ack(Position::new(6)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");

    // Another of the name is not mistaken for it, however long it is.
    create(&*transport, "orders").await;
    write(&*transport, "orders", 100..150).await;
    let error = failure(&mut *reader).await;
    assert!(matches!(error.kind(), Kind::WrongIncarnation { .. }), "{error}");
    let start = Start::At(Position::new(5));
    let error = transport.reader("orders", start, Some(incarnation)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::WrongIncarnation { .. }), "{error}");
    assert_eq!(subscription.acked().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_deleted_under_its_writer_is_named() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut writer = transport.writer("orders").await.unwrap();
    transport.delete("orders").await.unwrap();
    let outcome = writer.submit(vec![record(0)]).await;
    let (fate, error) = outcome.rest.unwrap();
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");
}

#[tokio::test]
async fn a_stream_deleted_under_a_waiting_reader_is_named_and_does_not_wait_for_its_time() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
    let (fate, error) = outcome.rest.unwrap();
    assert!(matches!(error.kind(), Kind::Full { .. }), "{error}");
    assert!(error.is_temporary());
    assert_eq!(fate, Fate::Unknown);
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
    assert_eq!(drain(&mut *reader).await, [0, 1, 4, 5, 6, 7]);
    let batch = reader.read(Limit::default().with_wait(Duration::ZERO)).await.unwrap();
    assert!(batch.caught_up);
    assert_eq!(batch.next, transport.describe("orders").await.unwrap().end);
    write(&*transport, "orders", 10..12).await;
    assert_eq!(drain(&mut *reader).await, [10, 11]);
}

#[tokio::test]
async fn messages_of_other_programs_are_read() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("msg_type", "no such type");
    headers.insert("Nats-Msg-Id", "1");
    client.request_with_headers("orders", headers, "bare".into()).await.unwrap();
    client.request("orders", "".into()).await.unwrap();
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
    let mut records = Vec::new();
    while records.len() < 2 {
        records.extend(reader.read(Limit::default()).await.unwrap().records);
    }
    assert_eq!(records[0].meta.msg_type, MsgType::UNREADABLE);
    assert_eq!(records[0].payload, "bare");
    assert_eq!(records[0].extra.len(), 1);
    assert_eq!(records[1].position, Position::new(2));
}

#[tokio::test]
async fn the_least_rights_suffice_and_what_is_beyond_them_is_denied() {
    let server = Server::start().await;
    let owner = server.open().await;
    for channel in ["least", "other"] {
        create(&*owner, channel).await;
    }
    // Makes the stream of the cursors, which the other account may not.
    let position = Position::new(1);
    owner.subscription("least", "owner").await.unwrap().ack(position).await.unwrap();

    let least = server.open_as("least:least@", "").await.unwrap();
    write(&*least, "least", 0..10).await;
    let mut reader = least.reader("least", Start::Earliest, None).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..10));
    let subscription = least.subscription("least", "reader").await.unwrap();
    subscription.ack(Position::new(4)).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(4)));
    least.unsubscribe("least", "reader").await.unwrap();

    let error = least.create("another", BTreeMap::new()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    let error = least.reader("other", Start::Earliest, None).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    let error = least.list("").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_prefix_hides_other_streams() {
    let server = Server::start().await;
    let (all, shop) = (server.open().await, server.open_as("", "/shop-").await.unwrap());
    create(&*all, "orders").await;
    create(&*shop, "orders.eu").await;
    let subscription = shop.subscription("orders.eu", "a.b").await.unwrap();
    subscription.ack(Position::new(1)).await.unwrap();
    assert_eq!(shop.list("").await.unwrap(), ["orders.eu"]);
    assert_eq!(all.list("").await.unwrap(), ["orders", "shop-orders.eu"]);
    assert_eq!(all.describe("shop-orders.eu").await.unwrap().properties, BTreeMap::new());
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
    let mut reader = transport.reader("orders", Start::Earliest, None).await.unwrap();
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
