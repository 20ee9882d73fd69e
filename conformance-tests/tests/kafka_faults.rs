//! What the suite can't know of Kafka: topics of other programs, transactions, retention, limits,
//! many channels, and a broker that is down or refuses.
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test kafka_faults
//! brokers/down kafka
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod brokers;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::registry::{ConnectError, Registry};
use msgstream_core::transport::{
    ChannelReader, Fate, Header, Limit, Meta, Position, Record, Start, Transport, TransportError,
    TransportErrorKind as Kind,
};
use msgstream_core::wire::decode_headers;
use msgstream_core::{MsgType, MsgTypeNames, Timestamp};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header as RawHeader, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(30);

async fn connect(url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    registry.connect(url).await
}

fn url() -> String {
    std::env::var("MSGSTREAM_KAFKA_URL").expect(
        "MSGSTREAM_KAFKA_URL is not set, and there is no test without a broker: eval \"$(brokers/up kafka)\"",
    )
}

async fn open() -> Arc<dyn Transport> {
    connect(&url()).await.unwrap()
}

/// A client as any other program has one.
fn raw() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", url().trim_start_matches("kafka://"));
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    raw().create().unwrap()
}

async fn make_topic(partitions: i32, settings: &[(&str, &str)]) -> String {
    let name = unique_name();
    let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(-1));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let made = admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|one| drop(one.unwrap()));
    name
}

fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

/// One with a payload of so many bytes.
fn record_of(number: u64, bytes: usize) -> Record {
    let mut record = record(number);
    record.payload = vec![b'x'; bytes].into();
    record
}

async fn create(transport: &dyn Transport) -> String {
    let name = unique_name();
    transport.create(&name, BTreeMap::new()).await.unwrap();
    name
}

async fn write(transport: &dyn Transport, channel: &str, records: Vec<Record>) {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(records).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
}

async fn write_numbers(transport: &dyn Transport, channel: &str, numbers: std::ops::Range<u64>) {
    write(transport, channel, numbers.map(record).collect()).await;
}

async fn drain(reader: &mut dyn ChannelReader) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let batch = reader.read(Limit::default()).await.unwrap();
        records.extend(batch.records);
        if batch.caught_up {
            return records;
        }
    }
}

fn times(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.meta.timestamp.0).collect()
}

/// The error of a reader, after whatever had arrived before.
async fn failure(reader: &mut dyn ChannelReader) -> TransportError {
    loop {
        if let Err(error) = reader.read(Limit::default()).await {
            return error;
        }
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    messages: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    payload_hex: String,
    properties: BTreeMap<String, String>,
}

impl Vector {
    fn payload(&self) -> Vec<u8> {
        let hex = &self.payload_hex;
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }
}

#[tokio::test]
async fn what_milvus_wrote_is_read_and_written_back_as_it_was() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../msgstream-core/tests/data/milvus-2.6.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let Golden { messages } = serde_json::from_value(golden).unwrap();
    let transport = open().await;
    let (theirs, ours) = (create(&*transport).await, create(&*transport).await);
    let producer: BaseProducer = raw().create().unwrap();
    for message in &messages {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &message.properties {
            headers = headers.insert(RawHeader { key, value: Some(value) });
        }
        let payload = message.payload();
        let record: BaseRecord<'_, (), Vec<u8>> =
            BaseRecord::to(&theirs).payload(&payload).headers(headers);
        producer.send(record).unwrap();
    }
    producer.flush(LONG).unwrap();

    let mut reader = transport.reader(&theirs, Start::Earliest, None).await.unwrap();
    let records = drain(&mut *reader).await;
    assert_eq!(records.len(), messages.len());
    let names = MsgTypeNames::milvus_2x();
    for (record, message) in records.iter().zip(&messages) {
        assert_eq!(record.payload, message.payload());
        let headers = message.properties.iter().map(|(k, v)| (k.as_str(), v.as_bytes()));
        let (meta, extra) = decode_headers(headers, &record.payload, &names).unwrap();
        assert_eq!((&record.meta, &record.extra), (&meta, &extra));
    }

    write(&*transport, &ours, records).await;
    let consumer: BaseConsumer = raw().set("group.id", &ours).create().unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&ours, 0, Offset::Offset(0)).unwrap();
    consumer.assign(&start).unwrap();
    for message in &messages {
        let read = loop {
            if let Some(read) = consumer.poll(LONG) {
                break read.unwrap();
            }
        };
        assert_eq!(read.payload().unwrap(), message.payload());
        assert!(read.key().is_none());
        let headers: BTreeMap<_, _> =
            read.headers().unwrap().iter().map(|h| (h.key, h.value.unwrap())).collect();
        let wanted: BTreeMap<_, _> =
            message.properties.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        assert_eq!(headers, wanted);
    }
}

#[tokio::test]
async fn a_topic_deleted_under_its_reader_is_told_and_a_shorter_one_in_its_place() {
    let transport = open().await;
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..10).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..10));
    transport.delete(&channel).await.unwrap();
    let error = failure(&mut *reader).await;
    assert!(matches!(error.kind(), Kind::NotFound), "{error}");

    transport.create(&channel, BTreeMap::new()).await.unwrap();
    write_numbers(&*transport, &channel, 0..3).await;
    let error = failure(&mut *reader).await;
    let beyond = Kind::PositionBeyondEnd { position: Position::new(10), end: Position::new(3) };
    assert_eq!(*error.kind(), beyond);
    reader.seek(Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [0, 1, 2]);
}

#[tokio::test]
async fn a_reader_that_retention_passes_is_told() {
    let transport = open().await;
    let channel = create(&*transport).await;
    write_numbers(&*transport, &channel, 0..5).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..5));
    // More than the reader has in advance.
    write(&*transport, &channel, (5..2000).map(|n| record_of(n, 4096)).collect()).await;
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(&channel, 0, Offset::Offset(1990)).unwrap();
    admin().delete_records(&upto, &AdminOptions::new()).await.unwrap();

    let error = failure(&mut *reader).await;
    let Kind::PositionTrimmed { position, first } = *error.kind() else { panic!("{error}") };
    assert_eq!(first, Position::new(1990));
    assert!(position < first);
    // It stays in place until it is told where to go.
    let again = reader.read(Limit::default()).await.unwrap_err();
    assert!(matches!(again.kind(), Kind::PositionTrimmed { .. }), "{again}");
    reader.seek(Start::At(first)).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(1990..2000));
    let error = transport.reader(&channel, Start::At(position), None).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::PositionTrimmed { .. }), "{error}");
}

#[tokio::test]
async fn the_limit_of_a_topic_is_kept_by_records_and_by_batches() {
    let transport = open().await;
    let channel = make_topic(1, &[("max.message.bytes", "10000")]).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut large = record_of(0, 20_000);
    let error = writer.check(std::slice::from_ref(&large)).unwrap_err();
    let Kind::TooLarge { bytes, limit } = *error.kind() else { panic!("{error}") };
    assert!(limit < 10_000, "{limit}");
    // The greatest that passes, and many that together are more than a batch may be.
    large.payload.truncate(20_000 + limit - bytes);
    let small = |number| record_of(number, 1000);
    let outcome = writer.submit([large].into_iter().chain((1..500).map(small)).collect()).await;
    assert!(outcome.rest.is_none(), "{:?}", outcome.rest);
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..500));
}

#[tokio::test]
async fn a_limit_that_was_lowered_meanwhile_fails_the_writer() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let resource = rdkafka::admin::ResourceSpecifier::Topic(&channel);
    let lower = rdkafka::admin::AlterConfig::new(resource).set("max.message.bytes", "1000");
    let altered = admin().alter_configs([&lower], &AdminOptions::new()).await.unwrap();
    altered.into_iter().for_each(|one| drop(one.unwrap()));
    let large = record_of(0, 5000);
    // It is some time until the broker heeds it.
    let (fate, error) = loop {
        let outcome = writer.submit(vec![large.clone()]).await;
        if let Some(rest) = outcome.rest {
            break rest;
        }
    };
    assert_eq!(fate, Fate::Unknown);
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(matches!(writer.ready().await.unwrap_err().kind(), Kind::Poisoned));
    // Nor does it tell it at once.
    let error = loop {
        let again = transport.writer(&channel).await.unwrap();
        if let Err(error) = again.check(std::slice::from_ref(&large)) {
            break error;
        }
    };
    assert!(matches!(error.kind(), Kind::TooLarge { limit, .. } if *limit < 1000), "{error}");
}

#[tokio::test]
async fn transactions_are_read_when_they_are_committed_and_their_markers_are_passed() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    let producer: BaseProducer = raw().set("transactional.id", &channel).create().unwrap();
    let send = |number: u64| {
        let (payload, time) = (number.to_string(), number.to_string());
        let header = |key, value| RawHeader { key, value: Some(value) };
        let mut headers = OwnedHeaders::new();
        for (key, value) in
            [("msg_type", "Insert"), ("msg_id", "0"), ("vchannel", ""), ("collection_id", "0")]
        {
            headers = headers.insert(header(key, value));
        }
        let headers = headers.insert(header("timestamp", time.as_str()));
        let record: BaseRecord<'_, (), String> =
            BaseRecord::to(&channel).payload(&payload).headers(headers);
        producer.send(record).unwrap();
    };
    producer.init_transactions(LONG).unwrap();
    for round in 0..3 {
        producer.begin_transaction().unwrap();
        (round * 10..round * 10 + 5).for_each(send);
        producer.flush(LONG).unwrap();
        producer.abort_transaction(LONG).unwrap();
        producer.begin_transaction().unwrap();
        (round * 10 + 5..round * 10 + 10).for_each(send);
        producer.commit_transaction(LONG).unwrap();
    }
    let wanted: Vec<u64> = (0..30).filter(|number| number % 10 >= 5).collect();
    let records = drain(&mut *reader).await;
    assert_eq!(times(&records), wanted);

    // The last offset is a marker's.
    let end = transport.describe(&channel).await.unwrap().end;
    assert!(records.last().unwrap().position.offset() + 1 < end.offset());
    let mut fresh = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    for reader in [&mut reader, &mut fresh] {
        loop {
            let batch = reader.read(Limit::default()).await.unwrap();
            if batch.caught_up && batch.records.is_empty() && batch.next == end {
                break;
            }
        }
    }
    // Every offset is a place, whether there is a record or not.
    for offset in 0..end.offset() {
        let start = Start::At(Position::new(offset));
        let mut reader = transport.reader(&channel, start, None).await.unwrap();
        let rest: Vec<_> =
            records.iter().filter(|r| r.position.offset() >= offset).cloned().collect();
        let mut read = Vec::new();
        while read.len() < rest.len() {
            read.extend(reader.read(Limit::default()).await.unwrap().records);
        }
        assert_eq!(read, rest, "from {offset} on");
    }
}

#[tokio::test]
async fn a_topic_with_more_partitions_is_no_channel() {
    let transport = open().await;
    let topic = make_topic(3, &[]).await;
    for error in [
        transport.writer(&topic).await.unwrap_err(),
        transport.reader(&topic, Start::Earliest, None).await.unwrap_err(),
        transport.describe(&topic).await.unwrap_err(),
        transport.subscription(&topic, "reader").await.unwrap_err(),
    ] {
        let refused =
            matches!(error.kind(), Kind::Config { reason } if reason.contains("3 partitions"));
        assert!(refused, "{error}");
    }
    assert_eq!(transport.list(&topic).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn records_of_other_programs_are_read() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let producer: BaseProducer = raw().create().unwrap();
    let bare: BaseRecord<'_, str, str> = BaseRecord::to(&channel).key("key").payload("bare");
    producer.send(bare).unwrap();
    // Such as a deletion in a compacted topic.
    let nothing: BaseRecord<'_, str, str> = BaseRecord::to(&channel).key("key");
    producer.send(nothing).unwrap();
    producer.flush(LONG).unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    let records = drain(&mut *reader).await;
    let payloads: Vec<_> = records.iter().map(|r| (&r.payload[..], r.meta.msg_type)).collect();
    let (bare, nothing) = (b"bare".as_slice(), b"".as_slice());
    assert_eq!(payloads, [(bare, MsgType::UNREADABLE), (nothing, MsgType::UNREADABLE)]);
}

#[tokio::test]
async fn a_header_that_the_client_would_cut_is_refused() {
    let transport = open().await;
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut cut = record(0);
    cut.extra.push(Header::new("a\0b", "c"));
    let error = writer.check(std::slice::from_ref(&cut)).unwrap_err();
    assert!(matches!(error.kind(), Kind::InvalidHeader { .. }), "{error}");
    let (fate, error) = writer.submit(vec![cut]).await.rest.unwrap();
    assert_eq!(fate, Fate::NotStored);
    assert!(matches!(error.kind(), Kind::InvalidHeader { .. }), "{error}");
}

#[tokio::test]
async fn a_prefix_hides_other_topics_and_shares_their_properties() {
    let prefix = unique_name();
    let all = open().await;
    let shop = connect(&format!("{}/{prefix}.", url())).await.unwrap();
    let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    shop.create("orders.eu", owner.clone()).await.unwrap();
    assert_eq!(shop.list("").await.unwrap(), ["orders.eu"]);
    let topic = format!("{prefix}.orders.eu");
    assert_eq!(all.list(&prefix).await.unwrap(), std::slice::from_ref(&topic));
    assert_eq!(all.describe(&topic).await.unwrap().properties, owner);
    assert!(!all.list("__").await.unwrap().contains(&"__msgstream".to_owned()));
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_channels_need_few_threads() {
    const CHANNELS: u64 = 1000;
    let transport = open().await;
    let (admin, prefix) = (admin(), unique_name());
    let names: Vec<_> = (0..CHANNELS).map(|n| format!("{prefix}-{n}")).collect();
    for names in names.chunks(200) {
        let topic = |name| NewTopic::new(name, 1, TopicReplication::Fixed(-1));
        let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
        let options = AdminOptions::new().operation_timeout(Some(LONG));
        let made = admin.create_topics(&topics, &options).await.unwrap();
        made.into_iter().for_each(|one| drop(one.unwrap()));
    }
    let before = threads();
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for name in &names {
        readers.push(transport.reader(name, Start::Earliest, None).await.unwrap());
        writers.push(transport.writer(name).await.unwrap());
    }
    let subscription = transport.subscription(&names[0], &prefix).await.unwrap();
    subscription.ack(Position::new(0)).await.unwrap();
    let receipts: Vec<_> =
        (0..).zip(&mut writers).map(|(n, writer)| writer.submit(vec![record(n)])).collect();
    for receipt in receipts {
        assert!(receipt.await.rest.is_none());
    }
    for (n, reader) in (0..).zip(&mut readers) {
        let batch = reader.read(Limit::default().with_wait(LONG)).await.unwrap();
        assert_eq!(times(&batch.records), [n]);
    }
    // Other tests run in this process too, with threads of their own: a bound far below one for
    // each channel.
    let more = threads().saturating_sub(before);
    println!("{more} threads more than before, other tests' included");
    assert!(more < 200, "{more} threads for {CHANNELS} channels");
    for names in names.chunks(200) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        admin.delete_topics(&names, &AdminOptions::new()).await.unwrap();
    }
}

/// A broker of a test's own, which ends with it.
struct Broker {
    state: TempDir,
    url: String,
    with_password: String,
}

impl Broker {
    async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let printed = brokers::run("up", "kafka", Some(state.path())).await.unwrap();
        let variable = |name: &str| {
            let line = printed.lines().find_map(|l| l.strip_prefix("export ")?.strip_prefix(name));
            line.and_then(|value| value.strip_prefix('=')).unwrap().to_owned()
        };
        let (url, with_password) =
            (variable("MSGSTREAM_KAFKA_URL"), variable("MSGSTREAM_KAFKA_SASL_ADDRESS"));
        Self { state, url, with_password }
    }

    async fn run(&self, script: &str) {
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

/// Whether a future is done by now.
async fn is_done<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(pin!(&mut *future).poll(cx).is_ready())).await
}

// One broker, for it takes its time to start.
#[tokio::test]
async fn a_broker_that_refuses_is_down_and_comes_back() {
    let broker = Broker::start().await;
    let address = &broker.with_password;
    for user in ["app:wrong", "nobody:app"] {
        let url = format!("kafka://{user}@{address}?security.protocol=sasl_plaintext");
        let error = connect(&url).await.unwrap_err();
        let ConnectError::Transport(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(!error.is_temporary() && !format!("{error:?}").contains("wrong"), "{error:?}");
    }
    let url = format!("kafka://app:app@{address}?security.protocol=sasl_plaintext");
    let with_password = connect(&url).await.unwrap();
    assert_eq!(with_password.list("").await.unwrap(), Vec::<String>::new());
    drop(with_password);

    let transport = connect(&broker.url).await.unwrap();
    let hasty = connect(&format!("{}?timeout_ms=1000", broker.url)).await.unwrap();
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    let mut writer = transport.writer(&channel).await.unwrap();
    assert!(writer.submit((0..100).map(record).collect()).await.rest.is_none());
    assert_eq!(times(&drain(&mut *reader).await), Vec::from_iter(0..100));
    let subscription = transport.subscription(&channel, "reader").await.unwrap();
    subscription.ack(Position::new(50)).await.unwrap();
    let mut hasty_reader = hasty.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(drain(&mut *hasty_reader).await.len(), 100);
    let hasty_subscription = hasty.subscription(&channel, "hasty").await.unwrap();

    broker.run("kill").await;
    let error = connect(&format!("{}?timeout_ms=1000", broker.url)).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    let error = hasty.describe(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = failure(&mut *hasty_reader).await;
    assert!(error.is_temporary(), "{error}");
    let error = hasty_subscription.ack(Position::new(60)).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    // What is submitted meanwhile is stored when the broker is back, once and in order.
    let mut receipts: Vec<_> = (100..200).map(|n| writer.submit(vec![record(n)])).collect();
    assert!(!is_done(&mut receipts[0]).await);
    broker.run("restart").await;
    for receipt in receipts {
        let outcome = receipt.await;
        assert!(outcome.rest.is_none(), "{outcome:?}");
    }
    let mut read = Vec::new();
    while read.len() < 100 {
        read.extend(times(&reader.read(Limit::default()).await.unwrap().records));
    }
    assert_eq!(read, Vec::from_iter(100..200));
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(50)));
    subscription.ack(Position::new(60)).await.unwrap();
    assert_eq!(subscription.acked().await.unwrap(), Some(Position::new(60)));

    // Away for longer than a message lives.
    let url = format!("{}?message.timeout.ms=2000", broker.url);
    let impatient = connect(&url).await.unwrap();
    let mut writer = impatient.writer(&channel).await.unwrap();
    broker.run("kill").await;
    let receipts = [200, 201].map(|n| writer.submit(vec![record(n)]));
    for receipt in receipts {
        let (fate, _) = receipt.await.rest.unwrap();
        assert_eq!(fate, Fate::Unknown);
    }
    assert!(matches!(writer.ready().await.unwrap_err().kind(), Kind::Poisoned));
    broker.run("restart").await;
    write_numbers(&*impatient, &channel, 200..202).await;
    let mut firsts = Vec::new();
    while firsts.last() != Some(&201) {
        let batch = reader.read(Limit::default()).await.unwrap();
        for number in times(&batch.records) {
            if !firsts.contains(&number) {
                firsts.push(number);
            }
        }
    }
    assert_eq!(firsts, [200, 201]);
}
