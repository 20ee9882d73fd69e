//! Going on with what earlier runs of a session wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream::produce::{InSession, SessionConfig};
use msgstream::record::{END_HEADER, Position, Record};
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream::{MsgType, Producer, Timestamp};

use super::args::ProduceArgs;
use super::times::Ticked;
use crate::error::Result;

/// How many records before a channel's end are read.
const LAST: u64 = 64;

/// A session that was opened.
pub(super) enum Opened {
    /// It goes on after what earlier runs wrote and ticked.
    Writing(Producer<InSession>, Ticked),
    /// An earlier run was ending the channels.
    Ending(Ending),
}

/// What an earlier run left that was ending the channels. All rows are stored before the first
/// channel is ended.
pub(super) struct Ending {
    /// The session's last sequence number on each channel.
    pub(super) last: BTreeMap<Arc<str>, u64>,
    /// The channels that haven't ended.
    rest: Option<Producer<InSession>>,
    at: Timestamp,
}

impl Ending {
    /// Ends the channels that haven't ended.
    pub(super) async fn finish(self) -> Result<()> {
        match self.rest {
            Some(rest) => Ok(rest.end(self.at).await?),
            None => Ok(()),
        }
    }
}

/// Opens a session.
pub(super) async fn open(
    broker: &Arc<dyn Transport>,
    args: &ProduceArgs,
    session: &str,
) -> Result<Opened> {
    let mut config = SessionConfig::new(session);
    if let Some(home) = &args.home {
        if !args.no_create {
            broker.create_if_missing(home).await?;
        }
        config = config.with_home(&**home);
    }
    let mut channels = args.channels.clone();
    let (mut last, mut at) = (BTreeMap::new(), Timestamp::MIN);
    while !channels.is_empty() {
        let builder = Producer::builder(broker.clone()).channels(channels.clone());
        let builder = if args.no_create { builder } else { builder.create_missing() };
        // Rows that are late are judged by the plan.
        let builder = builder.allow_late();
        let error = match builder.session(config.clone()).open().await {
            Ok(producer) if last.is_empty() => {
                let ticked = ticked(&**broker, &channels).await?;
                return Ok(Opened::Writing(producer, ticked));
            }
            Ok(producer) => {
                last.extend(producer.opened().last.clone());
                return Ok(Opened::Ending(Ending { last, rest: Some(producer), at }));
            }
            Err(error) => error,
        };
        let channel = match &error {
            msgstream::Error::Ended { channel } if args.end => channel,
            _ => return Err(error.into()),
        };
        let Some((own, ended)) = ended_by(&**broker, channel, session).await? else {
            return Err(error.into());
        };
        channels.retain(|other| other != channel);
        last.insert(Arc::from(&**channel), own);
        at = ended;
    }
    Ok(Opened::Ending(Ending { last, rest: None, at }))
}

/// Returns up to which time earlier runs ticked. A session that was opened has written the greatest
/// tick of each channel beside its number, so it is among the last records.
async fn ticked(broker: &dyn Transport, channels: &[String]) -> Result<Ticked> {
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

/// Returns the session's last sequence number on a channel and when it was ended, if this session
/// ended it.
async fn ended_by(
    broker: &dyn Transport,
    channel: &str,
    session: &str,
) -> Result<Option<(u64, Timestamp)>> {
    let records = last_records(broker, channel).await?;
    let ends = records.iter().filter(|record| record.header(END_HEADER).is_some());
    let stamps = ends.filter_map(|end| Some((end.meta.stamp.as_ref()?, end.meta.timestamp)));
    let mut own = stamps.filter(|(stamp, _)| &*stamp.origin.producer == session);
    Ok(own.next().map(|(stamp, at)| (stamp.seq, at)))
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
