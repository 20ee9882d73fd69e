//! Receipts and answers that get lost, and receipts that say that nothing was stored.

use std::sync::Mutex;

use msgstream_conformance::unique_name;
use msgstream_core::transport::{
    Fate, Start, TransportErrorKind as Kind, TransportExt as _, Unstored,
};
use pulsar::message::proto::base_command::Type;

use crate::proxy::{AdminProxy, Proxy, replace};
use crate::support::{admin, create, open, open_with, read_from, record, shared, times, write};

#[tokio::test]
async fn a_lost_receipt_hangs_nobody() {
    let proxy = Proxy::start(&shared(), |kind, _| kind != Type::SendReceipt).await;
    let transport = open_with(&proxy.url, "&timeout_ms=5000").await.unwrap();
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let receipts = [0, 1].map(|number| writer.submit(vec![record(number)]));
    for receipt in receipts {
        let outcome = receipt.await;
        let Some(Unstored { fate: Fate::Unknown, error, .. }) = outcome.rest else {
            panic!("{:?}", outcome.stored)
        };
        assert!(matches!(error.kind(), Kind::TimedOut { .. }), "{error}");
    }
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
    writer.close().await.unwrap();
    // They are there all the same.
    assert_eq!(times(&read_from(&*transport, &channel, Start::Earliest).await), [0, 1]);
}

/// A broker that looks for repeats goes by the producer's name and counts from 0 for each.
#[tokio::test]
async fn what_a_broker_takes_for_a_repeat_is_reported_as_not_stored() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    admin(&url, "POST", &format!("namespaces/public/{namespace}/deduplication"), "true").await;
    let url = url.replace("public/default", &format!("public/{namespace}"));
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    // No two writers have one name, so nothing of theirs is taken for a repeat.
    write(&*transport, &channel, vec![record(0)]).await;
    write(&*transport, &channel, vec![record(1)]).await;

    // Here all writers get the name of the first.
    let first = Mutex::new(None);
    let proxy = Proxy::start(&url, move |kind, frame| {
        if kind == Type::Producer {
            let at = frame.windows(10).position(|part| part == b"msgstream-").unwrap();
            let name = frame[at..at + 42].to_vec();
            let first = first.lock().unwrap().get_or_insert_with(|| name.clone()).clone();
            replace(frame, &name, &first);
        }
        true
    })
    .await;
    let transport = open(&proxy.url).await;
    write(&*transport, &channel, vec![record(2)]).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let outcome = writer.submit(vec![record(3)]).await;
    let Some(Unstored { fate: Fate::NotStored, error, .. }) = outcome.rest else {
        panic!("{:?}", outcome.stored)
    };
    assert!(matches!(error.kind(), Kind::Protocol { .. }), "{error}");
    assert_eq!(times(&read_from(&*transport, &channel, Start::Earliest).await), [0, 1, 2]);
}

/// The first answer to each of these is lost: the channel is made, and deleted, and who asks again
/// isn't told that somebody else did it.
#[tokio::test]
async fn a_lost_answer_of_the_admin_interface_is_asked_for_again() {
    let proxy = AdminProxy::start(&shared(), &["PUT /admin/v2/persistent", "DELETE "]).await;
    let transport = open(&proxy.url).await;
    let channel = create(&*transport).await;
    assert_eq!(proxy.left(), 1);
    let error = transport.create(&channel).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::AlreadyExists);
    transport.delete(&channel).await.unwrap();
    assert_eq!(proxy.left(), 0);
    let error = transport.delete(&channel).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound);
}
