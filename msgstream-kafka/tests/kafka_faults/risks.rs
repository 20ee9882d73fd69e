//! What puts a topic at risk, as an operator asks for it.

use std::time::{SystemTime, UNIX_EPOCH};

use msgstream_core::transport::{RiskKind, Transport};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::cluster;
use crate::support::{LONG, connect, make_topic, open, raw};

async fn kinds(transport: &dyn Transport, channel: &str) -> Vec<RiskKind> {
    let risks = transport.risks(channel).await.unwrap();
    risks.into_iter().map(|risk| risk.kind).collect()
}

#[tokio::test]
async fn a_transaction_that_hangs_is_one_once_it_is_old() {
    let transport = open().await;
    // The producer's clock counts, which can be told to be late.
    let channel = make_topic(1, &[("message.timestamp.type", "CreateTime")]).await;
    assert_eq!(kinds(&*transport, &channel).await, []);

    let producer: BaseProducer = raw().set("transactional.id", &channel).create().unwrap();
    producer.init_transactions(LONG).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    for (age, wanted) in [(0, vec![]), (120_000, vec![RiskKind::Transaction])] {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<(), _>::to(&channel).payload("held back");
        producer.send(record.timestamp(now - age)).unwrap();
        producer.flush(LONG).unwrap();
        assert_eq!(kinds(&*transport, &channel).await, wanted, "{age} ms old");
        producer.abort_transaction(LONG).unwrap();
    }
    while !kinds(&*transport, &channel).await.is_empty() {}
}

#[tokio::test]
async fn in_a_cluster_too_few_copies_are_one() {
    let transport = connect(&cluster::url()).await.unwrap();
    for (nodes, least, wanted) in [
        (&[1][..], "1", vec![RiskKind::Replication]),
        (&[1, 2, 3], "1", vec![RiskKind::Replication]),
        (&[1, 2, 3], "2", vec![]),
    ] {
        let topic = cluster::make_topic(nodes, &[("min.insync.replicas", least)]).await;
        cluster::settle(&*transport, &topic).await;
        assert_eq!(kinds(&*transport, &topic).await, wanted, "{nodes:?} {least}");
    }
}
