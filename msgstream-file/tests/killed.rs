//! Processes that are killed while they write, begin segments and remove old ones.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error as _;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Receipt, Start, Transport, TransportErrorKind as Kind,
    TransportExt,
};
use msgstream_file::{FileConfig, FileTransport};

use crate::kit::{given_folder, number, open, process, record, this_program};

const CHANNEL: &str = "orders";
/// The variable that tells a writer the first of its numbers.
const FIRST: &str = "MSGSTREAM_TEST_FIRST";
/// How many numbers a writer may use.
const EACH: u64 = 1_000_000;
const ROUNDS: u64 = 12;
/// At a time.
const WRITERS: u64 = 3;
/// Some segments.
const KEPT: u64 = 16 << 10;

/// Segments of a few records.
fn small(folder: &Path, max_bytes: Option<u64>) -> FileConfig {
    let config = FileConfig::new(folder.join("log")).with_segment_bytes(2048);
    match max_bytes {
        Some(bytes) => config.with_max_bytes(bytes),
        None => config,
    }
}

fn journal(folder: &Path, first: u64) -> std::path::PathBuf {
    folder.join(format!("acknowledged-{first}"))
}

/// Writes until it is killed, and writes down what is acknowledged.
#[tokio::test]
#[ignore = "it is run by another test, in processes that are killed"]
async fn writes() {
    let Some(folder) = given_folder() else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    // Of three one removes what is old as it goes, and one all that there is now and then.
    let kind = first / EACH % WRITERS;
    let kept = (kind == 0).then_some(KEPT);
    let files = FileTransport::open(small(&folder, kept)).await.unwrap();
    let mut writer = files.writer(CHANNEL).await.unwrap();
    let mut journal = File::create(journal(&folder, first)).unwrap();
    let mut in_flight: VecDeque<(u64, Receipt)> = VecDeque::new();
    let mut acknowledged = 0;
    for next in (first..).step_by(2) {
        writer.ready().await.unwrap();
        in_flight.push_back((next, writer.submit(vec![record(next), record(next + 1)])));
        if in_flight.len() < 4 {
            continue;
        }
        let (number, receipt) = in_flight.pop_front().unwrap();
        let outcome = receipt.await;
        assert!(outcome.rest.is_none(), "{outcome:?}");
        let mut lines = String::new();
        for (number, position) in (number..).zip(outcome.stored) {
            lines += &format!("{number} {}.\n", position.offset());
        }
        // A killed process leaves what it wrote.
        journal.write_all(lines.as_bytes()).unwrap();
        if kind == 1 && acknowledged % 8 == 7 {
            let end = files.describe(CHANNEL).await.unwrap().end;
            files.trim(CHANNEL, end).await.unwrap();
        }
        acknowledged += 1;
        if acknowledged == 3 {
            println!("it writes");
        }
    }
}

/// Returns the acknowledged numbers, with their offsets.
fn acknowledged(folder: &Path, first: u64) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(journal(folder, first)).unwrap_or_default();
    let line = |line: &str| {
        // The last one may be cut.
        let (number, offset) = line.strip_suffix('.')?.split_once(' ')?;
        Some((number.parse().unwrap(), offset.parse().unwrap()))
    };
    text.lines().filter_map(line).collect()
}

/// What a reader saw: numbers by their offsets, and the offsets that were removed before it came.
#[derive(Default)]
struct Seen {
    numbers: BTreeMap<u64, u64>,
    missed: Vec<std::ops::Range<u64>>,
}

impl Seen {
    fn add(&mut self, batch: &ReadBatch) {
        for record in &batch.records {
            let offset = record.position.offset();
            let last = self.numbers.last_key_value().map(|(last, _)| *last);
            assert!(last < Some(offset), "{offset} comes behind {last:?}");
            self.numbers.insert(offset, number(record));
        }
    }

    /// Reads on; what was removed is passed over.
    async fn read(&mut self, reader: &mut dyn ChannelReader, wait: Duration) -> bool {
        let limit = Limit::default().with_records(50).with_wait(wait);
        let mut failed = match reader.read(limit).await {
            Ok(batch) => {
                self.add(&batch);
                return batch.caught_up;
            }
            Err(error) => error,
        };
        loop {
            let &Kind::PositionTrimmed { position, first } = failed.kind() else {
                panic!("{failed}: {:?}", failed.source());
            };
            self.missed.push(position.offset()..first.offset());
            match reader.seek(Start::At(first)).await {
                Ok(()) => return false,
                // Removed again by now.
                Err(error) => failed = error,
            }
        }
    }

    fn is_missed(&self, offset: u64) -> bool {
        self.missed.iter().any(|missed| missed.contains(&offset))
    }
}

struct Writer {
    child: Child,
    first: u64,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn start(folder: &Path, first: u64) -> Writer {
    let mut command = process(&[], &this_program(), "writes", folder);
    command.env(FIRST, first.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let begun = lines.into_iter().find(|line| line.ends_with("it writes"));
    assert!(begun.is_some(), "it ended before it wrote");
    Writer { child, first }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_kill_is_read_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let random = RandomState::new();
    let log = FileTransport::open(small(folder.path(), None)).await.unwrap();
    log.create(CHANNEL).await.unwrap();
    let mut reader = log.reader(CHANNEL, Start::Earliest).await.unwrap();
    let (mut seen, mut firsts, mut begun) = (Seen::default(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let writers: Vec<_> =
            (0..WRITERS).map(|n| start(folder.path(), (1 + round * WRITERS + n) * EACH)).collect();
        let mut killing = Vec::new();
        for writer in writers {
            firsts.push(writer.first);
            let time = Duration::from_micros(random.hash_one(writer.first) % 100_000);
            killing.push(thread::spawn(move || {
                thread::sleep(time);
                drop(writer);
            }));
        }
        while !killing.iter().all(thread::JoinHandle::is_finished) {
            seen.read(&mut *reader, Duration::from_millis(5)).await;
        }
        killing.into_iter().for_each(|kill| kill.join().unwrap());
        // The next one finds what these left.
        begun += usize::from(folder.path().join("log").join(CHANNEL).join(".new").exists());
        let mut writer = log.writer(CHANNEL).await.unwrap();
        let last = writer.submit(vec![record(round)]).await.stored[0].offset();
        while seen.numbers.last_key_value().is_none_or(|(seen, _)| *seen < last) {
            seen.read(&mut *reader, Duration::ZERO).await;
        }
    }
    check(&log, &folder.path().join("log"), &seen, &firsts, folder.path()).await;
    println!(
        "{} records were read, {} gaps of retention, {begun} files begun and left",
        seen.numbers.len(),
        seen.missed.len()
    );
}

async fn check(log: &FileTransport, again: &Path, seen: &Seen, firsts: &[u64], folder: &Path) {
    // Once.
    let numbers: BTreeSet<_> = seen.numbers.values().collect();
    assert_eq!(numbers.len(), seen.numbers.len(), "a record came twice");
    // In order.
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    for number in seen.numbers.values() {
        let before = latest.insert(number / EACH, *number);
        assert!(before < Some(*number), "{number} comes behind {before:?}");
    }
    // All that was acknowledged, where it was said to be.
    let mut count = 0;
    for first in firsts {
        let acknowledged = acknowledged(folder, *first);
        assert!(!acknowledged.is_empty());
        for (number, offset) in acknowledged {
            count += 1;
            match seen.numbers.get(&offset) {
                Some(found) => assert_eq!(*found, number, "at {offset}"),
                None => assert!(seen.is_missed(offset), "{number} at {offset} is gone"),
            }
        }
    }
    println!("{count} records were acknowledged");
    // What is left is what was seen, also for who comes anew.
    let info = log.describe(CHANNEL).await.unwrap();
    let (left, end) = (info.first.map_or(info.end, |first| first), info.end);
    let mut all = Seen::default();
    let anew = open(again).await;
    let mut reader = anew.reader(CHANNEL, Start::Earliest).await.unwrap();
    while !all.read(&mut *reader, Duration::ZERO).await {}
    assert!(all.missed.is_empty());
    let seen = seen.numbers.range(left.offset()..);
    assert_eq!(all.numbers, seen.map(|(offset, number)| (*offset, *number)).collect());
    assert_eq!(all.numbers.last_key_value().map(|(last, _)| Position::new(last + 1)), Some(end));
}
