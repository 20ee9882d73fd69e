//! A broker that is down, and comes back.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Fate, Limit, Start, Transport as _, TransportErrorKind as Kind, TransportExt as _,
};
use tokio::time::sleep;

use crate::support::{Broker, LONG, connect, create, drain, failure, record, times, write_numbers};

/// Whether a future is done by now.
async fn is_done<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(pin!(&mut *future).poll(cx).is_ready())).await
}

// One broker, for it takes its time to start.
#[tokio::test]
async fn a_broker_that_is_down_comes_back() {
    let broker = Broker::start().await;
    // A machine with other work takes its time to start a broker.
    let patient = format!("{}?message.timeout.ms=300000&timeout_ms=60000", broker.url);
    let transport = connect(&patient).await.unwrap();
    let hasty = connect(&format!("{}?timeout_ms=5000", broker.url)).await.unwrap();
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut writer = transport.writer(&channel).await.unwrap();
    assert!(writer.submit((0..100).map(record).collect()).await.rest.is_none());
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..100));
    let subscription = transport.subscription(&channel, "reader").await.unwrap();
    subscription.ack(Position::new(50)).await.unwrap();
    let mut hasty_reader = hasty.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *hasty_reader).await.len(), 100);
    let hasty_subscription = hasty.subscription(&channel, "hasty").await.unwrap();

    broker.run("kill").await;
    let error = connect(&format!("{}?timeout_ms=1000", broker.url)).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    let error = hasty.describe(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = failure(&mut *hasty_reader).await;
    assert!(error.is_temporary(), "{error}");
    let error = hasty_subscription.ack(Position::new(60)).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    // What is submitted meanwhile is stored when the broker is back, once and in order.
    let mut receipts: Vec<_> = (100..200).map(|n| writer.submit(vec![record(n)])).collect();
    assert!(!is_done(&mut receipts[0]).await);
    // So long it stays away; whoever reads goes on meanwhile, and may be told.
    let away = sleep(Duration::from_secs(10));
    let mut told = 0;
    let waiting = async {
        loop {
            match reader.read(Limit::default().with_wait(LONG)).await {
                Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
                Err(error) => {
                    assert!(error.is_temporary(), "{error}");
                    told += 1;
                }
            }
        }
    };
    tokio::select! {
        () = away => {}
        () = waiting => {}
    }
    println!("the reader was told {told} times in 10 s");
    assert!(!is_done(&mut receipts[0]).await);
    broker.run("restart").await;
    for receipt in receipts {
        let outcome = receipt.await;
        assert!(outcome.rest.is_none(), "{outcome:?}");
    }
    let mut read = Vec::new();
    while read.len() < 100 {
        match reader.read(Limit::default()).await {
            Ok(batch) => read.extend(times(&batch.records)),
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    assert_eq!(read, Vec::from_iter(100..200));
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(50)));
    subscription.ack(Position::new(60)).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(60)));

    // Away for longer than a message lives.
    let url = format!("{}?message.timeout.ms=2000", broker.url);
    let impatient = connect(&url).await.unwrap();
    let mut writer = impatient.writer(&channel).await.unwrap();
    broker.run("kill").await;
    let receipts = [200, 201].map(|n| writer.submit(vec![record(n)]));
    for receipt in receipts {
        let fate = receipt.await.rest.unwrap().fate;
        assert_eq!(fate, Fate::Unknown);
    }
    assert!(matches!(writer.ready().await.unwrap_err().kind(), Kind::Poisoned));
    broker.run("restart").await;
    write_numbers(&*impatient, &channel, 200..202).await;
    let mut firsts = Vec::new();
    while firsts.last() != Some(&201) {
        let batch = reader.read(Limit::default()).await.unwrap();
        for number in times(&batch.records) {
            if !firsts.contains(&number) {
                firsts.push(number);
            }
        }
    }
    assert_eq!(firsts, [200, 201]);
}
