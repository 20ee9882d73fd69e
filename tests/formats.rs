//! What each version of the stored formats wrote can be read: logs in files, checkpoints, sealed payloads and
//! parts. `WRITE_FORMATS=1` writes those of the present version first.

#![cfg(all(feature = "file", feature = "layers"))]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msgstream::checkpoint::FileStore;
use msgstream::layers::{Chunks, Encrypted, Key, KeyRing};
use msgstream::message::{Event, Json};
use msgstream::produce::{InSession, SessionConfig};
use msgstream::transport::{Start, Transport};
use msgstream::{Consumer, MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};

/// The version that is written. One more is a folder more, and this number.
const VERSION: u32 = 1;

const CHANNELS: [&str; 2] = ["numbers-0", "numbers-1"];
const SEALED: &str = "sealed";

#[derive(Debug, Serialize, Deserialize)]
struct Number {
    n: u32,
    filler: String,
}

impl Event for Number {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.n.into())
    }
    fn hash_key(&self) -> u32 {
        self.n
    }
}

fn number(n: u32, bytes: usize) -> Number {
    Number { n, filler: "x".repeat(bytes) }
}

fn folder(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(version.to_string())
}

async fn log(folder: &Path) -> Arc<dyn Transport> {
    // Several segments in each channel.
    let url = format!("file://{}?segment_bytes=65536", folder.join("log").display());
    msgstream::connect(&url).await.unwrap()
}

/// The layers that write something of their own.
fn sealed(log: Arc<dyn Transport>) -> Arc<dyn Transport> {
    let keys = KeyRing::new(Key::new("key-1", &[7; 32]).unwrap());
    Arc::new(Encrypted::over(Arc::new(Chunks::over(log).with_part_bytes(1_000)), keys))
}

/// Writes numbers in a session, with a tick after every fifth.
async fn write(
    log: &Arc<dyn Transport>,
    channels: &[&str],
    numbers: Range<u32>,
    bytes: usize,
) -> Producer<InSession> {
    let producer =
        Producer::builder(Arc::clone(log)).channels(channels.iter().copied()).create_missing();
    let mut producer = producer.session(SessionConfig::new("writer")).open().await.unwrap();
    for n in numbers {
        producer.send(number(n, bytes)).await.unwrap();
        if n % 5 == 4 {
            producer.tick(Timestamp(n.into())).await.unwrap();
        }
    }
    producer
}

/// Takes packs, and adds up their numbers in the state that is committed with them.
async fn take(folder: &Path, count: usize) -> BTreeMap<u32, u32> {
    let store = FileStore::new(folder.join("checkpoint"));
    let consumer = Consumer::builder(log(folder).await).channels(CHANNELS);
    let consumer = consumer.subscription("adder").store(store);
    let (mut consumer, mut seen) = consumer.open_with(BTreeMap::<u32, u32>::new).await.unwrap();
    for _ in 0..count {
        let Some(pack) = consumer.next_pack().await.unwrap() else { break };
        for number in pack.decode::<Number>() {
            *seen.entry(number.unwrap().value.n).or_default() += 1;
        }
        consumer.commit(&pack, &seen).await.unwrap();
    }
    seen
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

async fn write_the_present_version() {
    let folder = folder(VERSION);
    // What is there is kept: fails if it would be written over.
    fs::create_dir(&folder).unwrap();
    let log = log(&folder).await;
    // It isn't closed: the next session voids what it had under way.
    drop(write(&log, &CHANNELS, 0..20, 7_000).await);
    assert_eq!(take(&folder, 2).await.len(), 10);
    write(&log, &CHANNELS, 20..23, 10).await.end(Timestamp(24)).await.unwrap();
    write(&sealed(Arc::clone(&log)), &[SEALED], 0..5, 3_000).await.close().await.unwrap();
    log.close().await.unwrap();
}

#[tokio::test]
async fn every_version_is_read_and_written_on() {
    if env::var_os("WRITE_FORMATS").is_some() {
        write_the_present_version().await;
    }
    for version in 1..=VERSION {
        let own = tempfile::tempdir().unwrap();
        copy(&folder(version), own.path());
        let seen = take(own.path(), usize::MAX).await;
        assert_eq!(seen, (0..23).map(|n| (n, 1)).collect(), "numbers of version {version}");

        let log = sealed(log(own.path()).await);
        // A session finds its numbers.
        write(&log, &[SEALED], 5..10, 3_000).await.close().await.unwrap();
        let consumer = Consumer::builder(log).channels([SEALED]).start(Start::Earliest);
        let mut consumer = consumer.open().await.unwrap();
        for numbers in [0..5, 5..10] {
            let pack = consumer.next_pack().await.unwrap().unwrap();
            let values = pack.decode::<Number>().map(|number| number.unwrap().value);
            let read: Vec<_> = values.map(|value| (value.n, value.filler.len())).collect();
            let wanted: Vec<_> = numbers.map(|n| (n, 3_000)).collect();
            assert_eq!(read, wanted, "sealed numbers of version {version}");
        }
    }
}
