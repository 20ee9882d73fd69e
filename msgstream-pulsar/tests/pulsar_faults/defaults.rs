//! A broker that is set up as it comes: it deletes what nobody uses, keeps nothing that isn't subscribed
//! to, and syncs its journal.

use msgstream_core::transport::{Start, TransportErrorKind as Kind, TransportExt as _};

use crate::broker::Broker;
use crate::support::{
    admin, ask_admin, create, nothing_is_lost, open, read_from, read_until, record, times, topic,
    write,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_outlives_its_silence_and_a_kill_with_the_broker_s_own_settings() {
    let broker = Broker::start_with_defaults().await;
    let url = &broker.url;
    let transport = open(url).await;
    let error = transport.create("orders").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(error.to_string().contains("set-retention"), "{error}");
    let retention = |minutes| {
        format!(r#"{{"retentionTimeInMinutes":{minutes},"retentionSizeInMB":{minutes}}}"#)
    };
    admin(url, "POST", "namespaces/public/default/retention", &retention(-1)).await;
    a_topic_moves(&broker).await;

    let channel = create(&*transport).await;
    write(&*transport, &channel, (0..3).map(record).collect()).await;
    let before = transport.describe(&channel).await.unwrap();
    // From now on nothing keeps it but that it was made by us. What others make is gone soon.
    let foreign = "foreign";
    admin(url, "PUT", &format!("persistent/public/default/{foreign}"), "").await;
    for name in [&channel, foreign] {
        admin(url, "POST", &topic(name, "retention"), &retention(0)).await;
    }
    while ask_admin(url, "GET", &topic(foreign, "stats"), "").await.0.starts_with("HTTP/1.1 200") {}
    assert_eq!(
        transport.list("").await.unwrap().iter().filter(|name| **name == channel).count(),
        1
    );
    admin(url, "POST", &topic(&channel, "retention"), &retention(-1)).await;
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    let end = before.end;
    cursor.ack(end).await.unwrap();

    broker.run("kill").await;
    broker.run("restart").await;
    let after = loop {
        match transport.describe(&channel).await {
            Ok(after) => break after,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    };
    assert_eq!(after.incarnation, before.incarnation);
    assert_eq!(times(&read_from(&*transport, &channel, Start::Earliest).await), [0, 1, 2]);
    assert_eq!(cursor.acked().await.unwrap(), Some(end));
    transport.close().await.unwrap();
}

/// A topic moves in mid-stream, as it does on any broker.
async fn a_topic_moves(broker: &Broker) {
    let transport = open(&broker.url).await;
    let unload = async |channel: &str| {
        let mut watch = transport.reader(channel, Start::Earliest).await.unwrap();
        read_until(&mut *watch, 1_000).await;
        admin(&broker.url, "PUT", &topic(channel, "unload"), "").await;
    };
    nothing_is_lost(&*transport, 20_000, unload).await;
    transport.close().await.unwrap();
}
