//! A cluster that loses one of its servers.

use msgstream_core::record::Position;
use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{Limit, Start};
use tokio::sync::{oneshot, watch};

use crate::nats_server::Cluster;
use crate::session::{consume, produce};
use crate::support::{create, drain, write};

/// A session and a consumer go on over the death of the server that leads their stream, and plain
/// readers, cursors and writers too.
#[tokio::test]
async fn the_death_of_a_leader_loses_and_repeats_nothing() {
    let cluster = Cluster::start().await;
    let transport = cluster.open().await;
    for channel in ["home", "orders", "plain"] {
        create(&*transport, channel).await;
    }
    write(&*transport, "plain", 0..100).await;
    let mut reader = transport.reader("plain", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..100));
    let subscription = transport.subscription("plain", "mine").await.unwrap();
    subscription.ack(Position::new(50)).await.unwrap();

    let (acked, mut progress) = watch::channel(0);
    let (stop, stopped) = oneshot::channel();
    let producing = tokio::spawn(produce(transport.clone(), acked, stopped));
    let consuming = tokio::spawn(consume(transport.clone()));
    progress.wait_for(|acked| *acked >= 1_000).await.unwrap();

    cluster.leader("orders").await.run("kill").await;
    let before = *progress.borrow();
    progress.wait_for(|acked| *acked >= before + 1_000).await.unwrap();
    stop.send(()).unwrap();
    let (sent, _) = producing.await.unwrap();
    assert_eq!(consuming.await.unwrap(), Vec::from_iter(1..=sent));

    // What had nothing to do meanwhile is as it was.
    let error = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) if batch.caught_up => break None,
            Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
            Err(error) if error.is_temporary() => {}
            Err(error) => break Some(error),
        }
    };
    assert!(error.is_none(), "{error:?}");
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(50)));
    subscription.ack(Position::new(60)).await.unwrap();
    write(&*transport, "plain", 100..200).await;
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(100..200));
}
