//! What a broker's settings lead to. That each broker's settings are read right, the tests of its
//! transport show.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::Parser as _;
use msgstream::transport::{Result, Risk, RiskKind};
use msgstream::{Producer, Timestamp};
use msgstream_core::delegate;

use super::*;

/// A broker whose settings are as they shouldn't be.
#[derive(Debug)]
struct Unwise {
    broker: Arc<dyn Transport>,
    kind: RiskKind,
}

#[async_trait]
impl Transport for Unwise {
    delegate!(self => self.broker, Transport {
        capabilities, create_with, delete, trim, list, describe, writer, reader_with, subscription,
        unsubscribe, subscriptions, encode_position, decode_position, close,
    });

    async fn risks(&self, _channel: &str) -> Result<Vec<Risk>> {
        Ok(vec![Risk::new(self.kind, "a setting is unwise", "set it to another value")])
    }
}

#[tokio::test]
async fn each_kind_of_setting_has_its_code_and_exit_code() {
    let broker = msgstream::connect("mem://").await.unwrap();
    let producer = Producer::builder(broker.clone()).channels(["orders"]).create_missing();
    let now = Timestamp::from_system_time(SystemTime::now()).unwrap();
    producer.open().await.unwrap().tick(now).await.unwrap();
    let args = DoctorArgs::parse_from(["doctor", "mem://"]);
    assert!(diagnose(&*broker, &args).await.unwrap().1.is_empty());
    for (kind, code, exit) in [
        (RiskKind::Replication, "broker-replication", ExitCode::SUCCESS),
        (RiskKind::Sync, "broker-sync", ExitCode::SUCCESS),
        (RiskKind::Retention, "broker-retention", ExitCode::SUCCESS),
        (RiskKind::Deletion, "broker-deletion", ExitCode::SUCCESS),
        (RiskKind::Transaction, "open-transaction", ExitCode::from(1)),
    ] {
        let unwise = Unwise { broker: broker.clone(), kind };
        let (_, findings) = diagnose(&unwise, &args).await.unwrap();
        let codes: Vec<_> = findings.iter().map(|finding| finding.code.name()).collect();
        assert_eq!(codes, [code]);
        let exited =
            verdict(&findings).map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS);
        assert_eq!(exited, exit, "{code}");
    }
}
