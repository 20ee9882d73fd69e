//! By `async-nats`.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, Context};
use futures::TryStreamExt;
use msgstream::record::Position;
use url::Url;

use super::{Failure, Records};
use crate::log::Log;

/// The records of each channel.
pub(super) async fn read(url: &str, logs: &[Log]) -> Result<Vec<Records>, Failure> {
    let mut server = Url::parse(url)?;
    let prefix = server.path().trim_start_matches('/').to_owned();
    server.set_path("");
    server.set_query(None);
    let context = jetstream::new(async_nats::connect(server.as_str()).await?);
    let mut channels = Vec::new();
    for log in logs {
        channels.push(records_of(&context, format!("{prefix}{}", log.channel)).await?);
    }
    Ok(channels)
}

async fn records_of(context: &Context, stream: String) -> Result<Records, Failure> {
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
