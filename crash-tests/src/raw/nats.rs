//! By `async-nats`.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, Context};
use futures::TryStreamExt;
use msgstream::record::Position;
use tokio::time::sleep;

use super::{Failure, Records, servers_and_prefix};
use crate::log::Log;

/// How long a cluster may take to settle, and how long to wait before another look.
const LONG: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// The records of each channel.
pub(super) async fn read(url: &str, logs: &[Log]) -> Result<Vec<Records>, Failure> {
    let (servers, prefix) = servers_and_prefix(url);
    let servers: Vec<_> = servers.split(',').collect();
    let context = jetstream::new(async_nats::connect(servers).await?);
    let mut channels = Vec::new();
    for log in logs {
        channels.push(in_time(&context, &format!("{prefix}{}", log.channel)).await?);
    }
    Ok(channels)
}

/// The records of a stream, which may have no leader yet.
async fn in_time(context: &Context, stream: &str) -> Result<Records, Failure> {
    let began = Instant::now();
    loop {
        match records_of(context, stream).await {
            Err(_) if began.elapsed() < LONG => sleep(PAUSE).await,
            read => return read,
        }
    }
}

async fn records_of(context: &Context, stream: &str) -> Result<Records, Failure> {
    let mut stream = context.get_stream(stream).await?;
    let last = stream.info().await?.state.last_sequence;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut records = Records::new();
    while records.last().map_or(0, |(position, _)| position.offset()) < last {
        let fetch = consumer.fetch().max_messages(1000).expires(Duration::from_secs(5));
        let mut messages = fetch.messages().await?;
        let before = records.len();
        while let Some(message) = messages.try_next().await? {
            let sequence = message.info()?.stream_sequence;
            records.push((Position::new(sequence), message.message.payload));
        }
        if records.len() == before {
            return Err(format!("nothing came of {last} records after {before}").into());
        }
    }
    Ok(records)
}
