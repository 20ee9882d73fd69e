//! Messages of 64 MiB, and writers that die between the parts of a message.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::transport::{Transport, TransportExt as _};
use msgstream_file::{FileConfig, FileTransport};
use msgstream_layers::{Chunks, Faults, Timeout};
use msgstream_mem::{MemConfig, MemTransport};

use super::scans::{receive, send};

async fn files(folder: &std::path::Path) -> Arc<dyn Transport> {
    let config = FileConfig::new(folder).with_max_payload(1 << 20);
    Arc::new(FileTransport::open(config).await.unwrap())
}

#[tokio::test]
async fn messages_of_64_mib_pass_a_limit_of_1_mib() {
    const LENS: [usize; 4] = [100, 64 << 20, 1 << 20, (64 << 20) - 1];
    let folder = tempfile::tempdir().unwrap();
    let mem = MemTransport::new(MemConfig::default().with_max_payload(1 << 20));
    let brokers: [Arc<dyn Transport>; 2] = [Arc::new(mem), files(folder.path()).await];
    for broker in brokers {
        let chunks = Arc::new(Chunks::over(broker));
        send(chunks.clone(), "scans", &LENS).await;
        assert_eq!(chunks.counts().split, 2);
        // One message fits, and no two.
        receive(chunks.clone(), "scans", &LENS, 100 << 20).await;
        assert_eq!(chunks.counts().abandoned, 0);
    }
}

// Batches of a writer fail in part or in doubt, so between any two parts.
#[tokio::test(start_paused = true)]
async fn a_session_sends_again_what_failed_between_parts() {
    let mut abandoned = 0;
    for seed in 0..10 {
        let mem = Arc::new(MemTransport::new(MemConfig::default().with_max_payload(1_000)));
        let faults = Arc::new(
            Faults::over(mem, seed)
                .unknown(0.02)
                .not_stored(0.02)
                .unavailable(0.02)
                .delays(Duration::ZERO..Duration::from_millis(20)),
        );
        let timed = Arc::new(Timeout::over(faults.clone(), Duration::from_secs(5)));
        let chunks = Arc::new(Chunks::over(timed));
        let lens: Vec<_> = (0..30).map(|n| n * 997 + 8).collect();
        send(chunks.clone(), "scans", &lens).await;
        assert!(faults.counts().unknown + faults.counts().not_stored > 0);
        receive(chunks.clone(), "scans", &lens, 1 << 20).await;
        abandoned += chunks.counts().abandoned;
    }
    assert!(abandoned > 0, "no writer died between parts");
}

const FOLDER: &str = "MSGSTREAM_TEST_FOLDER";
const PARTS: &str = "MSGSTREAM_TEST_PARTS";
const LENS: [usize; 3] = [100, 300_000, 300_000];

async fn small_parts(folder: &std::path::Path) -> (Arc<dyn Transport>, Arc<Chunks>) {
    let files = files(folder).await;
    (files.clone(), Arc::new(Chunks::over(files).with_part_bytes(1_000)))
}

/// What the process does that is killed.
#[tokio::test]
#[ignore = "it is run by the next test"]
async fn a_process_that_dies() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let parts: u64 = std::env::var(PARTS).unwrap().parse().unwrap();
    let (files, chunks) = small_parts(folder.as_ref()).await;
    chunks.create("scans").await.unwrap();
    // The log's own count says when the parts are there.
    let watching = async {
        while files.describe("scans").await.unwrap().records.is_none_or(|there| there < parts) {
            tokio::task::yield_now().await;
        }
        std::process::abort();
    };
    tokio::join!(watching, send(chunks, "scans", &LENS));
}

#[tokio::test]
async fn a_process_that_is_killed_between_parts_loses_and_repeats_nothing() {
    for parts in [1, 4, 100, 250, 400, 550] {
        let folder = tempfile::tempdir().unwrap();
        let dying = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "large::a_process_that_dies", "--ignored"])
            .envs([(FOLDER, folder.path().to_str().unwrap()), (PARTS, &parts.to_string())])
            .output()
            .unwrap();
        assert!(!dying.status.success(), "{dying:?}");
        let (_, chunks) = small_parts(folder.path()).await;
        send(chunks.clone(), "scans", &LENS).await;
        receive(chunks, "scans", &LENS, 1 << 20).await;
    }
}
