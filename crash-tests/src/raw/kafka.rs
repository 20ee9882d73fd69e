//! By `rdkafka`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use msgstream::record::Position;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::{Failure, Records, servers_and_prefix};
use crate::log::Log;

/// The longest wait for anything.
const LONG: Duration = Duration::from_secs(10);

/// The records of each channel.
pub(super) async fn read(url: &str, logs: &[Log]) -> Result<Vec<Records>, Failure> {
    let (servers, prefix) = servers_and_prefix(url);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "msgstream-crash");
    let topics: Vec<_> = logs.iter().map(|log| format!("{prefix}{}", log.channel)).collect();
    let work = move || {
        let consumer: BaseConsumer = config.create()?;
        topics.iter().map(|topic| records_of(&consumer, topic)).collect()
    };
    spawn_blocking(work).await?
}

fn records_of(consumer: &BaseConsumer, topic: &str) -> Result<Records, Failure> {
    let (low, high) = consumer.fetch_watermarks(topic, 0, LONG)?;
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, 0, Offset::Offset(low))?;
    consumer.assign(&start)?;
    let mut records = Records::new();
    let (mut next, mut deadline) = (low, Instant::now() + LONG);
    while next < high {
        // It returns early after events that aren't messages.
        let Some(message) = consumer.poll(LONG) else {
            if Instant::now() >= deadline {
                return Err(format!("nothing came of {topic} from {next} to {high}").into());
            }
            continue;
        };
        let message = message?;
        let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        records.push((Position::new(u64::try_from(message.offset())?), payload));
        (next, deadline) = (message.offset() + 1, Instant::now() + LONG);
    }
    Ok(records)
}
