//! Many channels, and what the runtime's threads wait for.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use msgstream_conformance::unique_name;
use msgstream_core::record::Position;
use msgstream_core::transport::{Limit, Start, Transport as _, TransportExt as _};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use crate::support::{Broker, LONG, admin, connect, create, drain, failure, record, times, url};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// In a process of its own, for other tests have threads too.
#[test]
fn a_thousand_channels_need_few_threads() {
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "many::threads_of_a_thousand_channels", "--ignored", "--nocapture"]);
    assert!(alone.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_thousand_channels_need_few_threads"]
async fn threads_of_a_thousand_channels() {
    const CHANNELS: u64 = 1000;
    // A machine with other work takes its time to make so many topics.
    let transport = connect(&format!("{}?timeout_ms=60000", url())).await.unwrap();
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
        readers.push(transport.reader(name, Start::Earliest).await.unwrap());
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
    let more = threads().saturating_sub(before);
    println!("{more} threads for {CHANNELS} channels");
    assert!(more <= 30, "{more} threads for {CHANNELS} channels");
    for names in names.chunks(200) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        admin.delete_topics(&names, &AdminOptions::new()).await.unwrap();
    }
}

thread_local! {
    /// When this thread began to run, and for how long it had slept by then, in nanoseconds.
    static BEGAN: Cell<Option<i128>> = const { Cell::new(None) };
}

/// For how long this thread has slept so far, in nanoseconds after a fixed time: what it neither ran
/// nor waited for a processor, so that other work on the machine doesn't count.
fn slept() -> i128 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let now = FIRST.get_or_init(Instant::now).elapsed().as_nanos();
    let busy = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let busy: u64 = busy.split(' ').take(2).map(|ns| ns.parse::<u64>().unwrap()).sum();
    i128::try_from(now).unwrap() - i128::from(busy)
}

#[test]
fn the_runtime_never_sleeps_for_the_client() {
    let broker = Runtime::new().unwrap().block_on(Broker::start());
    let longest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&longest);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(|| BEGAN.set(Some(slept())))
        .on_thread_park(move || {
            let slept = BEGAN.get().map_or(0, |began| slept() - began);
            seen.fetch_max(u64::try_from(slept).unwrap_or_default(), Ordering::Relaxed);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let transport = connect(&format!("{}?timeout_ms=2000", broker.url)).await.unwrap();
        let channel = create(&*transport).await;
        let mut writer = transport.writer(&channel).await.unwrap();
        let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
        let mut other = transport.reader(&channel, Start::Latest).await.unwrap();
        let subscription = transport.subscription(&channel, "reader").await.unwrap();
        for round in 0..20 {
            writer.ready().await.unwrap();
            let numbers = round * 1000..(round + 1) * 1000;
            assert!(writer.submit(numbers.map(record).collect()).await.rest.is_none());
        }
        assert_eq!(drain(&mut *reader).await.len(), 20_000);
        reader.seek(Start::Earliest).await.unwrap();
        subscription.ack(Position::new(7)).await.unwrap();
        let state = broker.state.path().to_owned();
        spawn_blocking(move || {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/kill");
            let mut kill = Command::new(script);
            kill.arg("kafka").env("MSGSTREAM_BROKERS_STATE", state).stdout(Stdio::null());
            assert!(kill.status().unwrap().success());
        })
        .await
        .unwrap();
        // All of it is dropped with work on its way and no broker to do it.
        drop(writer.submit((0..1000).map(record).collect()));
        drop(writer);
        failure(&mut *other).await;
        drop((reader, other));
        subscription.ack(Position::new(8)).await.unwrap_err();
        drop((subscription, transport));
        tokio::task::yield_now().await;
    });
    let longest = longest.load(Ordering::Relaxed);
    assert!(longest < 50_000_000, "the runtime's thread slept for {longest} ns");
}
