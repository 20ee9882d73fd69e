//! Readers that wait for what another process writes.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use msgstream_core::transport::{ChannelReader, Limit, Transport, TransportExt};
use msgstream_file::{FileTransport, SyncPolicy};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::kit::{
    FOR_EVER, config, given_folder, number, open, process, reader, this_program, write,
};

/// Another process, which writes as many records as it is told to, each with a commit of its own.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[tokio::test]
#[ignore = "it is run by another test, in a process of its own"]
async fn writes() {
    let Some(folder) = given_folder() else { return };
    // Without syncs, so that one commit comes while readers are busy with the one before.
    let files = FileTransport::open(config(&folder).with_sync(SyncPolicy::Os)).await.unwrap();
    let mut next = 0;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let count: u64 = line.parse().unwrap();
        write(&files, "orders", next..next + count).await;
        next += count;
    }
}

impl Other {
    fn start(folder: &Path) -> Self {
        let mut command = process(&[], &this_program(), "writes", folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    fn write(&mut self, count: u64) {
        writeln!(self.input, "{count}").unwrap();
    }

    fn end(mut self) {
        drop(self.input);
        let rest: Vec<_> = self.output.lines().map_while(Result::ok).collect();
        assert!(self.child.wait().unwrap().success(), "{rest:?}");
    }
}

/// Waits for the first record.
async fn read_first(reader: &mut dyn ChannelReader) {
    let batch = reader.read(Limit::default().with_wait(FOR_EVER)).await.unwrap();
    assert_eq!(batch.records.iter().map(number).collect::<Vec<_>>(), [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_several_readers_is_woken_for_every_record() {
    const COUNT: u64 = 3;
    const READERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path()).await;
    files.create("orders").await.unwrap();
    let (tells, mut told) = mpsc::unbounded_channel();
    let mut reading = JoinSet::new();
    for place in 0..READERS {
        let (mut reader, tells) = (reader(&files, "orders").await, tells.clone());
        reading.spawn(async move {
            // It waits again as soon as it has read.
            let limit = Limit::default().with_records(1).with_wait(FOR_EVER);
            while let Ok(batch) = reader.read(limit).await {
                let read = batch.records.iter().map(number);
                read.for_each(|number| tells.send((place, number)).unwrap());
            }
        });
    }
    let mut other = Other::start(folder.path());
    let mut next = [0; READERS];
    for round in 1..=300 {
        other.write(COUNT);
        // If one is never woken, this hangs.
        while next.iter().any(|next| *next < round * COUNT) {
            let (place, number) = told.recv().await.unwrap();
            assert_eq!(number, next[place]);
            next[place] += 1;
        }
    }
    other.end();
    files.close().await.unwrap();
    reading.join_all().await;
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_runtime_that_ends_takes_no_reader_of_another_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (runtime(), runtime());
    let (files, mut waits): (FileTransport, _) = first.block_on(async {
        let files = open(folder.path()).await;
        files.create("orders").await.unwrap();
        let mut waits = reader(&files, "orders").await;
        // This begins to look after the channel, in this runtime.
        let limit = Limit::default().with_wait(std::time::Duration::from_millis(20));
        assert!(waits.read(limit).await.unwrap().records.is_empty());
        (files, waits)
    });
    let mut other = Other::start(folder.path());
    let mut reads = second.block_on(reader(&files, "orders"));
    let waiting = first.spawn(async move { read_first(&mut *waits).await });
    let reading = second.spawn(async move { read_first(&mut *reads).await });
    first.shutdown_background();
    other.write(1);
    second.block_on(reading).unwrap();
    drop(waiting);
    other.end();
}
