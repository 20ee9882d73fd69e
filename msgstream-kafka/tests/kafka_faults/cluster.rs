//! Three nodes, of which one hangs or dies.
//!
//! ```sh
//! eval "$(brokers/up kafka-cluster)"
//! ```

use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use msgstream_conformance::unique_name;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Limit, Start, Transport, TransportErrorKind as Kind,
    TransportExt as _, Unstored,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;

use crate::support::{LONG, connect, create, record, times};

/// A node may be taken by one test at a time.
static NODES: Mutex<()> = Mutex::const_new(());

pub(crate) fn url() -> String {
    std::env::var("MSGSTREAM_KAFKA_CLUSTER_URL").expect(
        "MSGSTREAM_KAFKA_CLUSTER_URL is not set, and there is no test of a cluster without one: eval \"$(brokers/up kafka-cluster)\"",
    )
}

fn raw() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", url().trim_start_matches("kafka://"));
    config
}

fn run(script: &str, node: i32) {
    let path = format!("{}/../brokers/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(path).arg("kafka-cluster").arg(node.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "brokers/{script} kafka-cluster {node}: {said}");
}

/// A node that is away, until it is called back.
struct Away<'a> {
    node: i32,
    back: Option<&'static str>,
    _turn: &'a MutexGuard<'static, ()>,
}

impl<'a> Away<'a> {
    async fn new(
        turn: &'a MutexGuard<'static, ()>,
        node: i32,
        away: &'static str,
        back: &'static str,
    ) -> Self {
        spawn_blocking(move || run(away, node)).await.unwrap();
        Self { node, back: Some(back), _turn: turn }
    }

    async fn back(mut self) {
        let (node, back) = (self.node, self.back.take().unwrap());
        spawn_blocking(move || run(back, node)).await.unwrap();
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        // A test that failed leaves no node behind that the next one has to miss.
        if let Some(back) = self.back {
            run(back, self.node);
        }
    }
}

/// The node that leads a topic's partition, once so many nodes have its records.
async fn leader(topic: &str, copies: usize) -> i32 {
    let topic = topic.to_owned();
    spawn_blocking(move || {
        let client: BaseConsumer = raw().create().unwrap();
        loop {
            let metadata = client.fetch_metadata(Some(&topic), LONG);
            let topics = metadata.as_ref().map_or(&[][..], |metadata| metadata.topics());
            // Not every node knows a new topic at once.
            let partition = topics.first().and_then(|topic| topic.partitions().first());
            if let Some(partition) = partition
                && partition.isr().len() >= copies
                && partition.leader() > 0
            {
                return partition.leader();
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    })
    .await
    .unwrap()
}

/// Makes a topic whose records are on these nodes.
pub(crate) async fn make_topic(nodes: &[i32], settings: &[(&str, &str)]) -> String {
    let name = unique_name();
    let placed = [nodes];
    let mut topic = NewTopic::new(&name, 1, TopicReplication::Variable(&placed));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let admin: AdminClient<DefaultClientContext> = raw().create().unwrap();
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|one| drop(one.unwrap()));
    leader(&name, nodes.len()).await;
    name
}

/// Waits until each node knows a topic that was just made: any of them may be asked.
pub(crate) async fn settle(transport: &dyn Transport, topic: &str) {
    let mut known = 0;
    while known < 10 {
        known = match transport.describe(topic).await {
            Ok(_) => known + 1,
            Err(_) => 0,
        };
    }
}

/// Writes numbers and reads them, one by one. The longest time that one took.
async fn go_on(
    writer: &mut dyn ChannelWriter,
    reader: &mut dyn ChannelReader,
    numbers: Range<u64>,
) -> Duration {
    let mut longest = Duration::ZERO;
    for number in numbers {
        let began = Instant::now();
        writer.ready().await.unwrap();
        let outcome = writer.submit(vec![record(number)]).await;
        assert!(outcome.rest.is_none(), "{number}: {outcome:?}");
        let mut read = Vec::new();
        while read.is_empty() {
            read = times(&reader.read(Limit::default()).await.unwrap().records);
        }
        assert_eq!(read, [number]);
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test]
async fn whichever_node_hangs_writing_and_reading_go_on_without_it() {
    each_node_hangs_for(Duration::ZERO).await;
}

// Prints how long they stood still.
#[tokio::test]
#[ignore = "takes three minutes"]
async fn whichever_node_hangs_for_40_seconds_writing_and_reading_go_on_without_it() {
    each_node_hangs_for(Duration::from_secs(40)).await;
}

/// Lets each node hang, until the others took its part and for so long at least.
async fn each_node_hangs_for(time: Duration) {
    let turn = NODES.lock().await;
    // Time for those who come while a node hangs, each of whose clients has to find that out.
    let transport = connect(&format!("{}?timeout_ms=60000", url())).await.unwrap();
    let channel = create(&*transport).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut next = 0;
    let mut more = async |count: u64| {
        next += count;
        go_on(&mut *writer, &mut *reader, next - count..next).await
    };
    more(10).await;
    // The leader first: the others lead nothing of this channel, and one of them is the controller.
    let first = leader(&channel, 3).await;
    for node in [first, first % 3 + 1, (first + 1) % 3 + 1] {
        leader(&channel, 3).await;
        let away = Away::new(&turn, node, "pause", "resume").await;
        let until = Instant::now() + time;
        let mut longest = more(50).await;
        // Whoever comes while it hangs.
        transport.describe(&channel).await.unwrap();
        transport.writer(&channel).await.unwrap();
        transport.reader(&channel, Start::Latest).await.unwrap();
        while Instant::now() < until {
            longest = longest.max(more(10).await);
        }
        println!("node {node} of leader {first} hung: {longest:?} stood still");
        away.back().await;
        more(50).await;
    }
}

#[tokio::test]
async fn readers_of_a_dead_node_do_not_slow_the_others() {
    let turn = NODES.lock().await;
    let transport = connect(&format!("{}?timeout_ms=60000", url())).await.unwrap();
    let healthy = make_topic(&[1, 2], &[]).await;
    let mut dead = Vec::new();
    for _ in 0..6 {
        dead.push(make_topic(&[3], &[("min.insync.replicas", "1")]).await);
    }
    let mut writer = transport.writer(&healthy).await.unwrap();
    let mut reader = transport.reader(&healthy, Start::Earliest).await.unwrap();
    for topic in &dead {
        settle(&*transport, topic).await;
    }
    let away = Away::new(&turn, 3, "kill", "restart").await;
    let opening = dead.iter().map(|topic| transport.reader(topic, Start::Earliest));
    let mut opening: FuturesUnordered<_> = opening.collect();
    tokio::select! {
        biased;
        // They have a minute, which the others must not wait for.
        opened = opening.next() => panic!("{opened:?}"),
        longest = go_on(&mut *writer, &mut *reader, 0..100) => {
            println!("beside readers of a dead node: {longest:?} stood still");
        }
    }
    // Those wait for the node, as long as an answer may take.
    let (opened, ()) = tokio::join!(opening.collect::<Vec<_>>(), away.back());
    for reader in opened {
        if let Err(error) = reader {
            assert!(error.is_temporary(), "{error}");
        }
    }
    for topic in &dead {
        let opened = transport.reader(topic, Start::Earliest).await;
        let batch = opened.unwrap().read(Limit::default()).await.unwrap();
        assert!(batch.records.is_empty());
    }
}

// A leader that had missed records takes the place of one that had them, as an operator may allow.
#[tokio::test]
async fn records_that_a_reader_has_seen_and_the_brokers_lost_are_told() {
    let turn = NODES.lock().await;
    let transport =
        connect(&format!("{}?timeout_ms=60000&message.timeout.ms=300000", url())).await.unwrap();
    let unclean = [("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")];
    let channel = make_topic(&[1, 2], &unclean).await;
    let mut writer = transport.writer(&channel).await.unwrap();
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    go_on(&mut *writer, &mut *reader, 0..10).await;
    leader(&channel, 2).await;
    let second = Away::new(&turn, 2, "kill", "restart").await;
    go_on(&mut *writer, &mut *reader, 10..20).await;
    let first = Away::new(&turn, 1, "kill", "restart").await;
    second.back().await;
    let end = loop {
        match transport.describe(&channel).await {
            Ok(told) => break told.end,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    };
    assert_eq!(end, Position::new(10), "no record was lost");
    // Longer than what the reader has seen. The brokers lost what they knew of the producer, too.
    loop {
        let mut writer = match transport.writer(&channel).await {
            Ok(writer) => writer,
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                continue;
            }
        };
        match writer.submit((100..130).map(record).collect()).await.rest {
            None => break,
            Some(Unstored { error, .. }) => assert!(error.is_temporary(), "{error}"),
        }
    }
    let told = Kind::PositionBeyondEnd { position: Position::new(20), end: Position::new(10) };
    let error = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => assert_eq!(times(&batch.records), Vec::<u64>::new()),
            Err(error) if error.is_temporary() => {}
            Err(error) => break error,
        }
    };
    assert_eq!(*error.kind(), told);
    // It stays so until the reader is sent elsewhere.
    assert_eq!(*reader.read(Limit::default()).await.unwrap_err().kind(), told);
    reader.seek(Start::At(Position::new(10))).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 30 {
        read.extend(times(&reader.read(Limit::default()).await.unwrap().records));
    }
    assert!(read.iter().all(|time| *time >= 100), "{read:?}");
    first.back().await;
}
