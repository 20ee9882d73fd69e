//! The suite on each layer, in memory and in files: what a transport owes, it owes under a layer,
//! too.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Arguments, Harness, run_with};
use msgstream_core::transport::{
    Capabilities, Capability, Result, Transport, TransportError, TransportErrorKind as Kind,
};
use msgstream_file::{FileConfig, FileTransport, SyncPolicy};
use msgstream_layers::{Chunks, Encrypted, Faults, Key, KeyRing, Timeout};
use msgstream_mem::{MemConfig, MemTransport};

/// Without a limit to the payload the scenarios about it would have nothing to check.
const MAX_PAYLOAD: usize = 1 << 20;

type Layer = fn(Arc<dyn Transport>) -> Result<Arc<dyn Transport>>;

/// A layer over memory, or over files where there is a folder.
struct Layered {
    name: &'static str,
    layer: Layer,
    /// How much less a payload may have than underneath.
    overhead: usize,
    folder: Option<tempfile::TempDir>,
}

fn config(error: impl ToString) -> TransportError {
    TransportError::new("open", Kind::Config { reason: error.to_string() })
}

fn encrypted(inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>> {
    let key = Key::new("suite", &[7; Key::BYTES]).map_err(config)?;
    Ok(Arc::new(Encrypted::over(inner, KeyRing::new(key))))
}

fn timed(inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(Timeout::over(inner, Duration::from_secs(30))))
}

/// No faults, but everything passes through the layer, and takes a while.
fn slow(inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>> {
    let times = Duration::ZERO..Duration::from_millis(1);
    Ok(Arc::new(Faults::over(inner, 7).delays(times)))
}

/// The largest payload that is torn: with a part for each byte there are enough of them.
const MAX_TORN: usize = 20_000;

/// Splits all that is longer than one byte.
fn torn(inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(Chunks::over(inner).with_message_bytes(MAX_TORN).with_part_bytes(1)))
}

/// Splits what is large and sealed.
fn split(inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>> {
    encrypted(Arc::new(Chunks::over(inner).with_message_bytes(MAX_PAYLOAD).with_part_bytes(4_000)))
}

async fn files(folder: &Path, sync: SyncPolicy) -> Result<Arc<dyn Transport>> {
    let config = FileConfig::new(folder).with_max_payload(MAX_PAYLOAD).with_segment_bytes(64 << 10);
    let config = config.with_sync(sync);
    Ok(Arc::new(FileTransport::open(config).await?))
}

#[async_trait]
impl Harness for Layered {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let inner = match &self.folder {
            // A last part waits for the others, which takes long if each waits for the disk.
            Some(folder) if ["split", "torn"].contains(&self.name) => {
                files(folder.path(), SyncPolicy::Os).await?
            }
            Some(folder) => files(folder.path(), SyncPolicy::Commit).await?,
            None => {
                let config = MemConfig::default().with_max_payload(MAX_PAYLOAD);
                let name = format!("layers-{}", self.name);
                Arc::new(MemTransport::named_with(&name, config).map_err(self::config)?)
            }
        };
        (self.layer)(inner)
    }

    fn minimum(&self) -> Capabilities {
        let can = Capabilities::all().with_max_payload(MAX_PAYLOAD - self.overhead);
        if self.folder.is_some() { can } else { can.without(Capability::Persistent) }
    }

    // A record may be many parts.
    fn deadline(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", &"x".repeat(256)].map(str::to_owned).into()
    }
}

fn main() -> ExitCode {
    let layers: [(&str, Layer, usize); 5] = [
        ("encrypted", encrypted, 40),
        ("timed", timed, 0),
        ("slow", slow, 0),
        ("split", split, 40),
        ("torn", torn, MAX_PAYLOAD - MAX_TORN),
    ];
    let mut failed = false;
    for (name, layer, overhead) in layers {
        for in_files in [false, true] {
            let mut arguments = Arguments::from_args();
            if name == "torn" {
                // Millions of parts take too long.
                let long = [
                    "one_that_is_passed_is_told",
                    "what_is_before_goes_in_the_end",
                    "a_fast_channel_waits_for_a_slow_one",
                ];
                arguments.skip.extend(long.map(str::to_owned));
            }
            let folder = match in_files.then(tempfile::tempdir).transpose() {
                Ok(folder) => folder,
                Err(error) => {
                    eprintln!("no folder for the files: {error}");
                    return ExitCode::FAILURE;
                }
            };
            println!("{name}, {}", if in_files { "in files" } else { "in memory" });
            let layered = Arc::new(Layered { name, layer, overhead, folder });
            match run_with(layered, arguments) {
                Ok(conclusion) => failed |= conclusion.has_failed(),
                Err(failure) => {
                    eprintln!("the transport can't be opened: {failure}");
                    failed = true;
                }
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
