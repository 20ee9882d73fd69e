//! The channels as the broker's plain client reads them.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "pulsar")]
mod pulsar;

use std::error::Error as StdError;

use bytes::Bytes;
use msgstream::record::Position;

use crate::check::Wrong;
use crate::error::{Error, Result};
use crate::log::Log;

/// A channel's records, in order.
type Records = Vec<(Position, Bytes)>;
type Failure = Box<dyn StdError + Send + Sync>;

/// Compares what was read back with what the plain client reads, where there is one for the URL;
/// gives how many records that were.
pub(crate) async fn compare(url: &str, logs: &[Log], wrong: &mut Wrong) -> Result<Option<u64>> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let read: Result<Option<Vec<Records>>, Failure> = match scheme {
        #[cfg(feature = "kafka")]
        "kafka" => kafka::read(url, logs).await.map(Some),
        #[cfg(feature = "nats")]
        "nats" => nats::read(url, logs).await.map(Some),
        #[cfg(feature = "pulsar")]
        "pulsar" => pulsar::read(url, logs).await.map(Some),
        _ => Ok(None),
    };
    let Some(channels) = read.map_err(Error::Raw)? else { return Ok(None) };
    let mut records = 0;
    for (log, raw) in logs.iter().zip(&channels) {
        records += raw.len() as u64;
        let ours = log.entries.iter().map(|entry| (entry.position, &entry.payload));
        if !ours.eq(raw.iter().map(|(position, payload)| (*position, payload))) {
            let (ours, raw) = (log.entries.len(), raw.len());
            let what = format!("{ours} records were read, {raw} by the plain client");
            wrong.add(format!("channel {}: {what}, or they differ", log.channel));
        }
    }
    Ok(Some(records))
}

/// The servers of a URL, with commas between them, and what names begin with.
#[cfg(any(feature = "kafka", feature = "nats"))]
fn servers_and_prefix(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}
