//! What goes wrong with a Pulsar broker: it is down, is silent, moves topics, drops records, refuses.
//!
//! ```sh
//! eval "$(brokers/up pulsar)"
//! cargo test -p msgstream-conformance --features pulsar --test pulsar_faults
//! brokers/down pulsar
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod brokers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_conformance::unique_name;
use msgstream_core::registry::{ConnectError, Registry, Url};
use msgstream_core::transport::{
    ChannelReader, Fate, Header, Limit, Meta, Position, Record, Start, Transport,
    TransportErrorKind as Kind,
};
use msgstream_core::{MsgType, Timestamp};
use pulsar::{Pulsar, TokioExecutor};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LEAST: &str = include_str!("../../brokers/pulsar/least.token");

/// The broker that all tests share that don't hurt it.
fn shared() -> String {
    std::env::var("MSGSTREAM_PULSAR_URL").expect(
        "the variable MSGSTREAM_PULSAR_URL is not set: run eval \"$(brokers/up pulsar)\" first",
    )
}

/// A handle with more options in the URL.
async fn open_with(url: &str, options: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    let mut registry = Registry::new();
    msgstream_pulsar::register(&mut registry);
    registry.connect(&format!("{url}{options}")).await
}

async fn open(url: &str) -> Arc<dyn Transport> {
    open_with(url, "").await.unwrap()
}

#[track_caller]
fn refusal(opened: Result<Arc<dyn Transport>, ConnectError>) -> Kind {
    match opened {
        Err(ConnectError::Transport(error)) => {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
            error.kind().clone()
        }
        other => panic!("{other:?}"),
    }
}

/// A request to the admin interface, which must succeed.
async fn admin(url: &str, method: &str, path: &str, body: &str) {
    let url = Url::parse(url).unwrap();
    let (_, api) = url.query_pairs().find(|(name, _)| name == "admin").unwrap();
    let host = api.strip_prefix("http://").unwrap();
    let request = format!(
        "{method} /admin/v2/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
}

fn topic(channel: &str, rest: &str) -> String {
    format!("persistent/public/default/{channel}/{rest}")
}

fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

async fn create(transport: &dyn Transport) -> String {
    let channel = unique_name();
    transport.create(&channel, BTreeMap::new()).await.unwrap();
    channel
}

async fn write(transport: &dyn Transport, channel: &str, records: Vec<Record>) -> Vec<Position> {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(records).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
    outcome.stored
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

async fn read_from(transport: &dyn Transport, channel: &str, start: Start) -> Vec<Record> {
    drain(&mut *transport.reader(channel, start, None).await.unwrap()).await
}

fn times(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.meta.timestamp.0).collect()
}

/// Writes numbers in batches; what isn't known to be stored is written again by another writer.
async fn write_on(transport: &dyn Transport, channel: &str, count: u64) {
    let mut next = 0;
    while next < count {
        let mut writer = transport.writer(channel).await.unwrap();
        let mut receipts = Vec::new();
        let mut ahead = next;
        // Several at a time: what is behind a lost one is lost with it.
        while ahead < count && receipts.len() < 20 && writer.ready().await.is_ok() {
            receipts.push(writer.submit((ahead..(ahead + 10).min(count)).map(record).collect()));
            ahead += 10;
        }
        for receipt in receipts {
            let outcome = receipt.await;
            next += outcome.stored.len() as u64;
            if outcome.rest.is_some() {
                break;
            }
        }
    }
}

/// Reads until a number came. Errors that pass are waited out.
async fn read_until(reader: &mut dyn ChannelReader, last: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    while !records.iter().any(|r| r.meta.timestamp.0 == last) {
        match reader.read(Limit::default()).await {
            Ok(batch) => records.extend(batch.records),
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_moves_in_mid_stream_loses_and_repeats_nothing() {
    const COUNT: u64 = 20_000;
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    let unloading = async {
        for part in 1..4 {
            // It moves while it is written to and read.
            let mut watch = transport.reader(&channel, Start::Earliest, None).await.unwrap();
            read_until(&mut *watch, part * COUNT / 4).await;
            admin(&url, "PUT", &topic(&channel, "unload"), "").await;
        }
    };
    let (seen, (), ()) = tokio::join!(
        read_until(&mut *reader, COUNT - 1),
        write_on(&*transport, &channel, COUNT),
        unloading,
    );
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "a place came twice or went back");
    let mut stored = read_from(&*transport, &channel, Start::Earliest).await;
    stored.truncate(seen.len());
    assert!(seen == stored, "the reader saw something else than what is there");
    // A number whose fate was unknown may be there twice; the first ones are all there, in order.
    let mut next = 0;
    for time in times(&seen) {
        next += u64::from(time == next);
    }
    assert_eq!(next, COUNT);
}

#[tokio::test]
async fn what_retention_drops_is_told() {
    let url = shared();
    let transport = open_with(&url, "&prefetch=1").await.unwrap();
    let channel = create(&*transport).await;
    let mut positions = write(&*transport, &channel, (0..10).map(record).collect()).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(
        times(&reader.read(Limit::default().with_records(4)).await.unwrap().records).len(),
        4
    );
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(positions[9]).await.unwrap();
    cursor.ack(transport.describe(&channel).await.unwrap().end).await.unwrap();

    // Another ledger begins, so that the first can go.
    admin(&url, "PUT", &topic(&channel, "unload"), "").await;
    positions.extend(write(&*transport, &channel, (10..12).map(record).collect()).await);
    let none = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    admin(&url, "POST", &topic(&channel, "retention"), none).await;
    // The policy is there when it was told to the topic, for which there is no event.
    while transport.describe(&channel).await.unwrap().first.unwrap() < positions[9] {
        admin(&url, "POST", &topic(&channel, "trim"), "").await;
    }
    for start in [Start::At(positions[0]), Start::After(positions[4])] {
        let error = transport.reader(&channel, start, None).await.unwrap_err();
        let Kind::PositionTrimmed { first, .. } = *error.kind() else { panic!("{error}") };
        assert!(first <= positions[10] && first > positions[9], "{first}");
    }
    let left = read_from(&*transport, &channel, Start::Earliest).await;
    assert_eq!(times(&left), [10, 11]);
    // Everything before the cursor is gone, and nothing behind it.
    let acked = cursor.acked().await.unwrap().unwrap();
    assert_eq!(times(&read_from(&*transport, &channel, Start::At(acked)).await), [10, 11]);
}

#[tokio::test]
async fn a_prefetch_that_is_too_small_loses_nothing() {
    let transport = open_with(&shared(), "&prefetch=20000").await.unwrap();
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut last = None;
    for number in 0..400 {
        let mut record = record(number);
        // What comes is first small and then large, so that more comes than was expected.
        record.payload = vec![b'x'; if number % 100 < 90 { 10 } else { 15_000 }].into();
        last = Some(writer.submit(vec![record]));
    }
    assert!(last.unwrap().await.rest.is_none());
    let read = read_from(&*transport, &channel, Start::Earliest).await;
    assert_eq!(times(&read), Vec::from_iter(0..400));
}

#[tokio::test]
async fn a_message_over_the_topics_own_limit_is_refused() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    admin(&url, "POST", &topic(&channel, "maxMessageSize"), "10000").await;
    let mut large = record(1);
    large.payload = vec![b'x'; 10_000].into();
    // The policy takes a moment, for which there is no event.
    let limit = loop {
        let writer = transport.writer(&channel).await.unwrap();
        match writer.check(std::slice::from_ref(&large)).map_err(|error| error.kind().clone()) {
            Err(Kind::TooLarge { bytes, limit }) => {
                assert!(bytes > 10_000);
                break limit;
            }
            other => other.unwrap(),
        }
    };
    assert!(limit < 10_000);
    // The greatest record that passes is taken.
    let mut writer = transport.writer(&channel).await.unwrap();
    large.payload = large.payload.slice(..limit - 200);
    writer.check(std::slice::from_ref(&large)).unwrap();
    assert!(writer.submit(vec![large]).await.rest.is_none());
}

#[tokio::test]
async fn a_missing_namespace_is_named() {
    let url = shared().replace("public/default", "public/nowhere");
    let kind = refusal(open_with(&url, "").await);
    assert!(
        matches!(&kind, Kind::Config { reason } if reason.contains("public/nowhere")),
        "{kind}"
    );
}

#[tokio::test]
async fn a_namespace_that_keeps_nothing_gets_no_channels() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let none = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    admin(&url, "POST", &format!("namespaces/public/{namespace}/retention"), none).await;
    let transport = open(&url.replace("public/default", &format!("public/{namespace}"))).await;
    let error = transport.create("orders", BTreeMap::new()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Config { .. }), "{error}");
    assert!(error.to_string().contains("set-retention"), "{error}");
    assert!(transport.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_token_is_denied() {
    for token in ["secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.secret"] {
        let kind = refusal(open_with(&shared(), &format!("&token={token}")).await);
        assert!(matches!(kind, Kind::Denied { .. }), "{kind}");
    }
}

#[tokio::test]
async fn producing_and_consuming_needs_no_more_rights_than_that() {
    let (url, namespace) = (shared(), unique_name());
    admin(&url, "PUT", &format!("namespaces/public/{namespace}"), "").await;
    let rights = format!("namespaces/public/{namespace}/permissions/least");
    let url = url.replace("public/default", &format!("public/{namespace}"));
    let owner = open(&url).await;
    let channel = create(&*owner).await;

    let denied = refusal(open_with(&url, &format!("&token={}", LEAST.trim())).await);
    assert!(matches!(denied, Kind::Denied { .. }), "{denied}");
    admin(&url, "POST", &rights, r#"["produce","consume"]"#).await;
    // The broker remembers for a while who may do what.
    let least = loop {
        match open_with(&url, &format!("&token={}", LEAST.trim())).await {
            Ok(least) => break least,
            Err(error) => assert!(matches!(refusal(Err(error)), Kind::Denied { .. })),
        }
    };
    let positions = write(&*least, &channel, (0..3).map(record).collect()).await;
    assert_eq!(times(&read_from(&*least, &channel, Start::At(positions[1])).await), [1, 2]);
    let cursor = least.subscription(&channel, "cursor").await.unwrap();
    cursor.ack(positions[0]).await.unwrap();
    assert_eq!(
        least.describe(&channel).await.unwrap().first,
        owner.describe(&channel).await.unwrap().first
    );
    assert_eq!(least.list("").await.unwrap(), std::slice::from_ref(&channel));
    least.unsubscribe(&channel, "cursor").await.unwrap();
    let error = least.create("more", BTreeMap::new()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_down_is_told_at_once() {
    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let kind = refusal(open_with(&format!("pulsar://{nobody}/a/b?token=secret"), "").await);
    assert!(matches!(kind, Kind::Unavailable { .. }), "{kind}");
    // A broker, and no admin interface.
    let url = shared();
    let (broker, _) = url.split_once('?').unwrap();
    let kind = refusal(open_with(broker, &format!("?admin=http://{nobody}")).await);
    assert!(matches!(kind, Kind::Unavailable { .. }), "{kind}");
}

/// What other programs write: messages that are no batch, and properties that are no metadata.
#[tokio::test]
async fn what_others_write_is_read() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let (broker, _) = url.split_once("/public").unwrap();
    let other = Pulsar::builder(broker, TokioExecutor).build().await.unwrap();
    let name = format!("persistent://public/default/{channel}");
    let mut producer = other.producer().with_topic(name).build().await.unwrap();
    for number in 0..5_u8 {
        let properties = [("colour".to_owned(), number.to_string())].into();
        let payload = vec![number];
        let message = pulsar::producer::Message { payload, properties, ..Default::default() };
        producer.send_non_blocking(message).await.unwrap().await.unwrap();
    }
    let records = read_from(&*transport, &channel, Start::Earliest).await;
    let read: Vec<_> = records.iter().map(|r| (r.payload[0], r.extra[0].clone())).collect();
    let written = (0..5).map(|n| (n, Header::new("colour", n.to_string())));
    assert_eq!(read, Vec::from_iter(written));
    for (at, record) in records.iter().enumerate() {
        for (start, from) in
            [(Start::At(record.position), at), (Start::After(record.position), at + 1)]
        {
            assert!(read_from(&*transport, &channel, start).await == records[from..], "{start:?}");
        }
    }
}

/// A broker of a test's own, which ends with it.
struct Broker {
    state: TempDir,
    url: String,
}

impl Broker {
    async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let printed = brokers::run("up", "pulsar", Some(state.path())).await.unwrap();
        let url = printed.trim().strip_prefix("export MSGSTREAM_PULSAR_URL='").unwrap();
        Self { state, url: url.trim_end_matches('\'').to_owned() }
    }

    async fn run(&self, script: &str) {
        brokers::run(script, "pulsar", Some(self.state.path())).await.unwrap();
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.state.path().join("pulsar/pid")).unwrap();
        let sent = std::process::Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/down");
        let mut down = std::process::Command::new(script);
        down.arg("pulsar").env("MSGSTREAM_BROKERS_STATE", self.state.path());
        // A test that failed has something else to say.
        drop(down.status());
    }
}

/// One broker for both: each takes long to start.
#[tokio::test]
async fn a_silent_broker_hangs_nobody_and_one_that_comes_back_is_used_again() {
    let broker = Broker::start().await;
    let transport = open_with(&broker.url, "&timeout_ms=3000").await.unwrap();
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let mut reader = transport.reader(&channel, Start::Earliest, None).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [0]);
    let mut writer = transport.writer(&channel).await.unwrap();

    // It takes what is sent and says nothing.
    broker.signal("-STOP");
    let outcome = writer.submit(vec![record(1)]).await;
    let Some((Fate::Unknown, error)) = outcome.rest else { panic!("{:?}", outcome.stored) };
    assert!(matches!(error.kind(), Kind::TimedOut { .. } | Kind::Unavailable { .. }), "{error}");
    assert_eq!(*writer.ready().await.unwrap_err().kind(), Kind::Poisoned);
    let error = transport.describe(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let error = transport.writer(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    broker.signal("-CONT");
    writer.close().await.unwrap();

    broker.run("kill").await;
    let error = transport.writer(&channel).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    // The reader waits, and says so in the end.
    let error = loop {
        match reader.read(Limit::default().with_wait(Duration::from_secs(1))).await {
            Ok(batch) => assert!(batch.records.iter().all(|r| r.meta.timestamp.0 == 1)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    broker.run("restart").await;
    let mut writer = loop {
        match transport.writer(&channel).await {
            Ok(writer) => break writer,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    };
    assert!(writer.submit(vec![record(2)]).await.rest.is_none());
    let read = read_until(&mut *reader, 2).await;
    assert_eq!(read.iter().filter(|r| r.meta.timestamp.0 == 2).count(), 1);
    assert!(read.iter().all(|r| r.meta.timestamp.0 > 0), "a record came twice");
    transport.close().await.unwrap();
}
