//! Brokers of tests' own.

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::brokers;

/// One at a time: two that start at once are slow.
static TURN: Mutex<()> = Mutex::const_new(());

/// A broker of a test's own, which ends with it.
pub(crate) struct Broker {
    state: TempDir,
    pub(crate) url: String,
    _turn: MutexGuard<'static, ()>,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// One that has [`tls_url`](Self::tls_url) too.
    pub(crate) async fn start_with_tls() -> Self {
        Self::start_marked("tls").await
    }

    /// One with the settings that a broker has by itself.
    pub(crate) async fn start_with_defaults() -> Self {
        Self::start_marked("defaults").await
    }

    /// A file in the folder of its state says what is special.
    async fn start_marked(mark: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("pulsar")).unwrap();
        std::fs::write(state.path().join("pulsar").join(mark), "").unwrap();
        Self::start_in(state).await
    }

    async fn start_in(state: TempDir) -> Self {
        let turn = TURN.lock().await;
        let printed = brokers::run("up", "pulsar", Some(state.path())).await.unwrap();
        let mut lines = printed.lines();
        let url =
            lines.find_map(|line| line.strip_prefix("export MSGSTREAM_PULSAR_URL='")).unwrap();
        Self { state, url: url.trim_end_matches('\'').to_owned(), _turn: turn }
    }

    pub(crate) async fn run(&self, script: &str) {
        brokers::run(script, "pulsar", Some(self.state.path())).await.unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.state.path().join("pulsar/pid")).unwrap();
        let sent = std::process::Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(sent.success());
    }

    /// The same broker by TLS. Its certificate is in `brokers/pulsar/tls.crt`.
    pub(crate) fn tls_url(&self) -> String {
        let port = std::fs::read_to_string(self.state.path().join("pulsar/port")).unwrap();
        let port: u16 = port.trim().parse().unwrap();
        let (broker, admin) = (port + 3, port + 4);
        format!("pulsar+ssl://127.0.0.1:{broker}/public/default?admin=https://127.0.0.1:{admin}")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/down");
        let mut down = std::process::Command::new(script);
        down.arg("pulsar").env("MSGSTREAM_BROKERS_STATE", self.state.path());
        // A test that failed has something else to say.
        drop(down.status());
    }
}
