//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::record::{Meta, Record};
use msgstream_core::registry::{ConnectError, Registry};
use msgstream_core::transport::{
    ChannelReader, Limit, Transport, TransportError, TransportExt as _,
};
use msgstream_core::{MsgType, Timestamp};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header as RawHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::brokers;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) async fn connect(url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    registry.connect(url).await
}

pub(crate) fn url() -> String {
    std::env::var("MSGSTREAM_KAFKA_URL").expect(
        "MSGSTREAM_KAFKA_URL is not set, and there is no test without a broker: eval \"$(brokers/up kafka)\"",
    )
}

pub(crate) async fn open() -> Arc<dyn Transport> {
    connect(&url()).await.unwrap()
}

/// A client as any other program has one.
pub(crate) fn raw() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", url().trim_start_matches("kafka://"));
    config
}

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    raw().create().unwrap()
}

pub(crate) async fn make_topic(partitions: i32, settings: &[(&str, &str)]) -> String {
    let name = unique_name();
    let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(-1));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let made = admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|one| drop(one.unwrap()));
    // The broker hears of it a little later.
    let transport = open().await;
    while transport.list(&name).await.unwrap().is_empty() {}
    name
}

pub(crate) fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

/// One with a payload of so many bytes.
pub(crate) fn record_of(number: u64, bytes: usize) -> Record {
    let mut record = record(number);
    record.payload = vec![b'x'; bytes].into();
    record
}

pub(crate) async fn create(transport: &dyn Transport) -> String {
    let name = unique_name();
    transport.create(&name).await.unwrap();
    name
}

pub(crate) async fn write(transport: &dyn Transport, channel: &str, records: Vec<Record>) {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(records).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
}

pub(crate) async fn write_numbers(
    transport: &dyn Transport,
    channel: &str,
    numbers: std::ops::Range<u64>,
) {
    write(transport, channel, numbers.map(record).collect()).await;
}

/// Sends a record as another program would, with the headers of the wire format.
pub(crate) fn send(producer: &BaseProducer, topic: &str, key: &str, number: u64) {
    let (payload, time) = (number.to_string(), number.to_string());
    let mut headers = OwnedHeaders::new();
    for (key, value) in [
        ("msg_type", "Insert"),
        ("msg_id", "0"),
        ("timestamp", time.as_str()),
        ("vchannel", ""),
        ("collection_id", "0"),
    ] {
        headers = headers.insert(RawHeader { key, value: Some(value) });
    }
    let record = BaseRecord::to(topic).key(key).payload(&payload).headers(headers);
    producer.send(record).unwrap();
}

pub(crate) async fn drain(reader: &mut dyn ChannelReader) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let batch = reader.read(Limit::default()).await.unwrap();
        records.extend(batch.records);
        if batch.caught_up {
            return records;
        }
    }
}

pub(crate) fn times(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.meta.timestamp.0).collect()
}

/// Takes the records before an offset away, as retention does.
pub(crate) async fn delete_until(topic: &str, offset: i64) {
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    admin().delete_records(&upto, &AdminOptions::new()).await.unwrap();
}

/// The error of a reader, after whatever had arrived before.
pub(crate) async fn failure(reader: &mut dyn ChannelReader) -> TransportError {
    loop {
        if let Err(error) = reader.read(Limit::default()).await {
            return error;
        }
    }
}

/// A broker of a test's own, which ends with it.
pub(crate) struct Broker {
    pub(crate) state: TempDir,
    pub(crate) url: String,
    pub(crate) with_password: String,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// One that has listeners with TLS too, at the ports that `brokers/kafka/broker.sh` tells.
    #[cfg(feature = "ssl")]
    pub(crate) async fn start_with_tls() -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("kafka")).unwrap();
        std::fs::write(state.path().join("kafka/tls"), "").unwrap();
        Self::start_in(state).await
    }

    async fn start_in(state: TempDir) -> Self {
        let printed = brokers::run("up", "kafka", Some(state.path())).await.unwrap();
        let variable = |name: &str| {
            let line = printed.lines().find_map(|l| l.strip_prefix("export ")?.strip_prefix(name));
            line.and_then(|value| value.strip_prefix('=')).unwrap().to_owned()
        };
        let (url, with_password) =
            (variable("MSGSTREAM_KAFKA_URL"), variable("MSGSTREAM_KAFKA_SASL_ADDRESS"));
        Self { state, url, with_password }
    }

    pub(crate) async fn run(&self, script: &str) {
        brokers::run(script, "kafka", Some(self.state.path())).await.unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/down");
        let mut down = std::process::Command::new(script);
        down.arg("kafka").env("MSGSTREAM_BROKERS_STATE", self.state.path());
        // A test that failed has something else to say.
        drop(down.status());
    }
}
