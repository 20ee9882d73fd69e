//! Writing batches, each of which is durable before it counts.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use msgstream_core::transport::{Receipt, Transport, TransportExt as _};
use msgstream_file::{FileConfig, FileTransport};

use crate::{Effort, Measured, Result, in_turn, records};

/// Batches of records of a size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    pub(crate) records: usize,
    pub(crate) payload: usize,
    /// How many are in flight at a time.
    pub(crate) in_flight: usize,
}

/// Measures batches beside a loop of `write` and `fdatasync` with as many bytes in each.
pub(crate) async fn measure(folder: &Path, effort: Effort, shape: Batches) -> Result<Measured> {
    let count = (effort.written / (shape.records * shape.payload) as u64).clamp(8, 400);
    // Tells how many bytes there are.
    let (_, bytes) = ours(folder, shape, count).await?;
    let rate = |time: Duration| bytes as f64 / f64::from(1 << 20) / time.as_secs_f64();
    let pairs = in_turn(
        effort.pairs,
        async || Ok(rate(ours(folder, shape, count).await?.0)),
        async || Ok(rate(bare(folder, count, (bytes / count) as usize).await?)),
    );
    Ok(Measured::new(Some(0.9), &pairs.await?))
}

async fn ours(folder: &Path, shape: Batches, count: u64) -> Result<(Duration, u64)> {
    let folder = tempfile::tempdir_in(folder)?;
    let files = FileTransport::open(FileConfig::new(folder.path())).await?;
    files.create("log").await?;
    let mut writer = files.writer("log").await?;
    let batch = records(shape.records, shape.payload);
    let began = Instant::now();
    let mut receipts: VecDeque<Receipt> = VecDeque::new();
    let stored = async |receipt: Receipt| match receipt.await.rest {
        None => Ok(()),
        Some(rest) => Err(rest.error),
    };
    for _ in 0..count {
        if receipts.len() == shape.in_flight
            && let Some(receipt) = receipts.pop_front()
        {
            stored(receipt).await?;
        }
        writer.ready().await?;
        receipts.push_back(writer.submit(batch.clone()));
    }
    for receipt in receipts {
        stored(receipt).await?;
    }
    let took = began.elapsed();
    writer.close().await?;
    files.close().await?;
    Ok((took, length(&folder.path().join("log"))?))
}

async fn bare(folder: &Path, count: u64, bytes: usize) -> Result<Duration> {
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("bare");
    let written = tokio::task::spawn_blocking(move || {
        let (file, part) = (File::create(path)?, vec![7; bytes]);
        let began = Instant::now();
        for number in 0..count {
            file.write_all_at(&part, number * bytes as u64)?;
            file.sync_data()?;
        }
        Ok::<_, std::io::Error>(began.elapsed())
    });
    Ok(written.await??)
}

/// Returns how many bytes are in a channel's segments.
fn length(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
