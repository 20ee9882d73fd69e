//! Reading a log from its beginning to its end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_file::{FileConfig, FileTransport};

use crate::{Effort, Measured, Result, in_turn, records};

/// How much the bare loop reads at a time, in bytes.
const BLOCK: usize = 1 << 20;

/// The size of a page of memory, in bytes.
const PAGE: usize = 4 << 10;

/// Measures reading records of a size beside a loop that reads the same files and computes their
/// checksum.
pub(crate) async fn measure(
    folder: &Path,
    effort: Effort,
    payload: usize,
    target: Option<f64>,
) -> Result<Measured> {
    let folder = tempfile::tempdir_in(folder)?;
    let config = FileConfig::new(folder.path()).with_sync(msgstream_file::SyncPolicy::Os);
    let files = FileTransport::open(config).await?;
    files.create("log").await?;
    let mut writer = files.writer("log").await?;
    let batch = records((1 << 20) / payload, payload);
    let count = effort.read / (batch.len() * payload) as u64 * batch.len() as u64;
    for _ in 0..effort.read / (batch.len() * payload) as u64 {
        writer.ready().await?;
        if let Some(rest) = writer.submit(batch.clone()).await.rest {
            return Err(rest.error.into());
        }
    }
    writer.close().await?;

    let ours = async || -> Result<Duration> {
        let mut reader = files.reader("log", Start::Earliest).await?;
        let (mut read, mut sum) = (0, 0_usize);
        let began = Instant::now();
        while read < count {
            let batch = reader.read(Limit::default().with_records(usize::MAX)).await?;
            read += batch.records.len() as u64;
            sum += batch.records.iter().map(|record| record.payload.len()).sum::<usize>();
        }
        let took = began.elapsed();
        if sum as u64 != count * payload as u64 {
            return Err(format!("{sum} bytes were read of {count} records of {payload}").into());
        }
        Ok(took)
    };
    let log = folder.path().join("log");
    let bare = async || -> Result<(Duration, u64)> {
        let log = log.clone();
        Ok(tokio::task::spawn_blocking(move || bare(&log)).await??)
    };
    let (_, bytes) = bare().await?;
    let rate = |time: Duration| bytes as f64 / f64::from(1 << 20) / time.as_secs_f64();
    let pairs =
        in_turn(effort.pairs, async || Ok(rate(ours().await?)), async || Ok(rate(bare().await?.0)));
    let pairs = pairs.await?;
    files.close().await?;
    Ok(Measured::new(target, &pairs))
}

/// Reads all segments, and computes a checksum of each block.
///
/// The buffer begins with a page, as the blocks do in the files. If it began a few bytes later, copying
/// would take five times as long on some processors.
fn bare(folder: &Path) -> std::io::Result<(Duration, u64)> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        segments.extend(path.extension().is_some_and(|end| end == "log").then_some(path));
    }
    segments.sort();
    let began = Instant::now();
    let (mut memory, mut bytes, mut sum) = (vec![0; BLOCK + PAGE], 0, 0_u32);
    let first = memory.as_ptr().align_offset(PAGE);
    let buffer = &mut memory[first..][..BLOCK];
    for path in segments {
        let file = File::open(path)?;
        let mut at = 0;
        loop {
            let count = file.read_at(buffer, at)?;
            if count == 0 {
                break;
            }
            sum ^= crc32c::crc32c(buffer.get(..count).unwrap_or_default());
            at += count as u64;
        }
        bytes += at;
    }
    std::hint::black_box(sum);
    Ok((began.elapsed(), bytes))
}
