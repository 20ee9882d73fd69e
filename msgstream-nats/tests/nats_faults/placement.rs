//! Where streams are put, and how they are kept.

use msgstream_core::transport::{Start, TransportErrorKind as Kind, TransportExt as _};
use serde_json::json;

use crate::nats_server::{Cluster, Server, open};
use crate::support::{create, drain, write};

#[tokio::test]
async fn a_stream_is_put_where_the_url_says() {
    let cluster = Cluster::start().await;
    let url = &cluster.servers[0].url;
    let transport = open(&format!("{url}/?cluster=c&tags=second&compression=s2")).await.unwrap();
    create(&*transport, "orders").await;
    let info = cluster.info("orders").await;
    let config = &info["config"];
    assert_eq!(config["placement"], json!({ "cluster": "c", "tags": ["second"] }));
    assert_eq!((&config["compression"], &info["cluster"]["leader"]), (&json!("s2"), &json!("n2")));
    write(&*transport, "orders", 0..100).await;
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..100));

    for nowhere in ["cluster=d", "tags=fourth"] {
        let transport = open(&format!("{url}/?{nowhere}")).await.unwrap();
        let error = transport.create("nowhere").await.unwrap_err();
        assert!(!matches!(error.kind(), Kind::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_window_of_duplicates_is_the_url_s() {
    let server = Server::start().await;
    let transport = server.open_as("", "/?duplicate_window_ms=1500").await.unwrap();
    create(&*transport, "orders").await;
    let info = crate::nats_server::info(&server.url, "orders").await;
    assert_eq!(info["config"]["duplicate_window"], json!(1_500_000_000));
}
