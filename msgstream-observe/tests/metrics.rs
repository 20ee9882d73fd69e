//! What is recorded, as Prometheus sees it.
#![allow(clippy::unwrap_used)]

mod series;

use std::sync::Arc;
use std::time::Duration;

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use msgstream_core::message::TimeSyncMsg;
use msgstream_core::produce::SessionConfig;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_core::{Consumer, Producer, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};
use msgstream_observe::{ConsumerMetrics, Observed, SessionMetrics};

use self::series::value;

struct Recorded {
    handle: PrometheusHandle,
    _guard: LocalRecorderGuard<'static>,
}

impl Recorded {
    /// Records the metrics of this thread.
    fn here() -> Self {
        let recorder: &'static PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self { handle: recorder.handle(), _guard: metrics::set_default_local_recorder(recorder) }
    }

    /// Returns the value of a counter or a gauge with these labels; `None` if it isn't there.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        value(&self.handle.render(), name, labels)
    }

    /// Returns how many values a histogram with these labels has.
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.value(&format!("{name}.count"), labels)
    }
}

fn observed() -> Arc<dyn Transport> {
    let config = MemConfig::default().with_max_payload(100);
    Arc::new(Observed::over(Arc::new(MemTransport::new(config)), "mem"))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).unwrap()
}

fn records(payloads: &[usize]) -> Vec<Record> {
    payloads.iter().map(|len| Record::new(Default::default(), vec![0; *len])).collect()
}

#[tokio::test]
async fn batches_are_counted_with_what_became_of_them() {
    let recorded = Recorded::here();
    let broker = observed();
    broker.create("orders").await.unwrap();
    let mut writer = broker.writer("orders").await.unwrap();
    let send = [
        ("messaging.system", "mem"),
        ("messaging.destination.name", "orders"),
        ("messaging.operation.name", "send"),
    ];
    let receipt = writer.submit(records(&[10, 20]));
    assert_eq!(recorded.value("msgstream.client.in_flight", &send), Some(2.0));
    assert!(receipt.await.rest.is_none());
    assert!(writer.submit(records(&[101])).await.rest.is_some());
    drop(writer.submit(records(&[1])));

    let sent = "messaging.client.sent.messages";
    assert_eq!(recorded.value(sent, &send), Some(3.0), "the receipt of the third was dropped");
    let too_large = [send.as_slice(), &[("error.type", "too_large")]].concat();
    assert_eq!(recorded.value(sent, &too_large), Some(1.0));
    assert_eq!(recorded.value("msgstream.client.sent.size", &send), Some(132.0));
    assert_eq!(recorded.value("msgstream.client.in_flight", &send), Some(0.0));
    let of_type = |labels: &[_]| [labels, &[("messaging.operation.type", "send")]].concat();
    let duration = "messaging.client.operation.duration";
    assert_eq!(recorded.count(duration, &of_type(&send)), Some(1.0));
    assert_eq!(recorded.count(duration, &of_type(&too_large)), Some(1.0));
}

#[tokio::test]
async fn reads_are_counted_and_those_in_vain_have_no_duration() {
    let recorded = Recorded::here();
    let broker = observed();
    broker.create("orders").await.unwrap();
    broker.writer("orders").await.unwrap().submit(records(&[10, 20])).await;
    let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
    let one = Limit::default().with_records(1).with_wait(Duration::ZERO);
    for _ in 0..3 {
        reader.read(one).await.unwrap();
    }
    let receive = [
        ("messaging.system", "mem"),
        ("messaging.destination.name", "orders"),
        ("messaging.operation.name", "receive"),
    ];
    assert_eq!(recorded.value("messaging.client.consumed.messages", &receive), Some(2.0));
    assert_eq!(recorded.value("msgstream.client.consumed.size", &receive), Some(30.0));
    let reads = |caught_up| {
        let caught_up = [("msgstream.read.caught_up", caught_up)];
        recorded.value("msgstream.client.reads", &[receive.as_slice(), &caught_up].concat())
    };
    assert_eq!((reads("false"), reads("true")), (Some(1.0), Some(2.0)));
    let of_type = [receive.as_slice(), &[("messaging.operation.type", "receive")]].concat();
    assert_eq!(recorded.count("messaging.client.operation.duration", &of_type), Some(2.0));
}

#[tokio::test]
async fn each_other_operation_has_its_duration() {
    let recorded = Recorded::here();
    let broker = observed();
    broker.create("orders").await.unwrap();
    broker.writer("orders").await.unwrap().submit(records(&[1])).await;
    let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
    reader.seek(Start::Latest).await.unwrap();
    broker.list("").await.unwrap();
    let end = broker.describe("orders").await.unwrap().end;
    let cursor = broker.subscription("orders", "billing").await.unwrap();
    cursor.ack(end).await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(end));
    broker.unsubscribe("orders", "billing").await.unwrap();
    broker.trim("orders", end).await.unwrap();
    broker.delete("orders").await.unwrap();
    broker.delete("orders").await.unwrap_err();

    let durations = |labels: &[_]| {
        let system = [("messaging.system", "mem")];
        recorded.count("messaging.client.operation.duration", &[&system, labels].concat())
    };
    assert_eq!(durations(&[("messaging.operation.name", "list")]), Some(1.0));
    let orders = ("messaging.destination.name", "orders");
    for operation in ["create", "writer", "reader", "seek", "describe", "trim", "delete"] {
        assert_eq!(
            durations(&[orders, ("messaging.operation.name", operation)]),
            Some(1.0),
            "{operation}"
        );
    }
    let failed = [orders, ("messaging.operation.name", "delete"), ("error.type", "not_found")];
    assert_eq!(durations(&failed), Some(1.0));
    let billing = ("messaging.destination.subscription.name", "billing");
    for operation in ["subscription", "acked", "unsubscribe"] {
        let labels = [orders, billing, ("messaging.operation.name", operation)];
        assert_eq!(durations(&labels), Some(1.0), "{operation}");
    }
    let settle = ("messaging.operation.type", "settle");
    assert_eq!(
        durations(&[orders, billing, ("messaging.operation.name", "ack"), settle]),
        Some(1.0)
    );
}

#[tokio::test]
async fn failed_reads_have_their_error() {
    let recorded = Recorded::here();
    let broker = observed();
    broker.create("orders").await.unwrap();
    let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
    broker.delete("orders").await.unwrap();
    reader.read(Limit::default()).await.unwrap_err();
    broker.reader("orders", Start::At(Position::new(1))).await.unwrap_err();
    for (operation, kind) in [("receive", Some("receive")), ("reader", None)] {
        let mut labels = vec![
            ("messaging.system", "mem"),
            ("messaging.destination.name", "orders"),
            ("messaging.operation.name", operation),
            ("error.type", "not_found"),
        ];
        labels.extend(kind.map(|kind| ("messaging.operation.type", kind)));
        assert_eq!(recorded.count("messaging.client.operation.duration", &labels), Some(1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_consumer_is_recorded_while_it_waits() {
    let recorded = Recorded::here();
    let broker = observed();
    let channels = ["orders-0", "orders-1"];
    let orders = Producer::builder(broker.clone()).channels(channels).create_missing();
    let mut producer = orders.open().await.unwrap();
    let message = || TimeSyncMsg::new(at(4_000)).with_hash_keys([0]);
    producer.send(message()).await.unwrap();
    producer.tick(at(5_000)).await.unwrap();
    // From here on packs wait for `orders-1`.
    let mut ticked = Producer::builder(broker.clone()).channels(["orders-0"]).open().await.unwrap();
    ticked.tick(at(7_000)).await.unwrap();

    let mut packs = Consumer::builder(broker).channels(channels).open().await.unwrap();
    let mut metrics = ConsumerMetrics::new("billing");
    let pack = metrics.next_pack(&mut packs).await.unwrap().unwrap();
    assert_eq!(pack.msgs.len(), 1);
    let waiting = metrics.next_pack(&mut packs);
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_err();

    let consumer = ("msgstream.consumer.name", "billing");
    let of = |channel| [consumer, ("messaging.destination.name", channel)];
    let gauge = |name: &str, labels: &[_]| recorded.value(name, labels).unwrap();
    assert_eq!(gauge("msgstream.consumer.frontier", &[consumer]), 5.0);
    assert!(gauge("msgstream.consumer.since_pack", &[consumer]) >= 9.0);
    let watermark = |channel| gauge("msgstream.consumer.channel.watermark", &of(channel));
    assert_eq!((watermark("orders-0"), watermark("orders-1")), (7.0, 5.0));
    let lag = |channel| gauge("msgstream.consumer.channel.lag", &of(channel));
    assert_eq!((lag("orders-0"), lag("orders-1")), (0.0, 2.0));
    let blocking = |channel| gauge("msgstream.consumer.channel.blocking", &of(channel));
    assert_eq!(blocking("orders-0"), 0.0);
    assert!(blocking("orders-1") >= 8.0);
    let state = |channel, state| {
        let labels = [of(channel).as_slice(), &[("msgstream.channel.state", state)]].concat();
        gauge("msgstream.consumer.channel.state", &labels)
    };
    assert_eq!((state("orders-0", "ahead"), state("orders-0", "blocking")), (1.0, 0.0));
    assert_eq!((state("orders-1", "ahead"), state("orders-1", "blocking")), (0.0, 1.0));
    assert_eq!(recorded.value("msgstream.consumer.packs", &[consumer]), Some(1.0));
    assert_eq!(recorded.value("msgstream.consumer.messages", &[consumer]), Some(1.0));

    // After a seek the consumer counts from 0, and the counters go on.
    producer.end(at(9_000)).await.unwrap();
    packs.seek(&pack.start).await.unwrap();
    metrics.record(&packs.status());
    while metrics.next_pack(&mut packs).await.unwrap().is_some() {}
    assert_eq!(recorded.value("msgstream.consumer.messages", &[consumer]), Some(2.0));
}

#[tokio::test]
async fn counts_of_sessions_grow_by_what_is_new() {
    let recorded = Recorded::here();
    let broker = observed();
    let mut metrics = SessionMetrics::new("billing-3");
    for _ in 0..2 {
        let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
        let session = orders.session(SessionConfig::new("billing-3"));
        let mut producer = session.open().await.unwrap();
        metrics.record(&producer.counts());
        producer.confirm().await.unwrap();
        metrics.record(&producer.counts());
        metrics.record(&producer.counts());
        producer.close().await.unwrap();
    }
    let producer = [("msgstream.session.producer", "billing-3")];
    assert_eq!(recorded.value("msgstream.session.confirmed", &producer), Some(2.0));
    assert_eq!(recorded.value("msgstream.session.gave_up", &producer), Some(0.0));
}
