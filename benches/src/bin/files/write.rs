//! Writing batches, each of which is durable before the next one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use msgstream_core::transport::{Transport, TransportExt as _};
use msgstream_file::{FileConfig, FileTransport};

use crate::{Effort, Measured, Result, records};

/// Measures batches of so many records beside a loop of `write` and `fdatasync` with as many bytes.
pub(crate) async fn measure(
    folder: &Path,
    effort: Effort,
    count: usize,
    payload: usize,
) -> Result<Measured> {
    let batches = (effort.written / (count * payload) as u64).clamp(8, 400);
    let mut pairs = Vec::new();
    for _ in 0..effort.pairs {
        let folder = tempfile::tempdir_in(folder)?;
        let files = FileTransport::open(FileConfig::new(folder.path())).await?;
        files.create("log").await?;
        let mut writer = files.writer("log").await?;
        let batch = records(count, payload);
        let began = Instant::now();
        for _ in 0..batches {
            writer.ready().await?;
            if let Some(rest) = writer.submit(batch.clone()).await.rest {
                return Err(rest.error.into());
            }
        }
        let ours = began.elapsed();
        writer.close().await?;
        files.close().await?;

        let bytes = length(&folder.path().join("log"))?;
        let part = vec![7; (bytes / batches) as usize];
        let path = folder.path().join("bare");
        let bare = tokio::task::spawn_blocking(move || {
            let file = File::create(path)?;
            let began = Instant::now();
            for number in 0..batches {
                file.write_all_at(&part, number * part.len() as u64)?;
                file.sync_data()?;
            }
            Ok::<_, std::io::Error>(began.elapsed())
        });
        let bare = bare.await??;
        let rate =
            |time: std::time::Duration| bytes as f64 / f64::from(1 << 20) / time.as_secs_f64();
        pairs.push((rate(ours), rate(bare)));
    }
    Ok(Measured::new(Some(0.9), &pairs))
}

/// Returns how many bytes of frames are in a channel's segments.
fn length(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
