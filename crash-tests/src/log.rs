//! What the channels hold, as it is read back.

use std::collections::BTreeSet;

use bytes::Bytes;
use msgstream::message::SerdeMsg;
use msgstream::record::{END_HEADER, Position, Record, Stamp};
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream::{MsgType, message::StoredMessage};

use crate::error::Result;
use crate::journal::Number;
use crate::plan::{Body, Plan};

/// A channel and its records.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) channel: String,
    pub(crate) producer: u32,
    pub(crate) index: u32,
    pub(crate) entries: Vec<Entry>,
}

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) ts: u64,
    pub(crate) what: What,
    pub(crate) payload: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A message of a session.
    Message { number: u64, tag: Tag },
    /// A time tick of a session, with the number of the last message before it.
    Tick(Tag),
    /// The last record of its channel.
    End(Tag),
    /// From here on, records of older epochs are void.
    Fence { producer: String, epoch: Position },
    /// The number of the last message before it.
    Base(Tag),
    /// A session's last record.
    Goodbye,
    /// None of these: nobody of ours writes it.
    Strange(String),
}

/// Producer, epoch and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) producer: String,
    pub(crate) epoch: Position,
    pub(crate) seq: u64,
}

/// Reads every channel of a plan from its beginning to its end.
pub(crate) async fn read(transport: &dyn Transport, plan: &Plan) -> Result<Vec<Log>> {
    let mut logs = Vec::new();
    for (channel, producer, index) in plan.all_channels() {
        let mut reader = transport.reader(&channel, Start::Earliest).await?;
        let mut entries = Vec::new();
        loop {
            let batch = reader.read(Limit::default()).await?;
            entries.extend(batch.records.into_iter().map(|record| {
                let (position, ts) = (record.position, record.meta.timestamp.0);
                let payload = record.payload.clone();
                Entry {
                    position,
                    ts,
                    what: what(&channel, record, plan, (producer, index)),
                    payload,
                }
            }));
            if batch.caught_up {
                break;
            }
        }
        logs.push(Log { channel, producer, index, entries });
    }
    Ok(logs)
}

/// How many of these numbers of a producer are in the log as its first session wrote them.
pub(crate) fn stored_at_first(logs: &[Log], producer: u32, numbers: &BTreeSet<Number>) -> u64 {
    let mut found = Vec::new();
    for log in logs.iter().filter(|log| log.producer == producer) {
        found.extend(log.entries.iter().filter_map(|entry| match &entry.what {
            What::Message { number, tag } => Some((tag.epoch, (log.index, *number))),
            _ => None,
        }));
    }
    let first = found.iter().map(|(epoch, _)| *epoch).min();
    let of_first = found.iter().filter(|(epoch, _)| Some(*epoch) == first);
    let stored: BTreeSet<_> = of_first.map(|(_, number)| *number).collect();
    stored.intersection(numbers).count() as u64
}

fn what(channel: &str, record: Record, plan: &Plan, (producer, index): (u32, u32)) -> What {
    let tag = record.meta.stamp.as_ref().map(|stamp| Tag {
        producer: stamp.origin.producer.to_string(),
        epoch: stamp.origin.epoch,
        seq: stamp.seq,
    });
    if record.meta.msg_type == MsgType::TIME_TICK {
        return match tag {
            Some(tag) if record.header(END_HEADER).is_some() => What::End(tag),
            Some(tag) => What::Tick(tag),
            None => control(&record).unwrap_or_else(|| What::Strange(format!("{record:?}"))),
        };
    }
    let ts = record.meta.timestamp;
    let message = StoredMessage::new(channel.into(), record);
    let body = match message.decode_as::<SerdeMsg<Body>>() {
        Ok(message) => message.into_value(),
        Err(error) => return What::Strange(error.to_string()),
    };
    let number = body.number;
    match tag {
        Some(tag)
            if body == plan.body(producer, index, number)
                && ts == plan.ts(producer, index, number)
                && tag.seq == number =>
        {
            What::Message { number, tag }
        }
        tag => What::Strange(format!("{body:?} at {ts} of {tag:?}")),
    }
}

/// A control record, written as `producer;epoch;kind;value`. On the home channel the epoch of a fence
/// is its own position.
fn control(record: &Record) -> Option<What> {
    let text = str::from_utf8(record.header(Stamp::HEADER)?).ok()?;
    let parts: Vec<_> = text.split(';').collect();
    let [producer, epoch, kind, value] = parts[..] else { return None };
    let epoch = if epoch.is_empty() { record.position } else { epoch.parse().ok()? };
    let producer = producer.to_owned();
    match kind {
        "fence" => Some(What::Fence { producer, epoch }),
        "base" => Some(What::Base(Tag { producer, epoch, seq: value.parse().ok()? })),
        "bye" => Some(What::Goodbye),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_session_wrote_was_not_stored_by_the_first() {
        let entry = |epoch, number| {
            let tag = Tag { producer: "p".into(), epoch: Position::new(epoch), seq: number };
            let what = What::Message { number, tag };
            Entry { position: Position::default(), ts: 0, what, payload: Bytes::new() }
        };
        let log = |index, entries| Log { channel: "c".into(), producer: 0, index, entries };
        let logs = [
            log(0, vec![entry(4, 1), entry(4, 2), entry(9, 3)]),
            log(1, vec![entry(9, 1), entry(9, 2)]),
        ];
        let numbers = BTreeSet::from([(0, 2), (0, 3), (0, 4), (1, 2)]);
        assert_eq!(stored_at_first(&logs, 0, &numbers), 1);
        assert_eq!(stored_at_first(&logs, 1, &numbers), 0);
    }
}
