//! Handles, channels, and what is in them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use msgstream_conformance::unique_name;
use msgstream_core::record::{Header, Meta, Position, Record};
use msgstream_core::registry::{ConnectError, Registry, Url};
use msgstream_core::transport::{
    ChannelReader, Limit, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{MsgType, Timestamp};
use pulsar::{Pulsar, TokioExecutor};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The broker that all tests share that don't hurt it.
pub(crate) fn shared() -> String {
    std::env::var("MSGSTREAM_PULSAR_URL").expect(
        "the variable MSGSTREAM_PULSAR_URL is not set: run eval \"$(brokers/up pulsar)\" first",
    )
}

/// A handle with more options in the URL.
pub(crate) async fn open_with(
    url: &str,
    options: &str,
) -> Result<Arc<dyn Transport>, ConnectError> {
    let mut registry = Registry::new();
    msgstream_pulsar::register(&mut registry);
    registry.connect(&format!("{url}{options}")).await
}

pub(crate) async fn open(url: &str) -> Arc<dyn Transport> {
    open_with(url, "").await.unwrap()
}

#[track_caller]
pub(crate) fn refusal(opened: Result<Arc<dyn Transport>, ConnectError>) -> Kind {
    match opened {
        Err(ConnectError::Transport(error)) => {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
            error.kind().clone()
        }
        other => panic!("{other:?}"),
    }
}

/// A request to the admin interface, which must succeed. Its answer's body.
pub(crate) async fn admin(url: &str, method: &str, path: &str, body: &str) -> String {
    let (head, answer) = ask_admin(url, method, path, body).await;
    assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {head} {answer}");
    answer
}

/// A request to the admin interface: the head and the body of the answer.
pub(crate) async fn ask_admin(url: &str, method: &str, path: &str, body: &str) -> (String, String) {
    let url = Url::parse(url).unwrap();
    let (_, api) = url.query_pairs().find(|(name, _)| name == "admin").unwrap();
    let host = api.strip_prefix("http://").unwrap();
    let request = format!(
        "{method} /admin/v2/{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

pub(crate) fn topic(channel: &str, rest: &str) -> String {
    format!("persistent/public/default/{channel}/{rest}")
}

pub(crate) fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

pub(crate) async fn create(transport: &dyn Transport) -> String {
    let channel = unique_name();
    transport.create(&channel).await.unwrap();
    channel
}

pub(crate) async fn write(
    transport: &dyn Transport,
    channel: &str,
    records: Vec<Record>,
) -> Vec<Position> {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(records).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
    outcome.stored
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

pub(crate) async fn read_from(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
) -> Vec<Record> {
    drain(&mut *transport.reader(channel, start).await.unwrap()).await
}

pub(crate) fn times(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.meta.timestamp.0).collect()
}

/// The header that tells how often a record was written before.
const ATTEMPT: &str = "attempt";

/// Writes numbers in batches; what isn't known to be stored is written again by another writer.
/// Gives the places that were acknowledged, with their numbers, and how many writers failed.
pub(crate) async fn write_on(
    transport: &dyn Transport,
    channel: &str,
    count: u64,
) -> (Vec<(Position, u64)>, usize) {
    let (mut stored, mut failed) = (Vec::new(), 0);
    while (stored.len() as u64) < count {
        let mut writer = transport.writer(channel).await.unwrap();
        let mut receipts = VecDeque::new();
        let mut ahead = stored.len() as u64;
        loop {
            while ahead < count && receipts.len() < 20 && writer.ready().await.is_ok() {
                let batch = ahead..(ahead + 10).min(count);
                ahead = batch.end;
                let attempt = Header::new(ATTEMPT, failed.to_string());
                let records = batch.map(|number| {
                    let mut record = record(number);
                    record.extra.push(attempt.clone());
                    record
                });
                receipts.push_back(writer.submit(records.collect()));
            }
            let Some(receipt) = receipts.pop_front() else { break };
            let outcome = receipt.await;
            stored.extend(outcome.stored.into_iter().zip(stored.len() as u64..));
            if outcome.rest.is_some() {
                // What is behind a lost one is lost with it.
                failed += 1;
                break;
            }
        }
    }
    (stored, failed)
}

/// Numbers are written to a new channel and read from it, while something happens to the broker: all
/// of them are there, in order, where the receipts say, and nobody sees a place twice.
pub(crate) async fn nothing_is_lost(
    transport: &dyn Transport,
    count: u64,
    happens: impl AsyncFnOnce(&str),
) {
    let channel = create(transport).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let (seen, (acknowledged, failed), ()) = tokio::join!(
        read_until(&mut *reader, count - 1),
        write_on(transport, &channel, count),
        happens(&channel),
    );
    assert!(failed > 0, "nothing was in flight");
    assert!(seen.is_sorted_by(|a, b| a.position < b.position), "a place came twice or went back");
    let mut stored = read_from(transport, &channel, Start::Earliest).await;
    let places: BTreeMap<_, _> = stored.iter().map(|r| (r.position, r.meta.timestamp.0)).collect();
    for (place, number) in acknowledged {
        assert_eq!(places.get(&place), Some(&number), "{place}");
    }
    stored.truncate(seen.len());
    assert!(seen == stored, "the reader saw something else than what is there");
    // A number whose fate was unknown may be written again, and nobody but us does so.
    let attempts: BTreeSet<_> =
        seen.iter().map(|r| (r.meta.timestamp, r.header(ATTEMPT).unwrap())).collect();
    assert_eq!(attempts.len(), seen.len(), "what was written once is there twice");
    // The first ones are all there, in order.
    let mut next = 0;
    for time in times(&seen) {
        next += u64::from(time == next);
    }
    assert_eq!(next, count);
}

/// Reads so many records, however long it takes. Errors that pass are waited out.
pub(crate) async fn read_count(reader: &mut dyn ChannelReader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        match reader.read(Limit::default()).await {
            Ok(batch) => records.extend(batch.records),
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    records
}

/// Reads until a number came. Errors that pass are waited out.
pub(crate) async fn read_until(reader: &mut dyn ChannelReader, last: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    while !records.iter().any(|r| r.meta.timestamp.0 == last) {
        match reader.read(Limit::default()).await {
            Ok(batch) => records.extend(batch.records),
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    records
}

/// Another program, with the plain client.
pub(crate) async fn other(url: &str) -> Pulsar<TokioExecutor> {
    let (broker, _) = url.split_once("/public").unwrap();
    Pulsar::builder(broker, TokioExecutor).build().await.unwrap()
}

/// A channel's topic, as the plain client names it.
pub(crate) fn persistent(channel: &str) -> String {
    format!("persistent://public/default/{channel}")
}
