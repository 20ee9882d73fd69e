//! What in the server's settings may lose records.

use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::{Risk, RiskKind, TransportErrorKind};
use serde::Deserialize;

use crate::error::unreadable_answer;
use crate::stream_info::StreamInfo;

/// What the monitoring port reports about JetStream.
#[derive(Debug, Deserialize)]
pub(crate) struct JetStream {
    #[serde(default)]
    config: JetStreamConfig,
}

#[derive(Debug, Default, Deserialize)]
struct JetStreamConfig {
    /// In nanoseconds.
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
}

/// Asks the monitoring port of a server, such as `http://localhost:8222`.
pub(crate) async fn jetstream(monitor: &str, timeout: Duration) -> Result<JetStream, Failure> {
    let url = format!("{}/jsz", monitor.trim_end_matches('/'));
    let asking = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder().timeout_global(Some(timeout)).build();
        ureq::Agent::from(agent).get(&url).call()?.body_mut().read_to_string()
    });
    let unreachable = |reason: String| TransportErrorKind::Unavailable { reason };
    let text = match asking.await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            let what = "the monitoring port (option `monitor`) doesn't answer".to_owned();
            return Err(Failure::new(unreachable(what), error));
        }
        Err(ended) => {
            let what = "asking the monitoring port (option `monitor`) was cut short".to_owned();
            return Err(Failure::new(unreachable(what), ended));
        }
    };
    serde_json::from_str(&text).map_err(unreadable_answer)
}

/// Returns the risks of a stream.
pub(crate) fn risks(name: &str, stream: &StreamInfo, server: Option<&JetStream>) -> Vec<Risk> {
    let mut risks = Vec::new();
    let replicas = stream.replicas();
    if let Some(cluster) = stream.cluster().filter(|_| replicas < 2) {
        let what = format!(
            "the stream has one copy, on one server of the cluster `{cluster}`; what that server loses is lost"
        );
        let remedy = format!("keep three copies, as with `nats stream edit {name} --replicas 3`");
        risks.push(Risk::new(RiskKind::Replication, what, remedy));
    }
    if stream.is_in_memory() {
        let what = "the stream is kept in memory, so its records go with the server";
        let remedy = "create it with `storage=file`, which is the default";
        risks.push(Risk::new(RiskKind::Sync, what, remedy));
        return risks;
    }
    let config = server.map(|server| &server.config);
    if let Some(config) = config.filter(|config| !config.sync_always && replicas < 2) {
        let interval = Duration::from_nanos(config.sync_interval).as_secs();
        let what = format!(
            "the server syncs what it acknowledged every {interval} s, and a power cut takes what it didn't"
        );
        let remedy = "set `sync_interval: always`, which is slower, or keep three copies on machines that \
                      don't fail together";
        risks.push(Risk::new(RiskKind::Sync, what, remedy));
    }
    risks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn kinds(
        replicas: usize,
        storage: &str,
        cluster: &Value,
        server: Option<&Value>,
    ) -> Vec<RiskKind> {
        let config = json!({ "num_replicas": replicas, "storage": storage });
        let state = json!({ "messages": 0, "first_seq": 0, "last_seq": 0 });
        let created = "2026-01-02T03:04:05Z";
        let answer = json!({
            "config": config, "created": created, "state": state, "cluster": cluster,
        });
        let stream: StreamInfo = serde_json::from_value(answer).unwrap();
        let server = server.map(|answer| serde_json::from_value(answer.clone()).unwrap());
        risks("orders", &stream, server.as_ref()).into_iter().map(|risk| risk.kind).collect()
    }

    #[test]
    fn one_copy_is_a_risk_in_a_cluster_alone() {
        let (alone, cluster) = (json!({ "leader": "a" }), json!({ "name": "shop", "leader": "a" }));
        assert_eq!(kinds(1, "file", &Value::Null, None), []);
        assert_eq!(kinds(1, "file", &alone, None), []);
        assert_eq!(kinds(1, "file", &cluster, None), [RiskKind::Replication]);
        assert_eq!(kinds(3, "file", &cluster, None), []);
    }

    #[test]
    fn what_is_synced_late_is_a_risk_without_copies() {
        let late = json!({ "config": { "sync_interval": 120_000_000_000_u64 } });
        let always =
            json!({ "config": { "sync_interval": 120_000_000_000_u64, "sync_always": true } });
        assert_eq!(kinds(1, "file", &Value::Null, Some(&late)), [RiskKind::Sync]);
        assert_eq!(kinds(1, "file", &Value::Null, Some(&always)), []);
        assert_eq!(kinds(3, "file", &Value::Null, Some(&late)), []);
        assert_eq!(kinds(1, "memory", &Value::Null, Some(&always)), [RiskKind::Sync]);
    }
}
