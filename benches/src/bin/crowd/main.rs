//! A thousand readers of virtual channels on sixteen channels of a broker, while one of them stops.
//!
//! ```sh
//! brokers/with kafka -- sh -c 'cargo run --release -p msgstream-bench --features kafka --bin crowd -- --url "$MSGSTREAM_KAFKA_URL"'
//! ```

mod counted;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use msgstream_core::record::{Meta, Record};
use msgstream_core::registry::Registry;
use msgstream_core::transport::{
    ChannelReader, ChannelWriter, Limit, Start, Transport, TransportExt as _,
};
use msgstream_core::{MsgType, Timestamp};
use msgstream_virtual::{Placement, Virtual};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::counted::{Counted, Readers};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const PHYSICAL: u32 = 16;
const PAYLOAD: usize = 256;
/// Records that are written to a virtual channel together.
const BATCH: u64 = 8;

/// Writes to virtual channels and reads each of them with a reader of its own, with all readers at work
/// and while one of them does nothing; then that one goes on.
#[derive(Debug, Parser)]
struct Args {
    /// Where the broker is
    #[arg(long, default_value = "mem://")]
    url: String,
    /// How many virtual channels there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..))]
    channels: u32,
    /// For how long one reader stops, in seconds; before, all read for half as long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The bytes that a reader may be behind before it is let go
    #[arg(long, default_value_t = Virtual::QUEUE_BYTES)]
    queue_bytes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let run = format!("crowd-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let readers = Readers::default();
    let broker = connect(&args.url).await?;
    for number in 0..PHYSICAL {
        broker.create(&format!("{run}_{number}")).await?;
    }
    let counted = Counted { inner: broker.clone(), readers: readers.clone() };
    let channels = Virtual::over(Arc::new(counted), Placement::hash(PHYSICAL, &*run))
        .with_queue_bytes(args.queue_bytes);
    let measured = measure(&args, Arc::new(channels), &readers).await;
    for number in 0..PHYSICAL {
        broker.delete(&format!("{run}_{number}")).await?;
    }
    broker.close().await?;
    measured
}

async fn connect(url: &str) -> Result<Arc<dyn Transport>> {
    let mut registry = Registry::new();
    msgstream_mem::register(&mut registry);
    msgstream_file::register(&mut registry);
    #[cfg(feature = "kafka")]
    msgstream_kafka::register(&mut registry);
    #[cfg(feature = "nats")]
    msgstream_nats::register(&mut registry);
    #[cfg(feature = "pulsar")]
    msgstream_pulsar::register(&mut registry);
    Ok(registry.connect(url).await?)
}

/// What all tasks share.
struct Shared {
    /// How many records the others have read.
    others: AtomicU64,
    /// How many the one has read, and how many were written to its channel.
    one: AtomicU64,
    for_one: AtomicU64,
    /// The one does nothing.
    stopped: watch::Sender<bool>,
}

async fn measure(args: &Args, channels: Arc<Virtual>, readers: &Readers) -> Result<()> {
    let before = resident();
    let (stopped, _) = watch::channel(false);
    let shared = Arc::new(Shared {
        others: AtomicU64::new(0),
        one: AtomicU64::new(0),
        for_one: AtomicU64::new(0),
        stopped,
    });
    let mut tasks = JoinSet::new();
    let mut writers = Vec::new();
    for number in 0..args.channels {
        let name = format!("channel-{number}");
        let reader = channels.reader(&name, Start::Latest).await?;
        tasks.spawn(read(reader, shared.clone(), number == 0));
        writers.push(channels.writer(&name).await?);
    }
    tasks.spawn(write(writers, shared.clone()));

    let rate = |read: u64, began: Instant| read as f64 / began.elapsed().as_secs_f64();
    let read = || shared.others.load(Ordering::Relaxed);
    let mut span = async |seconds: f64| {
        let (from, began) = (read(), Instant::now());
        tokio::select! {
            () = sleep(Duration::from_secs_f64(seconds)) => Ok(rate(read() - from, began)),
            Some(ended) = tasks.join_next() => Err(ended.err().map_or("a task ended".into(), |e| e.to_string())),
        }
    };
    let seconds = args.seconds as f64;
    // It takes a while until all have joined.
    span(seconds / 10.0).await?;
    let with_all = span(seconds / 2.0).await?;
    shared.stopped.send_replace(true);
    let without_one = span(seconds).await?;
    // It may read between the two looks at what it has read and what it was sent.
    let behind = || {
        let sent = shared.for_one.load(Ordering::Relaxed);
        sent.saturating_sub(shared.one.load(Ordering::Relaxed))
    };
    let missed = behind();
    let before_it = channels.counts().joined;
    shared.stopped.send_replace(false);
    let began = Instant::now();
    // On a busy machine others fall behind and join again, too.
    while behind() > missed / 100 + 4 * BATCH || channels.counts().joined == before_it {
        span(0.01).await?;
    }
    let caught_up = began.elapsed();
    let grown = resident().saturating_sub(before) as f64 / f64::from(1 << 20);
    tasks.shutdown().await;

    let ratio = without_one / with_all;
    println!("{} readers, {PHYSICAL} channels of the broker", args.channels);
    println!(
        "all read {with_all:.0} records/s; while one is stopped, the others {without_one:.0}: {ratio:.2}"
    );
    println!("it had missed {missed} records, and has caught up and joined after {caught_up:.1?}");
    let counts = channels.counts();
    println!(
        "readers fell behind {} times, and joined again {} times",
        counts.let_go, counts.joined
    );
    println!("at most {} readers of the broker for a channel", readers.most());
    println!("memory grew by {grown:.0} MiB");
    Ok(())
}

async fn read(mut reader: Box<dyn ChannelReader>, shared: Arc<Shared>, is_one: bool) -> Result<()> {
    let mut stopped = shared.stopped.subscribe();
    let count = if is_one { &shared.one } else { &shared.others };
    loop {
        if is_one {
            stopped.wait_for(|stopped| !stopped).await?;
        }
        let batch = reader.read(Limit::default()).await?;
        count.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
    }
}

/// Writes to all channels in turn, as fast as the broker takes it.
async fn write(mut writers: Vec<Box<dyn ChannelWriter>>, shared: Arc<Shared>) -> Result<()> {
    let payload = vec![7; PAYLOAD];
    let mut receipts = Vec::new();
    for time in 1.. {
        for (number, writer) in writers.iter_mut().enumerate() {
            let record =
                || Record::new(Meta::new(MsgType::INSERT, Timestamp(time)), payload.clone());
            writer.ready().await?;
            if number == 0 {
                shared.for_one.fetch_add(BATCH, Ordering::Relaxed);
            }
            receipts.push(writer.submit((0..BATCH).map(|_| record()).collect()));
        }
        for receipt in receipts.drain(..) {
            if let Some(rest) = receipt.await.rest {
                return Err(rest.error.into());
            }
        }
    }
    Ok(())
}

/// The memory of the process, in bytes, as Linux reports it; 0 on other systems.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
