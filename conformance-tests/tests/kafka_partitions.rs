//! The suite on single partitions of topics of a Kafka server that have several:
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test kafka_partitions
//! brokers/down kafka
//! ```
//!
//! Without arguments it leaves out what is above the transport, what is about single records, and what takes the broker
//! to its limits: to all of these a partition is a log like any other. `-- streams` runs the first. The suite on whole
//! topics stops and kills the broker.

mod crc32c;
mod minimum;
mod plain_kafka;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{
    Arguments, BadKind, BrokerError, Harness, PlainClient, PlainRecord, run_with,
};
use msgstream_core::delegate;
use msgstream_core::record::Position;
use msgstream_core::registry::Registry;
use msgstream_core::transport::TransportErrorKind as Kind;
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, ReaderOptions, Result, Risk,
    Subscription, Transport, TransportError,
};

use crate::plain_kafka::PlainKafka;

const URL: &str = "MSGSTREAM_KAFKA_URL";

const PARTITIONS: usize = 2;

/// The scenarios that are left out.
const LEFT_OUT: [&str; 5] = ["streams::", "record::", "check::", "capabilities::", "concurrency::"];

/// The partition that stands for a topic: of some the first, of others the second.
fn of(topic: &str) -> String {
    let sum: usize = topic.bytes().map(usize::from).sum();
    format!("{topic}:{}", sum % PARTITIONS)
}

/// A transport whose channels are one partition each of the topics of their names. What is created
/// and deleted are the topics.
#[derive(Debug)]
struct OnPartitions(Arc<dyn Transport>);

#[async_trait]
impl Transport for OnPartitions {
    delegate!(self => self.0, Transport {
        capabilities, create_with, delete, encode_position, decode_position, close,
    });

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        self.0.trim(&of(channel), before).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let all = self.0.list(prefix).await?;
        let topics = all.iter().filter_map(|channel| {
            let (topic, _) = channel.split_once(':')?;
            (*channel == of(topic)).then(|| topic.to_owned())
        });
        let mut topics: Vec<_> = topics.collect();
        topics.sort_unstable();
        Ok(topics)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        self.0.describe(&of(channel)).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        self.0.writer(&of(channel)).await
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        self.0.reader_with(&of(channel), options).await
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        self.0.subscription(&of(channel), name).await
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        self.0.unsubscribe(&of(channel), name).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        self.0.subscriptions(&of(channel)).await
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.0.risks(&of(channel)).await
    }
}

struct Partitions {
    registry: Registry,
    url: String,
    plain: PlainKafka,
}

#[async_trait]
impl Harness for Partitions {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        let opened = self.registry.connect(&self.url).await.map_err(|error| {
            TransportError::new("open", Kind::Config { reason: error.to_string() })
        });
        Ok(Arc::new(OnPartitions(opened?)))
    }

    fn minimum(&self) -> Capabilities {
        minimum::kafka()
    }

    fn invalid_names(&self) -> Vec<String> {
        ["", "a\nb", "a\0b", "a b", "a/b", "a:", "a:0", "a:01", ":0", "..", "__msgstream"]
            .map(str::to_owned)
            .into()
    }

    fn plain_client(&self) -> Option<&dyn PlainClient> {
        Some(self)
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(240)
    }
}

#[async_trait]
impl PlainClient for Partitions {
    fn bad_kinds(&self) -> &[BadKind] {
        self.plain.bad_kinds()
    }

    async fn write(&self, channel: &str, records: &[PlainRecord]) -> Result<(), BrokerError> {
        self.plain.write(&of(channel), records).await
    }
}

fn main() -> ExitCode {
    let Ok(url) = std::env::var(URL) else {
        eprintln!(
            "the variable {URL} is not set, and there is no suite without a server: run\n\n    eval \"$(brokers/up kafka)\"\n"
        );
        return ExitCode::FAILURE;
    };
    let mut registry = Registry::new();
    msgstream_kafka::register(&mut registry);
    let plain = PlainKafka { hosts: vec![url.trim_start_matches("kafka://").to_owned()] };
    // A hundred readers that are opened at once have that time together.
    let url = format!("{url}?timeout_ms=60000&partitions={PARTITIONS}");
    let mut arguments = Arguments::from_args();
    if arguments.filter.is_none() && arguments.skip.is_empty() {
        arguments.skip = LEFT_OUT.map(str::to_owned).into();
    }
    match run_with(Arc::new(Partitions { registry, url, plain }), arguments) {
        Ok(conclusion) => conclusion.exit_code(),
        Err(failure) => {
            eprintln!("the transport can't be opened: {failure}");
            ExitCode::FAILURE
        }
    }
}
