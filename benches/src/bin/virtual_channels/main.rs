//! What a record costs the readers of other virtual channels.
//!
//! ```sh
//! cargo run --release -p msgstream-bench --bin virtual_channels
//! ```
//!
//! One reader reads a channel with many records, alone and beside a thousand waiting readers of other
//! virtual channels of the same physical one. The difference in CPU time is theirs.

use std::sync::Arc;
use std::time::Duration;

use msgstream_bench::clock::{Median, cpu_time};
use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::{Limit, Result, Start, Transport, TransportExt as _};
use msgstream_core::{MsgType, Timestamp};
use msgstream_mem::MemTransport;
use msgstream_virtual::{Placement, Virtual};
use tokio::task::JoinSet;

const RECORDS: usize = 500_000;
const BATCH: usize = 500;
const READERS: usize = 1_000;
const RUNS: usize = 5;

/// Reads what is written meanwhile, and returns the CPU time of both.
async fn run(readers: usize) -> Result<Duration> {
    let broker = Arc::new(MemTransport::new(Default::default()));
    broker.create("log_0").await?;
    let channels = Arc::new(Virtual::over(broker, Placement::hash(1, "log")));
    let mut others = JoinSet::new();
    for n in 0..readers {
        let mut reader = channels.reader(&format!("other-{n}"), Start::Latest).await?;
        let limit = Limit::default().with_wait(Duration::from_secs(3_600));
        others.spawn(async move { reader.read(limit).await.map(|batch| batch.records.len()) });
    }
    // All of them wait before it begins.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let mut reader = channels.reader("busy", Start::Latest).await?;
    let mut writer = channels.writer("busy").await?;
    let began = cpu_time();
    let mut read = 0;
    for _ in 0..RECORDS / BATCH {
        let record = || Record::new(Meta::new(MsgType::INSERT, Timestamp(1)), "payload");
        writer.ready().await?;
        writer.submit((0..BATCH).map(|_| record()).collect()).await;
        while read % BATCH > 0 || read < BATCH {
            read += reader.read(Limit::default()).await?.records.len();
        }
        read -= BATCH;
    }
    let took = cpu_time() - began;
    others.abort_all();
    Ok(took)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut each = Vec::new();
    for _ in 0..RUNS {
        let (alone, beside) = (run(0).await?, run(READERS).await?);
        let nanos = |took: Duration| took.as_secs_f64() * 1e9;
        each.push((nanos(beside) - nanos(alone)) / (RECORDS * READERS) as f64);
        println!("{RECORDS} records: alone {alone:?}, beside {READERS} readers {beside:?}");
    }
    let Median { least, median, greatest } = Median::of(each);
    println!(
        "{median:.3} ns per record and reader that doesn't want it ({least:.3} to {greatest:.3})"
    );
    Ok(())
}
