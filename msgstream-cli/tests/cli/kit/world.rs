//! A world for one test: logs in a folder, written with the library.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use msgstream::checkpoint::FileStore;
use msgstream::record::{Meta, Origin, Position, Record, Stamp};
use msgstream::transport::{Transport, TransportExt as _};
use msgstream::{Consumer, MsgType, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::{run, url};

/// A folder with logs, and the time at which the test began.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) broker: Arc<dyn Transport>,
    now: SystemTime,
}

impl World {
    pub(crate) async fn new(options: &str, channels: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/log{options}", url(folder.path()));
        let broker = msgstream::connect(&url).await.unwrap();
        for channel in channels {
            broker.create(channel).await.unwrap();
        }
        Self { folder, url, broker, now: SystemTime::now() }
    }

    pub(crate) fn ago(&self, seconds: u64) -> Timestamp {
        Timestamp::from_system_time(self.now - Duration::from_secs(seconds)).unwrap()
    }

    pub(crate) fn ahead(&self, seconds: u64) -> Timestamp {
        Timestamp::from_system_time(self.now + Duration::from_secs(seconds)).unwrap()
    }

    pub(crate) async fn write(&self, channel: &str, records: Vec<Record>) {
        let mut writer = self.broker.writer(channel).await.unwrap();
        for record in records {
            writer.ready().await.unwrap();
            assert!(writer.submit(vec![record]).await.rest.is_none());
        }
    }

    pub(crate) fn checkpoint(&self) -> String {
        self.folder.path().join("checkpoint").display().to_string()
    }

    /// Consumes a pack and commits it.
    pub(crate) async fn commit_one(&self, channels: &[&str]) {
        let store = FileStore::new(self.checkpoint());
        let builder = Consumer::builder(self.broker.clone()).channels(channels.iter().copied());
        let builder = builder.subscription("billing").store(store);
        let (mut packs, state) = builder.open_with(|| 0).await.unwrap();
        let pack = packs.next_pack().await.unwrap().unwrap();
        packs.commit(&pack, &state).await.unwrap();
    }

    /// Runs the doctor and returns its findings.
    #[track_caller]
    pub(crate) fn doctor(&self, args: &[&str], exit: i32) -> Vec<Value> {
        let (out, _) = run(&[&["doctor", &self.url, "--json"], args].concat(), exit);
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs the doctor, which must find these codes and no others, and returns the findings.
    #[track_caller]
    pub(crate) fn finds(&self, args: &[&str], wanted: &[(&str, &str)], exit: i32) -> Vec<Value> {
        let findings = self.doctor(args, exit);
        let found: Vec<_> = findings
            .iter()
            .map(|f| (f["code"].as_str().unwrap(), f["channel"].as_str().unwrap_or("-")))
            .collect();
        assert_eq!(found, wanted, "{findings:#?}");
        let (text, _) = run(&[&["doctor", &self.url], args].concat(), exit);
        for (code, _) in wanted {
            assert!(text.contains(code), "{text}");
        }
        findings
    }
}

pub(crate) fn tick(ts: Timestamp) -> Record {
    Record::new(Meta::new(MsgType::TIME_TICK, ts), "")
}

pub(crate) fn message(ts: Timestamp) -> Record {
    Record::new(Meta::new(MsgType(70_001), ts), "text")
}

pub(crate) fn stamped(mut record: Record, seq: u64) -> Record {
    let origin = Origin { producer: "shop-1".into(), epoch: Position::new(7) };
    record.meta.stamp = Some(Stamp { origin: origin.into(), seq });
    record
}
