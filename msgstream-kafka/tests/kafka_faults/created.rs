//! What topics are created with.

use msgstream_conformance::unique_name;
use msgstream_core::transport::{Transport as _, TransportErrorKind as Kind, TransportExt as _};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::cluster;
use crate::support::{LONG, connect, create, url};

#[tokio::test]
async fn a_topic_has_the_replicas_and_the_settings_of_the_url() {
    let address = cluster::url();
    let options = "replicas=2&create.min.insync.replicas=1&create.retention.ms=86400000";
    let transport = connect(&format!("{address}?{options}")).await.unwrap();
    let topic = create(&*transport).await;
    transport.describe(&topic).await.unwrap();

    let mut raw = ClientConfig::new();
    raw.set("bootstrap.servers", address.trim_start_matches("kafka://"));
    let seen = {
        let (raw, topic) = (raw.clone(), topic.clone());
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = raw.create().unwrap();
            loop {
                // Not every node knows a new topic at once.
                let seen = client.fetch_metadata(Some(&topic), LONG).unwrap();
                if let Some(partition) = seen.topics()[0].partitions().first() {
                    return partition.replicas().len();
                }
            }
        })
    };
    assert_eq!(seen.await.unwrap(), 2);
    let admin: AdminClient<DefaultClientContext> = raw.create().unwrap();
    let resource = ResourceSpecifier::Topic(&topic);
    let settings = loop {
        let described = admin.describe_configs([&resource], &AdminOptions::new()).await.unwrap();
        if let Some(Ok(settings)) = described.into_iter().next() {
            break settings;
        }
    };
    for (name, value) in [
        ("min.insync.replicas", "1"),
        ("retention.ms", "86400000"),
        ("message.timestamp.type", "LogAppendTime"),
    ] {
        assert_eq!(settings.get(name).unwrap().value.as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn what_the_brokers_can_t_take_is_told() {
    for (option, is_final) in [("create.retention.ms=long", true), ("replicas=2", false)] {
        let transport = connect(&format!("{}?timeout_ms=2000&{option}", url())).await.unwrap();
        let error = transport.create(&unique_name()).await.unwrap_err();
        assert_eq!(matches!(error.kind(), Kind::Config { .. }), is_final, "{error}");
        let says = if is_final { "its error says" } else { "fewer brokers are up" };
        assert!(error.to_string().contains(says), "{error}");
    }
}
