//! Packs over all partitions of a topic that another program fills, with keys and without ticks.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use msgstream_core::checkpoint::{CheckpointStore as _, FileStore};
use msgstream_core::transport::Transport;
use msgstream_core::{Checkpoint, Consumer, MsgPack, TickSource};
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::task::spawn_blocking;

use super::channels;
use crate::support::{LONG, make_topic, open, raw, send};

const PARTITIONS: usize = 6;

/// How many messages there are, with so many keys, one for each unit of time; and the ticks that follow.
const COUNT: u64 = 3000;
const KEYS: u64 = 40;
const DELAY: u64 = 10;
const INTERVAL: u64 = 20;

/// The end of the last pack: each key is in one partition, and comes again after so many messages.
const UNTIL: u64 = (COUNT - KEYS - DELAY) / INTERVAL * INTERVAL;

/// What a pack holds: its end, and of each message the channel, the position and the time.
pub(super) type Packed = (u64, Vec<(String, u64, u64)>);

pub(super) fn packed(pack: &MsgPack) -> Packed {
    let messages = pack.msgs.iter().map(|message| {
        let place = message.channel().zip(message.position()).unwrap();
        (place.0.to_owned(), place.1.offset(), message.end_ts().0)
    });
    (pack.end_ts.0, messages.collect())
}

const SYNTHETIC: TickSource = TickSource::Synthetic { delay: DELAY, interval: INTERVAL };

async fn consumer(
    transport: &Arc<dyn Transport>,
    channels: &[String],
    from: Option<Checkpoint>,
) -> Consumer {
    let builder = Consumer::builder(Arc::clone(transport)).channels(channels.to_vec());
    builder.ticks(|_| SYNTHETIC).resume(from).open().await.unwrap()
}

/// The packs up to a time.
async fn packs(consumer: &mut Consumer, until: u64) -> Vec<MsgPack> {
    let mut packs = Vec::new();
    while packs.last().is_none_or(|pack: &MsgPack| pack.end_ts.0 < until) {
        packs.push(consumer.next_pack().await.unwrap().unwrap());
    }
    packs
}

#[tokio::test]
async fn a_topic_of_another_program_is_read_as_packs_and_resumed() {
    let transport = open().await;
    let topic = make_topic(PARTITIONS as i32, &[]).await;
    fill(&topic, 1..COUNT + 1);

    let channels = transport.list(&topic).await.unwrap();
    assert_eq!(channels, self::channels(&topic, PARTITIONS));
    let first = packs(&mut consumer(&transport, &channels, None).await, UNTIL).await;
    for message in first.iter().flat_map(|pack| &pack.msgs) {
        let key = format!("key {}", message.end_ts().0 % KEYS);
        assert_eq!(message.stored().unwrap().record.key().unwrap(), key.as_bytes());
    }
    let all: Vec<_> = first.iter().map(packed).collect();
    let seen: Vec<_> = all.iter().flat_map(|(_, messages)| messages).collect();
    let end = all.last().unwrap().0;
    assert!(seen.iter().map(|(.., time)| *time).eq(1..=end), "all of them, once and in order");
    let used: BTreeSet<_> = seen.iter().map(|(channel, ..)| channel).collect();
    assert_eq!(used.len(), PARTITIONS, "{used:?}");
    assert!(all.len() > 20, "{} packs", all.len());

    let again = packs(&mut consumer(&open().await, &channels, None).await, UNTIL).await;
    assert!(again.iter().map(packed).eq(all.iter().cloned()), "two runs differ");

    // Dropped in the middle, with more read than the checkpoint has.
    for cut in [1, all.len() / 2, all.len() - 2] {
        let mut dropped = consumer(&transport, &channels, None).await;
        let until = first[cut + 1].end_ts.0;
        let checkpoint = packs(&mut dropped, until).await[cut].end.clone();
        drop(dropped);
        let stored = serde_json::to_string(&checkpoint).unwrap();
        let from = Some(serde_json::from_str(&stored).unwrap());
        let mut resumed = consumer(&open().await, &channels, from).await;
        let rest = packs(&mut resumed, end).await;
        assert!(rest.iter().map(packed).eq(all[cut + 1..].iter().cloned()), "resumed after {cut}");
    }
}

/// Sends messages as another program does, and returns when they are stored.
fn fill(topic: &str, times: Range<u64>) {
    let producer: BaseProducer = raw().create().unwrap();
    times.for_each(|time| send(&producer, topic, &format!("key {}", time % KEYS), time));
    producer.flush(LONG).unwrap();
}

const TOPIC: &str = "MSGSTREAM_TEST_TOPIC";
const STORE: &str = "MSGSTREAM_TEST_STORE";

/// What the process that is killed says after each pack.
const COMMITTED: &str = "a pack was committed";

/// The process that is killed: its state is all packs so far.
#[tokio::test]
#[ignore = "run by a_consumer_that_is_killed_goes_on_with_the_same_packs"]
async fn consumes_until_it_is_killed() {
    let topic = std::env::var(TOPIC).unwrap();
    let store = FileStore::new(std::env::var(STORE).unwrap());
    let builder = Consumer::builder(open().await).channels(channels(&topic, PARTITIONS));
    let builder = builder.ticks(|_| SYNTHETIC).subscription(&topic).store(store);
    let (mut consumer, mut packs) = builder.open_with(Vec::<Packed>::new).await.unwrap();
    while packs.last().is_none_or(|(end, _)| *end < UNTIL) {
        let pack = consumer.next_pack().await.unwrap().unwrap();
        packs.push(packed(&pack));
        consumer.commit(&pack, &packs).await.unwrap();
        println!("{COMMITTED}");
    }
}

fn start(topic: &str, store: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "partitions::packs::consumes_until_it_is_killed"]);
    child.args(["--ignored", "--nocapture"]).env(TOPIC, topic).env(STORE, store);
    child.stdout(Stdio::piped()).spawn().unwrap()
}

/// Kills a process at a random moment after so many packs.
fn kill_after(mut child: Child, packs: u64) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut left = packs;
    while left > 0 {
        let line = lines.next().expect("it ended by itself").unwrap();
        left -= u64::from(line.contains(COMMITTED));
    }
    sleep(Duration::from_micros(random(30_000)));
    assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

#[tokio::test]
async fn a_consumer_that_is_killed_goes_on_with_the_same_packs() {
    /// How often it is killed, and what is sent meanwhile each time.
    const ROUNDS: u64 = 8;
    const ROUND: u64 = COUNT / ROUNDS;

    let topic = make_topic(PARTITIONS as i32, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("checkpoint");
    for round in 0..ROUNDS {
        let filled = topic.clone();
        let times = round * ROUND + 1..(round + 1) * ROUND + 1;
        let filling = spawn_blocking(move || fill(&filled, times));
        let child = start(&topic, &store);
        let killed = spawn_blocking(move || kill_after(child, random(ROUND / INTERVAL / 2)));
        killed.await.unwrap();
        filling.await.unwrap();
    }
    let last = start(&topic, &store);
    let output = spawn_blocking(move || last.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");

    let stored = FileStore::new(store).load().await.unwrap().unwrap();
    let killed: Vec<Packed> = serde_json::from_slice(&stored.state).unwrap();
    let all = channels(&topic, PARTITIONS);
    let whole = packs(&mut consumer(&open().await, &all, None).await, UNTIL).await;
    assert!(killed.iter().cloned().eq(whole.iter().map(packed)), "the packs differ");
    let seen = whole.iter().flat_map(|pack| &pack.msgs).map(|message| message.end_ts().0);
    assert!(seen.eq(1..=UNTIL), "all of them, once and in order");
}
