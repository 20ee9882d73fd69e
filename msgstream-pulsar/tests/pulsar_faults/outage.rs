//! Brokers that are down, or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use msgstream_core::transport::{
    Fate, Limit, Start, TransportErrorKind as Kind, TransportExt as _, Unstored,
};
use pulsar::message::proto::base_command::Type;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::broker::Broker;
use crate::proxy::Proxy;
use crate::support::{
    create, drain, nothing_is_lost, open, open_with, read_until, record, refusal, shared, times,
    write,
};

#[tokio::test]
async fn a_broker_that_is_down_is_told_at_once() {
    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let kind = refusal(open_with(&format!("pulsar://{nobody}/a/b?token=secret"), "").await);
    assert!(matches!(kind, Kind::Unavailable { .. }), "{kind}");
    // A broker, and no admin interface.
    let url = shared();
    let (broker, _) = url.split_once('?').unwrap();
    let kind = refusal(open_with(broker, &format!("?admin=http://{nobody}")).await);
    assert!(matches!(kind, Kind::Unavailable { .. }), "{kind}");
}

#[tokio::test]
async fn a_silent_broker_hangs_nobody_and_one_that_comes_back_is_used_again() {
    let broker = Broker::start().await;
    let transport = open_with(&broker.url, "&timeout_ms=5000").await.unwrap();
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [0]);
    let mut writer = transport.writer(&channel).await.unwrap();
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(transport.describe(&channel).await.unwrap().end).await.unwrap();
    let acked = cursor.acked().await.unwrap();
    assert!(acked.is_some());

    // It takes what is sent and says nothing.
    broker.signal("-STOP");
    let outcome = writer.submit(vec![record(1)]).await;
    let Some(Unstored { fate: Fate::Unknown, error, .. }) = outcome.rest else {
        panic!("{:?}", outcome.stored)
    };
    assert!(matches!(error.kind(), Kind::TimedOut { .. } | Kind::Unavailable { .. }), "{error}");
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
    let error = transport.describe(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = transport.writer(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    broker.signal("-CONT");
    writer.close().await.unwrap();

    broker.run("kill").await;
    let error = transport.writer(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    // The reader waits, and says so in the end.
    let error = loop {
        match reader.read(Limit::default().with_wait(Duration::from_secs(1))).await {
            Ok(batch) => assert!(batch.records.iter().all(|r| r.meta.timestamp.0 == 1)),
            Err(error) => break error,
        }
    };
    assert!(error.is_temporary(), "{error}");
    broker.run("restart").await;
    let mut writer = loop {
        match transport.writer(&channel).await {
            Ok(writer) => break writer,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    };
    assert!(writer.submit(vec![record(2)]).await.rest.is_none());
    let read = read_until(&mut *reader, 2).await;
    assert_eq!(read.iter().filter(|r| r.meta.timestamp.0 == 2).count(), 1);
    assert!(read.iter().all(|r| r.meta.timestamp.0 > 0), "a record came twice");
    // What was acknowledged is so after the kill.
    let mut stands = cursor.acked().await;
    while stands.as_ref().is_err_and(|error| error.is_temporary()) {
        stands = cursor.acked().await;
    }
    assert_eq!(stands.unwrap(), acked);
    transport.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_for_ten_seconds_costs_nothing() {
    const COUNT: u64 = 200_000;
    let broker = Broker::start().await;
    let transport = open_with(&broker.url, "&timeout_ms=1000000").await.unwrap();
    let away = async |channel: &str| {
        let mut watch = transport.reader(channel, Start::Earliest).await.unwrap();
        read_until(&mut *watch, COUNT / 20).await;
        broker.run("kill").await;
        // This is the outage, and not a wait for anything.
        sleep(Duration::from_secs(10)).await;
        broker.run("restart").await;
    };
    nothing_is_lost(&*transport, COUNT, away).await;
    transport.close().await.unwrap();
}

/// What is known of its end is from before it was silent.
#[tokio::test]
async fn nobody_is_caught_up_with_a_broker_that_is_silent() {
    let silent = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&silent);
    let proxy = Proxy::start(&shared(), move |_, _| !heard.load(Ordering::Relaxed)).await;
    let transport = open_with(&proxy.url, "&timeout_ms=10000").await.unwrap();
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [0]);
    let waiting = |ms| Limit::default().with_wait(Duration::from_millis(ms));
    // It can be told over and over while there is nothing new, without waiting, too.
    for ms in [0, 0, 10] {
        while !reader.read(waiting(ms)).await.unwrap().caught_up {}
    }
    silent.store(true, Ordering::Relaxed);
    for ms in [0, 0, 50, 500] {
        let batch = reader.read(waiting(ms)).await.unwrap();
        assert!(!batch.caught_up && batch.records.is_empty(), "{batch:?}");
    }
    silent.store(false, Ordering::Relaxed);
    while !reader.read(waiting(0)).await.is_ok_and(|batch| batch.caught_up) {}
    write(&*transport, &channel, vec![record(1)]).await;
    assert_eq!(times(&read_until(&mut *reader, 1).await), [1]);
}

/// When a broker is back, all readers that it had come together.
#[tokio::test]
async fn few_readers_attach_at_once() {
    const AT_ONCE: usize = 16;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // No reader gets an answer.
    let proxy = Proxy::start(&shared(), move |kind, _| {
        counter.fetch_add(usize::from(kind == Type::Subscribe), Ordering::Relaxed);
        kind != Type::Success
    })
    .await;
    let transport = open(&shared()).await;
    let channel = create(&*transport).await;
    let unanswered = open(&proxy.url).await;
    let readers = (0..100).map(|_| unanswered.reader(&channel, Start::Earliest));
    let looks = async {
        while asked.load(Ordering::Relaxed) < AT_ONCE {
            unanswered.describe(&channel).await.unwrap();
        }
        // Long enough for more of them, if they asked.
        for _ in 0..20 {
            unanswered.describe(&channel).await.unwrap();
        }
    };
    tokio::select! {
        _ = join_all(readers) => panic!("readers are open without an answer"),
        () = looks => {}
    }
    assert_eq!(asked.load(Ordering::Relaxed), AT_ONCE);
    // With answers, each gets its turn.
    let readers = (0..100).map(|_| transport.reader(&channel, Start::Earliest));
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}
