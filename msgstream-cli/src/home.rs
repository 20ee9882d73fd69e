//! Home channels: what sessions write there decides which one is the newest, and is no part of a stream.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use msgstream::record::Record;
use msgstream::transport::{Limit, Start, Transport, TransportError, TransportExt as _};

use crate::copy::PLACE;
use crate::error::{Error, Result};
use crate::judge::{begins_epoch, is_control, producer_of};

/// So many records say what a channel is: a session's program writes to its channels soon.
const ENOUGH: usize = 10_000;
/// How many are read at a time: mostly the first ones say it.
const AT_ONCE: usize = 100;
/// How long a read waits at the end of a channel.
const WAIT: Duration = Duration::from_millis(100);
/// How many channels are looked at at a time.
const CHANNELS: usize = 16;

/// Returns all channels but the home channels.
///
/// Fails if there are none.
pub(crate) async fn all_but_homes(broker: &dyn Transport) -> Result<Vec<String>> {
    let all = broker.list("").await?;
    let homes = all.len();
    let look = async |name: String| match is_home(broker, &name).await {
        Ok(home) => Ok((!home).then_some(name)),
        Err(error) if error.is_temporary() => Err(error),
        // What can't be read is shown with the reason.
        Err(_) => Ok(Some(name)),
    };
    let looked: Vec<_> = stream::iter(all).map(look).buffered(CHANNELS).collect().await;
    let found: Result<Vec<_>, _> = looked.into_iter().filter_map(Result::transpose).collect();
    match found? {
        found if found.is_empty() => Err(Error::NoChannels { homes }),
        found => Ok(found),
    }
}

/// Returns whether a channel is a home channel and nothing else: epochs begin there, and beside what
/// sessions write of themselves it has no records but the places of a copy.
pub(crate) async fn is_home(broker: &dyn Transport, channel: &str) -> Result<bool, TransportError> {
    let info = broker.describe(channel).await?;
    if info.first.is_none() {
        return Ok(false);
    }
    let mut reader = broker.reader(channel, Start::Earliest).await?;
    let limit = Limit::default().with_records(AT_ONCE).with_wait(WAIT);
    let (mut home, mut read) = (false, 0);
    loop {
        let batch = reader.read(limit).await?;
        if !batch.records.iter().all(may_be_at_home) {
            return Ok(false);
        }
        home |= batch.records.iter().any(|record| is_of_home(channel, record));
        read += batch.records.len();
        if read >= ENOUGH || batch.caught_up || batch.next >= info.end {
            return Ok(home);
        }
    }
}

/// Returns whether a record may be in a home channel.
fn may_be_at_home(record: &Record) -> bool {
    is_control(record) || record.meta.msg_type == PLACE && record.meta.stamp.is_some()
}

/// Returns whether a record is in the home channel of who wrote it. If retention removed where epochs
/// begin, the name is left.
fn is_of_home(channel: &str, record: &Record) -> bool {
    let named = || {
        let producer = producer_of(record)?;
        Some(channel.strip_suffix(".home")? == &*producer)
    };
    begins_epoch(record).is_some() || named().unwrap_or(false)
}
