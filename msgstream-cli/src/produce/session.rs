//! Going on with what earlier runs of a session wrote.

use std::sync::Arc;

use msgstream::produce::{InSession, SessionConfig};
use msgstream::record::{END_HEADER, Position, Record};
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream::{MsgType, Producer, Timestamp};

use super::args::ProduceArgs;
use super::times::Ticked;
use crate::error::Result;
use crate::words::say;

/// How many records before a channel's end are read.
const LAST: u64 = 64;

/// Opens a session's producer. Returns `None` if an earlier run had written all rows and was ending
/// the channels; then they have ended now.
pub(super) async fn open(
    broker: &Arc<dyn Transport>,
    args: &ProduceArgs,
    session: &str,
) -> Result<Option<Producer<InSession>>> {
    let mut config = SessionConfig::new(session);
    if let Some(home) = &args.home {
        if !args.no_create {
            broker.create_if_missing(home).await?;
        }
        config = config.with_home(&**home);
    }
    let mut channels = args.channels.clone();
    let mut ended = None;
    loop {
        let builder = Producer::builder(broker.clone()).channels(channels.clone());
        let builder = if args.no_create { builder } else { builder.create_missing() };
        let error = match builder.session(config.clone()).open().await {
            Ok(producer) => {
                let Some(at) = ended else { return Ok(Some(producer)) };
                producer.end(at).await?;
                break;
            }
            Err(error) => error,
        };
        // All rows are stored before the first channel is ended.
        let msgstream::Error::Ended { channel } = &error else { return Err(error.into()) };
        let Some(at) = ended_by(&**broker, channel, session).await? else {
            return Err(error.into());
        };
        ended = Some(at);
        channels.retain(|other| other != channel);
        if channels.is_empty() {
            break;
        }
    }
    say("an earlier run has written all rows; the channels have ended");
    Ok(None)
}

/// Returns up to which time earlier runs ticked. A session that was opened has written the greatest
/// tick of each channel beside its number, so it is among the last records.
pub(super) async fn ticked(broker: &dyn Transport, channels: &[String]) -> Result<Ticked> {
    let mut ticks = Vec::with_capacity(channels.len());
    for channel in channels {
        let records = last_records(broker, channel).await?;
        let ticks_of = records.iter().filter(|r| r.meta.msg_type == MsgType::TIME_TICK);
        let greatest = ticks_of.map(|r| r.meta.timestamp).max();
        ticks.push(greatest.filter(|tick| *tick > Timestamp::MIN));
    }
    let all = ticks.iter().min().copied().flatten();
    Ok(Ticked { all, any: ticks.into_iter().max().flatten() })
}

/// Returns when a channel was ended, if this session did it.
async fn ended_by(
    broker: &dyn Transport,
    channel: &str,
    session: &str,
) -> Result<Option<Timestamp>> {
    let records = last_records(broker, channel).await?;
    let own = |record: &&Record| {
        let stamp = record.meta.stamp.as_ref();
        record.header(END_HEADER).is_some()
            && stamp.is_some_and(|stamp| &*stamp.origin.producer == session)
    };
    Ok(records.iter().find(own).map(|end| end.meta.timestamp))
}

async fn last_records(broker: &dyn Transport, channel: &str) -> Result<Vec<Record>> {
    let info = broker.describe(channel).await?;
    let Some(first) = info.first else { return Ok(Vec::new()) };
    let mut words = info.end.words();
    if let Some(least) = words.iter_mut().rfind(|word| **word > 0) {
        *least = least.saturating_sub(LAST);
    }
    let start = Start::At(Position::from_words(words).max(first));
    let mut reader = broker.reader(channel, start).await?;
    let mut records = Vec::new();
    loop {
        let mut batch = reader.read(Limit::default()).await?;
        records.append(&mut batch.records);
        if batch.caught_up || batch.next >= info.end {
            return Ok(records);
        }
    }
}
