//! A real endpoint of Prometheus, scraped over HTTP.
#![allow(clippy::unwrap_used)]

mod series;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use msgstream_core::message::TimeSyncMsg;
use msgstream_core::{Consumer, Producer, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};
use msgstream_observe::{ConsumerMetrics, DURATION_BUCKETS, Observed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::series::value;

/// Starts an endpoint and installs its recorder, on a port that nobody else took meanwhile.
fn endpoint() -> SocketAddr {
    loop {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS).unwrap();
        if let Ok((recorder, exporter)) = builder.with_http_listener(address).build() {
            metrics::set_global_recorder(recorder).unwrap();
            tokio::spawn(exporter);
            return address;
        }
    }
}

async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_has_what_a_producer_and_a_consumer_did() {
    let address = endpoint();
    let broker = Arc::new(Observed::over(Arc::new(MemTransport::new(MemConfig::default())), "mem"));
    let orders = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
    let mut producer = orders.open().await.unwrap();
    for at in 1..=3 {
        producer.send(TimeSyncMsg::new(Timestamp(at)).with_hash_keys([0])).await.unwrap();
    }
    producer.end(Timestamp(9)).await.unwrap();
    let mut packs = Consumer::builder(broker).channels(["orders"]).open().await.unwrap();
    let mut metrics = ConsumerMetrics::new("billing");
    while metrics.next_pack(&mut packs).await.unwrap().is_some() {}

    let text = scrape(address).await;
    let place = |operation| {
        vec![
            ("messaging.system", "mem"),
            ("messaging.destination.name", "orders"),
            ("messaging.operation.name", operation),
        ]
    };
    // Three messages and the tick that ends the channel.
    assert_eq!(value(&text, "messaging.client.sent.messages", &place("send")), Some(4.0), "{text}");
    let consumed = value(&text, "messaging.client.consumed.messages", &place("receive"));
    assert_eq!(consumed, Some(4.0), "{text}");
    let buckets = "messaging.client.operation.duration.bucket";
    let all = [place("send"), vec![("messaging.operation.type", "send"), ("le", "+Inf")]].concat();
    assert_eq!(value(&text, buckets, &all), Some(4.0), "{text}");
    let consumer = [("msgstream.consumer.name", "billing")];
    assert_eq!(value(&text, "msgstream.consumer.messages", &consumer), Some(3.0), "{text}");
    assert!(text.contains("# HELP messaging_client_sent_messages Records that"), "{text}");
    assert!(text.contains("# TYPE messaging_client_operation_duration histogram"), "{text}");
}
