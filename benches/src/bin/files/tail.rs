//! How soon a reader in another process sees a record, and what it costs while nothing comes.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use msgstream_bench::clock::{Median, cpu_time};
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_file::{FileConfig, FileTransport};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{interval, sleep, timeout};

use crate::{Effort, Result, records};

/// The time between two records: 100 in a second.
const PACE: Duration = Duration::from_millis(10);
/// How long nothing is written.
const IDLE: Duration = Duration::from_secs(2);

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3)
}

/// Writes, with a reader in another process.
pub(crate) async fn measure(folder: &Path, effort: Effort) -> Result<String> {
    let folder = tempfile::tempdir_in(folder)?;
    let files = FileTransport::open(FileConfig::new(folder.path())).await?;
    files.create("log").await?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("tail")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().ok_or("the reader has no output")?;
    let mut lines = BufReader::new(output).lines();
    // It says that it reads.
    lines.next_line().await?;

    let mut writer = files.writer("log").await?;
    let mut latency = async |after: Option<Duration>| -> Result<f64> {
        if let Some(time) = after {
            sleep(time).await;
        }
        if let Some(rest) = writer.submit(records(1, 128)).await.rest {
            return Err(rest.error.into());
        }
        let acknowledged = now()?;
        let line = timeout(Duration::from_secs(10), lines.next_line()).await??;
        let seen: f64 = line.ok_or("the reader ended")?.parse()?;
        Ok((seen - acknowledged).max(0.0))
    };
    let mut busy = Vec::new();
    let mut pace = interval(PACE);
    for _ in 0..effort.tailed {
        pace.tick().await;
        busy.push(latency(None).await?);
    }
    let mut idle = Vec::new();
    for _ in 0..effort.tailed.div_ceil(50) {
        idle.push(latency(Some(IDLE)).await?);
    }
    drop(writer);

    // An end tells it to say what it cost to wait.
    sleep(IDLE * 2).await;
    let mut writer = files.writer("log").await?;
    writer.submit(records(2, 0)).await;
    let line = timeout(Duration::from_secs(10), lines.next_line()).await??;
    let share: f64 = line.ok_or("the reader ended")?.parse()?;
    child.wait().await?;
    files.close().await?;

    let (busy, idle) = (Median::of(busy), Median::of(idle));
    let row = |what: &str, value: String, target: &str, reached: bool| {
        format!("| {what} | {value} | {target}: {} |\n", if reached { "yes" } else { "no" })
    };
    Ok(String::from(
        "\n| a reader in another process | measured | target |\n| --- | ---: | --- |\n",
    ) + &row(
        "100 records a second: from acknowledged to seen",
        format!("{:.1} ms (median; at most {:.1})", busy.median, busy.greatest),
        "at most 5 ms",
        busy.median <= 5.0,
    ) + &row(
        "after 2 s without a record",
        format!("{:.1} ms (median; at most {:.1})", idle.median, idle.greatest),
        "at most 60 ms",
        idle.greatest <= 60.0,
    ) + &row(
        "CPU while nothing comes",
        format!("{:.2} % of a core", share * 100.0),
        "under 0.5 %",
        share < 0.005,
    ))
}

/// The reader: prints when it sees each record, in Unix milliseconds.
pub(crate) fn read(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let files = FileTransport::open(FileConfig::new(folder)).await?;
        let mut reader = files.reader("log", Start::Latest).await?;
        println!("reading");
        let limit = Limit::default().with_wait(Duration::from_secs(60));
        let (mut since, mut spent) = (Instant::now(), cpu_time());
        loop {
            let batch = reader.read(limit).await?;
            match batch.records.len() {
                0 => return Err("nothing came for a minute".into()),
                1 => println!("{}", now()?),
                _ => {
                    let cost = (cpu_time() - spent).as_secs_f64();
                    println!("{}", cost / since.elapsed().as_secs_f64());
                    return Ok(());
                }
            }
            (since, spent) = (Instant::now(), cpu_time());
        }
    })
}
