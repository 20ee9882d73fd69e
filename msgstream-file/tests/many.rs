//! A thousand channels in one process: few open files, few threads, little memory.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use msgstream_core::transport::{Limit, Start, Transport, TransportExt, Unstored};
use msgstream_file::FileTransport;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::kit::{
    FOR_EVER, assert_passed, config, given_folder, number, process, reader, record, this_program,
};

const CHANNELS: &str = "MSGSTREAM_TEST_CHANNELS";
/// Of the runtime.
const WORKERS: usize = 2;
/// Calls at the disk, each on a thread.
const AT_THE_DISK: usize = 8;
/// How many files are open without any channel: standard input and output, and those of the runtime.
const OTHER_FILES: usize = 16;

#[test]
fn a_thousand_channels_take_little_more_than_ten() {
    let ten = run(10);
    let thousand = run(1_000);
    for (channels, used) in [(10, &ten), (1_000, &thousand)] {
        println!("{channels} channels: {used:?}");
    }
    assert!(thousand["files"] <= 256 + OTHER_FILES, "open files: {}", thousand["files"]);
    // Two are the test's, and one looks. On a busy machine the runtime begins another one now and
    // then before it has the last one back.
    let threads = WORKERS + 3 * AT_THE_DISK + 3;
    assert!(thousand["threads"] <= threads, "threads: {}", thousand["threads"]);
    let each = (thousand["memory_kib"] - ten["memory_kib"]) / 990;
    assert!(each <= 64, "memory for each channel: {each} KiB");
}

/// Runs so many channels in a process of their own, and returns what it used at the most.
fn run(channels: usize) -> BTreeMap<String, usize> {
    // In memory, where there is such a folder: this isn't about the disk.
    let memory = Path::new("/dev/shm");
    let folder = match memory.exists() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let mut command: Command = process(&[], &this_program(), "channels", folder.path());
    let output = command.env(CHANNELS, channels.to_string()).output().unwrap();
    assert_passed(&output);
    let out = String::from_utf8(output.stdout).unwrap();
    let used = out.lines().filter_map(|line| line.strip_prefix("used ")?.split_once(' '));
    used.map(|(name, number)| (name.to_owned(), number.parse().unwrap())).collect()
}

#[test]
#[ignore = "it is run by another test, in a process of its own"]
fn channels() {
    let Some(folder) = given_folder() else { return };
    let channels = std::env::var(CHANNELS).unwrap().parse().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    let peak = Peak::start();
    runtime.block_on(async {
        let files = FileTransport::open(config(&folder)).await.unwrap();
        let names: Vec<_> = (0..channels).map(|n| format!("channel-{n}")).collect();
        let mut running = JoinSet::new();
        for name in names.clone() {
            let files = files.clone();
            running.spawn(async move { files.create(&name).await.unwrap() });
        }
        running.join_all().await;

        let mut running = JoinSet::new();
        for name in names.clone() {
            running.spawn(read_all(files.clone(), name.clone()));
            running.spawn(write_all(files.clone(), name));
        }
        running.join_all().await;

        // Nothing comes any more, and all readers wait for it at once.
        let mut idle = JoinSet::new();
        for name in names {
            let mut reader = files.reader(&name, Start::Latest).await.unwrap();
            let limit = Limit::default().with_wait(Duration::from_millis(300));
            idle.spawn(async move { reader.read(limit).await.unwrap() });
        }
        for batch in idle.join_all().await {
            assert!(batch.records.is_empty() && batch.caught_up);
        }
        files.close().await.unwrap();
    });
    let (files, threads) = peak.end();
    println!("\nused files {files}\nused threads {threads}\nused memory_kib {}", memory_kib());
}

/// How many batches there are in each channel, of two records each.
const BATCHES: u64 = 12;

async fn write_all(files: FileTransport, channel: String) {
    let mut writer = files.writer(&channel).await.unwrap();
    let mut receipts = Vec::new();
    for batch in 0..BATCHES {
        writer.ready().await.unwrap();
        receipts.push(writer.submit(vec![record(batch * 2), record(batch * 2 + 1)]));
        if batch % 3 == 2 {
            for receipt in receipts.drain(..) {
                if let Some(Unstored { error, .. }) = receipt.await.rest {
                    panic!("{error}");
                }
            }
        }
    }
    writer.close().await.unwrap();
}

async fn read_all(files: FileTransport, channel: String) {
    let mut reader = reader(&files, &channel).await;
    let mut numbers = Vec::new();
    while numbers.len() < BATCHES as usize * 2 {
        let batch = reader.read(Limit::default().with_wait(FOR_EVER)).await.unwrap();
        numbers.extend(batch.records.iter().map(number));
    }
    assert_eq!(numbers, Vec::from_iter(0..BATCHES * 2), "{channel}");
}

/// Looks how many files and threads there are, again and again.
struct Peak {
    ends: Arc<AtomicBool>,
    files: Arc<AtomicUsize>,
    threads: Arc<AtomicUsize>,
    looks: JoinHandle<()>,
}

impl Peak {
    fn start() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (files, threads) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (end, most_files, most_threads) = (ends.clone(), files.clone(), threads.clone());
        let looks = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let count = |folder| fs::read_dir(folder).unwrap().count();
                // One is that of the folder that is read.
                most_files.fetch_max(count("/proc/self/fd") - 1, Ordering::Relaxed);
                most_threads.fetch_max(count("/proc/self/task"), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { ends, files, threads, looks }
    }

    fn end(self) -> (usize, usize) {
        self.ends.store(true, Ordering::Relaxed);
        self.looks.join().unwrap();
        (self.files.load(Ordering::Relaxed), self.threads.load(Ordering::Relaxed))
    }
}

/// Returns the most memory that this process had.
fn memory_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
