//! What in the cluster's settings may lose records, and what keeps readers waiting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use msgstream_core::adapter::Failure;
use msgstream_core::transport::{Risk, RiskKind};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;

use crate::calls::At;
use crate::client::Handle;
use crate::error::{failed, of_code};
use crate::partition::{Name, Partition};
use crate::prefetch::Consumer;

/// A transaction that is open for longer than this hangs. Producers end theirs within a minute, unless
/// `transaction.timeout.ms` says otherwise.
const LONGEST: Duration = Duration::from_secs(60);

/// How many servers there are, and how many of them have a partition.
#[derive(Clone, Copy, Debug)]
struct Copies {
    nodes: usize,
    replicas: usize,
}

impl Handle {
    /// Returns the risks of a channel.
    pub(crate) async fn risks(&self, channel: &Name) -> Result<Vec<Risk>, Failure> {
        let partition = self.find(channel).await?;
        let topic = &channel.topic;
        let copies = self.copies(&partition).await?;
        let [least, policy] =
            self.settings(topic, ["min.insync.replicas", "cleanup.policy"]).await?;
        let replication = replication(topic, copies, least.and_then(|text| text.parse().ok()));
        let compaction = policy.filter(|policy| is_compacted(policy)).map(|_| compaction(topic));
        let waiting = self.waiting(&partition).await?;
        Ok(replication.into_iter().chain(compaction).chain(waiting.map(transaction)).collect())
    }

    async fn copies(&self, partition: &Partition) -> Result<Copies, Failure> {
        self.ask(|look| {
            let Partition { topic, number } = partition.clone();
            self.call(At::AnyNode, look, move |consumer: &Consumer, left| {
                let metadata = consumer.fetch_metadata(Some(&topic), left);
                let metadata = metadata.map_err(|error| failed(&error, left))?;
                let partitions =
                    metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
                let partition = partitions.iter().find(|one| one.id() == number);
                // A node may not know it yet.
                let partition =
                    partition.ok_or_else(|| of_code(RDKafkaErrorCode::LeaderNotAvailable, left))?;
                Ok(Copies { nodes: metadata.brokers().len(), replicas: partition.replicas().len() })
            })
        })
        .await
    }

    /// Returns how many records wait for a transaction that is open for long; `None` if there is none.
    async fn waiting(&self, partition: &Partition) -> Result<Option<u64>, Failure> {
        // Readers get records up to here.
        let stable = self.bounds(partition).await?.high;
        let (partition, timeout) = (partition.clone(), self.timeout());
        let mut config = self.config.questions();
        // Without a group the client reads nothing; it never joins this one, and stores nothing in it.
        config.set("group.id", "msgstream").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_uncommitted");
        config.set_log_level(RDKafkaLogLevel::Emerg);
        self.calls
            .call(At::AnyNode, move || {
                let failure = |error| failed(&error, timeout);
                let all: BaseConsumer = config.create().map_err(failure)?;
                let (_, high) = all
                    .fetch_watermarks(&partition.topic, partition.number, timeout)
                    .map_err(failure)?;
                let waiting = u64::try_from(high).unwrap_or_default().saturating_sub(stable);
                if waiting == 0 {
                    return Ok(None);
                }
                // The first one that waits is as old as the transaction.
                all.assign(&partition.alone_at(stable).map_err(failure)?).map_err(failure)?;
                let Some(first) = all.poll(timeout) else { return Ok(None) };
                let stored = first.map_err(failure)?.timestamp().to_millis().unwrap_or_default();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let age = now.saturating_sub(Duration::from_millis(stored.max(0).unsigned_abs()));
                Ok((age > LONGEST).then_some(waiting))
            })
            .await
    }
}

fn replication(topic: &str, copies: Copies, least: Option<usize>) -> Option<Risk> {
    let Copies { nodes, replicas } = copies;
    let (what, remedy) = match least {
        _ if nodes < 2 => return None,
        _ if replicas < 2 => (
            format!("one of the {nodes} servers has the topic, and what it loses is lost"),
            "reassign the partition to three servers, as with `kafka-reassign-partitions.sh`"
                .to_owned(),
        ),
        Some(0 | 1) => (
            "records are acknowledged though one server alone has them: `min.insync.replicas` is 1"
                .to_owned(),
            format!(
                "set it to 2, as with `kafka-configs.sh --alter --topic {topic} --add-config min.insync.replicas=2`"
            ),
        ),
        _ => return None,
    };
    Some(Risk::new(RiskKind::Replication, what, remedy))
}

/// Returns whether a topic with the cleanup policy keeps the last record of each key alone.
pub(crate) fn is_compacted(policy: &str) -> bool {
    policy.split(',').any(|one| one.trim() == "compact")
}

fn compaction(topic: &str) -> Risk {
    let what = "the topic is compacted: records are removed once others have their keys, and neither time ticks nor sessions can be written";
    let remedy = format!(
        "unless another program needs that, `kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=delete`"
    );
    Risk::new(RiskKind::Retention, what, remedy)
}

fn transaction(waiting: u64) -> Risk {
    let what = format!(
        "a transaction has been open for more than a minute, and readers don't get the {waiting} offsets from its first record on"
    );
    let remedy =
        "end its producer, or abort it, as with `kafka-transactions.sh find-hanging` and `abort`";
    Risk::new(RiskKind::Transaction, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_matter_where_there_are_several_servers() {
        let is_risk = |nodes, replicas, least| {
            replication("orders", Copies { nodes, replicas }, least).is_some()
        };
        assert!(!is_risk(1, 1, Some(1)));
        assert!(is_risk(3, 1, Some(1)));
        assert!(is_risk(3, 3, Some(1)));
        assert!(!is_risk(3, 3, Some(2)));
        assert!(!is_risk(3, 3, None), "what isn't known is no risk");
    }
}
