//! JetStream in a domain of its own, and seen from a leaf node.

use std::net::TcpListener;
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{Start, TransportErrorKind as Kind, TransportExt as _};
use tokio::time::timeout;

use crate::nats_server::Server;
use crate::support::{create, drain, write};

#[tokio::test]
async fn a_leaf_node_uses_the_hub_s_streams() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let hub = format!("jetstream {{ domain: hub }}\nleafnodes {{ listen: \"{address}\" }}");
    let hub = Server::configured(&hub).await;
    let leaf = format!(
        "jetstream {{ domain: leaf }}\nleafnodes {{ remotes: [{{ url: \"nats://{address}\" }}] }}"
    );
    let leaf = Server::configured(&leaf).await;

    let there = hub.open_as("", "/?domain=hub").await.unwrap();
    create(&*there, "orders").await;
    write(&*there, "orders", 0..100).await;
    // The leaf connects to the hub when it can, for which there is no event.
    let connected = async {
        let here = loop {
            match leaf.open_as("", "/?domain=hub").await {
                Ok(here) => break here,
                Err(ConnectError::Transport(error)) if error.is_temporary() => {}
                Err(error) => panic!("{error}"),
            }
        };
        while let Err(error) = here.describe("orders").await {
            assert!(error.is_temporary(), "{error}");
        }
        here
    };
    let here = timeout(Duration::from_secs(60), connected).await.unwrap();
    write(&*here, "orders", 100..200).await;
    let mut reader = here.reader("orders", Start::Earliest).await.unwrap();
    assert_eq!(drain(&mut *reader).await, Vec::from_iter(0..200));
    let subscription = here.subscription("orders", "reader").await.unwrap();
    subscription.ack(Position::new(150)).await.unwrap();
    let cursor = there.subscription("orders", "reader").await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(Position::new(150)));

    // Without it, a server has streams of its own.
    let own = leaf.open_as("", "").await.unwrap();
    let error = own.describe("orders").await.unwrap_err();
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");
    assert!(own.list("").await.unwrap().is_empty());
}
