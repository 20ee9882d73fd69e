//! The channels as the broker's plain client reads them.

use crate::check::Wrong;
use crate::error::Result;
use crate::log::Log;

/// Compares what was read back with what the plain client reads, where there is one for the URL;
/// gives how many records that were.
#[cfg(not(feature = "nats"))]
pub(crate) async fn compare(_: &str, _: &[Log], _: &mut Wrong) -> Result<Option<u64>> {
    Ok(None)
}

#[cfg(feature = "nats")]
pub(crate) use self::nats::compare;

#[cfg(feature = "nats")]
mod nats {
    use std::error::Error as StdError;
    use std::time::Duration;

    use async_nats::jetstream::consumer::{AckPolicy, pull};
    use async_nats::jetstream::{self, Context};
    use bytes::Bytes;
    use futures::TryStreamExt;
    use url::Url;

    use super::{Log, Result, Wrong};
    use crate::error::Error;

    /// As the one without NATS.
    pub(crate) async fn compare(url: &str, logs: &[Log], wrong: &mut Wrong) -> Result<Option<u64>> {
        if !url.starts_with("nats://") {
            return Ok(None);
        }
        let mut records = 0;
        let mut read = async || {
            let mut server = Url::parse(url)?;
            let prefix = server.path().trim_start_matches('/').to_owned();
            server.set_path("");
            server.set_query(None);
            let context = jetstream::new(async_nats::connect(server.as_str()).await?);
            for log in logs {
                let raw = records_of(&context, format!("{prefix}{}", log.channel)).await?;
                records += raw.len() as u64;
                let ours = log.entries.iter().map(|e| (e.position.offset(), &e.payload));
                if !ours.eq(raw.iter().map(|(sequence, payload)| (*sequence, payload))) {
                    let (ours, raw) = (log.entries.len(), raw.len());
                    let what = format!("{ours} records were read, {raw} by the plain client");
                    wrong.add(format!("channel {}: {what}, or they differ", log.channel));
                }
            }
            Ok(())
        };
        read().await.map_err(Error::Raw)?;
        Ok(Some(records))
    }

    async fn records_of(
        context: &Context,
        stream: String,
    ) -> Result<Vec<(u64, Bytes)>, Box<dyn StdError + Send + Sync>> {
        let mut stream = context.get_stream(stream).await?;
        let last = stream.info().await?.state.last_sequence;
        let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
        let consumer = stream.create_consumer(config).await?;
        let mut records = Vec::new();
        while records.last().map_or(0, |(sequence, _)| *sequence) < last {
            let fetch = consumer.fetch().max_messages(1000).expires(Duration::from_secs(5));
            let mut messages = fetch.messages().await?;
            let before = records.len();
            while let Some(message) = messages.try_next().await? {
                let sequence = message.info()?.stream_sequence;
                records.push((sequence, message.message.payload));
            }
            if records.len() == before {
                return Err(format!("nothing came of {last} records after {before}").into());
            }
        }
        Ok(records)
    }
}
