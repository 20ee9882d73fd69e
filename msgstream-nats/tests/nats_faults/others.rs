//! Messages and streams of other programs.

use std::collections::BTreeMap;

use msgstream_core::MsgType;
use msgstream_core::record::Position;
use msgstream_core::transport::{Limit, Start, TransportExt as _};

use crate::nats_server::Server;
use crate::support::create;

#[tokio::test]
async fn messages_of_other_programs_are_read() {
    let server = Server::start().await;
    let transport = server.open().await;
    create(&*transport, "orders").await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("msg_type", "no such type");
    headers.insert("Nats-Msg-Id", "1");
    client.request_with_headers("orders", headers, "bare".into()).await.unwrap();
    client.request("orders", "".into()).await.unwrap();
    let mut reader = transport.reader("orders", Start::Earliest).await.unwrap();
    let mut records = Vec::new();
    while records.len() < 2 {
        records.extend(reader.read(Limit::default()).await.unwrap().records);
    }
    assert_eq!(records[0].meta.msg_type, MsgType::UNREADABLE);
    assert_eq!(records[0].payload, "bare");
    assert_eq!(records[0].extra.len(), 2);
    assert_eq!(records[1].position, Position::new(2));
}

#[tokio::test]
async fn a_prefix_hides_other_streams() {
    let server = Server::start().await;
    let (all, shop) = (server.open().await, server.open_as("", "/shop-").await.unwrap());
    create(&*all, "orders").await;
    create(&*shop, "orders.eu").await;
    let subscription = shop.subscription("orders.eu", "a.b").await.unwrap();
    subscription.ack(Position::new(1)).await.unwrap();
    assert_eq!(shop.list("").await.unwrap(), ["orders.eu"]);
    assert_eq!(all.list("").await.unwrap(), ["orders", "shop-orders.eu"]);
    assert_eq!(all.describe("shop-orders.eu").await.unwrap().properties, BTreeMap::new());
}
