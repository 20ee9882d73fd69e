//! What puts a stream at risk, as an operator asks for it.

use std::net::TcpListener;

use msgstream_core::transport::{
    RiskKind, Transport, TransportErrorKind as Kind, TransportExt as _,
};

use crate::nats_server::{Cluster, Server, open};
use crate::support::create;

async fn kinds(transport: &dyn Transport) -> Vec<RiskKind> {
    let risks = transport.risks("orders").await.unwrap();
    risks.into_iter().map(|risk| risk.kind).collect()
}

#[tokio::test]
async fn records_that_are_in_memory_alone_are_one() {
    let server = Server::start().await;
    for (rest, wanted) in [("/a-", vec![]), ("/b-?storage=memory", vec![RiskKind::Sync])] {
        let transport = server.open_as("", rest).await.unwrap();
        create(&*transport, "orders").await;
        assert_eq!(kinds(&*transport).await, wanted, "{rest}");
    }
}

#[tokio::test]
async fn late_syncs_are_one() {
    for (setting, wanted) in [("\"2m\"", vec![RiskKind::Sync]), ("always", vec![])] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let monitor = free.local_addr().unwrap();
        drop(free);
        let config = format!("http: \"{monitor}\"\njetstream {{ sync_interval: {setting} }}");
        let server = Server::configured(&config).await;
        let asked = format!("/?monitor=http://{monitor}");
        let transport = server.open_as("", &asked).await.unwrap();
        create(&*transport, "orders").await;
        assert_eq!(kinds(&*transport).await, wanted, "{setting}");
    }
}

#[tokio::test]
async fn in_a_cluster_a_single_copy_is_one() {
    let cluster = Cluster::start().await;
    let transport = open(&cluster.servers[0].url).await.unwrap();
    // A cluster that has just begun takes its time for the first channel.
    while let Err(error) = transport.create("orders").await {
        if *error.kind() == Kind::AlreadyExists {
            break;
        }
        assert!(error.is_temporary(), "{error}");
    }
    assert_eq!(kinds(&*transport).await, [RiskKind::Replication]);
}
