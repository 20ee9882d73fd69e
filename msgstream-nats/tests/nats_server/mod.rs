//! A NATS server of a test's own.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, unused_imports, reason = "each test uses some of this")]

mod cluster;
mod logs;

use std::sync::Arc;

use msgstream_core::registry::{ConnectError, Registry};
use msgstream_core::transport::Transport;
use tempfile::TempDir;

pub(crate) use self::cluster::{Cluster, info};
pub(crate) use self::logs::Logs;
use crate::brokers;

/// It ends with the test.
pub(crate) struct Server {
    pub(crate) state: TempDir,
    pub(crate) url: String,
}

impl Server {
    /// With the configuration that is in `brokers/nats`.
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// With JetStream and what that configuration says.
    pub(crate) async fn configured(config: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("nats")).unwrap();
        let jetstream = "jetstream { max_memory_store: 64MB, max_file_store: 1GB }";
        let config = format!("{jetstream}\n{config}\n");
        std::fs::write(state.path().join("nats/server.conf"), config).unwrap();
        Self::start_in(state).await
    }

    async fn start_in(state: TempDir) -> Self {
        let printed = brokers::run("up", "nats", Some(state.path())).await.unwrap();
        let mut lines = printed.lines();
        let url = lines.find_map(|line| line.strip_prefix("export MSGSTREAM_NATS_URL=")).unwrap();
        let url = url.to_owned();
        Self { state, url }
    }

    pub(crate) async fn run(&self, script: &str) {
        brokers::run(script, "nats", Some(self.state.path())).await.unwrap();
    }

    /// A URL with a user, a path or options.
    pub(crate) fn url_as(&self, user: &str, rest: &str) -> String {
        format!("{}{rest}", self.url.replace("//", &format!("//{user}")))
    }

    pub(crate) async fn open_as(
        &self,
        user: &str,
        rest: &str,
    ) -> Result<Arc<dyn Transport>, ConnectError> {
        open(&self.url_as(user, rest)).await
    }

    pub(crate) async fn open(&self) -> Arc<dyn Transport> {
        self.open_as("", "").await.unwrap()
    }
}

pub(crate) async fn open(url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    let mut registry = Registry::new();
    msgstream_nats::register(&mut registry);
    registry.connect(url).await
}

impl Drop for Server {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/down");
        let mut down = std::process::Command::new(script);
        down.arg("nats").env("MSGSTREAM_BROKERS_STATE", self.state.path());
        // A test that failed has something else to say.
        drop(down.status());
    }
}
