//! A session and its consumer over an outage.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{InsertRequest, MsgBase};
use msgstream_core::produce::{PackReceipt, SessionConfig};
use msgstream_core::transport::{Start, Transport, TransportErrorKind as Kind, TransportExt as _};
use msgstream_core::{
    ConsumerConfig, Error, Message, MsgPack, MsgStream, MsgType, Timestamp, TtMsgStream,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::nats_server::Server;
use crate::support::{create, drain, record};

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
    let error = failed.unwrap().error;
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!producing.is_finished() && !consuming.is_finished());
    let error = transport.describe("orders").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");

    server.run("restart").await;
    let before = *progress.borrow();
    progress.wait_for(|acked| *acked >= before + 2_000).await.unwrap();
    stop.send(()).unwrap();
    let (sent, reopened) = producing.await.unwrap();
    assert!(reopened > 0, "the session went on with the writer that it had");
    assert_eq!(*progress.borrow(), sent);
    assert_eq!(consuming.await.unwrap(), Vec::from_iter(1..=sent));

    // What the plain writer was told is stored is there, at its place.
    let mut reader = transport.reader("plain", Start::Earliest).await.unwrap();
    let stored = drain(&mut *reader).await;
    assert!(told.len() <= stored.len());
    assert_eq!(stored[..told.len()], *Vec::from_iter(0..told.len() as u64));
    assert!(told.iter().map(|position| position.offset()).eq(1..=told.len() as u64));
}

/// Writes numbers from 1 on in a session until it is told to stop, and gives the last one, and how
/// often the session went on with another writer. Tells the last that is acknowledged.
pub(crate) async fn produce(
    transport: Arc<dyn Transport>,
    acked: watch::Sender<u64>,
    mut stopped: oneshot::Receiver<()>,
) -> (u64, u64) {
    let mut stream = MsgStream::new(transport);
    let config = SessionConfig::new("p").with_home("home");
    stream.create_session(config, &["orders"]).await.unwrap();
    stream.start().unwrap();
    let (receipts, mut pending) = mpsc::unbounded_channel();
    let acks = tokio::spawn(async move {
        while let Some((last, receipt)) = pending.recv().await {
            let receipt: PackReceipt = receipt;
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
    let reopened = stream.session_counts().reopened_writers;
    stream.close().await.unwrap();
    (sent, reopened)
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
pub(crate) async fn consume(transport: Arc<dyn Transport>) -> Vec<u64> {
    let mut stream = TtMsgStream::new(transport, ConsumerConfig::default()).unwrap();
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
