//! Channels with all that a channel may have, and the packs of channels.

use std::sync::Arc;

use msgstream::consume::LatePolicy;
use msgstream::record::{END_HEADER, Header, Meta, Record};
use msgstream::transport::{Transport, TransportExt as _};
use msgstream::{Consumer, MsgType, Timestamp};

pub(crate) type Broker = Arc<dyn Transport>;

/// Returns a message with this time and number.
pub(crate) fn message(ts: u64, id: u64) -> Record {
    let mut record =
        Record::new(Meta::new(MsgType(70_001), Timestamp(ts)), format!("payload {id}"));
    record.meta.msg_id = id as i64;
    record
}

pub(crate) fn tick(ts: u64) -> Record {
    Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(ts)), "")
}

pub(crate) fn end(ts: u64) -> Record {
    let mut record = tick(ts);
    record.extra.push(Header::new(END_HEADER, "1"));
    record
}

/// Appends records as they are, without a session. The channel is created if it is missing.
pub(crate) async fn append(broker: &Broker, channel: &str, records: Vec<Record>) {
    broker.create_if_missing(channel).await.unwrap();
    let mut writer = broker.writer(channel).await.unwrap();
    for piece in records.chunks(500) {
        writer.ready().await.unwrap();
        let outcome = writer.submit(piece.to_vec()).await;
        assert!(outcome.rest.is_none(), "{:?}", outcome.rest);
    }
    writer.close().await.unwrap();
}

/// What a channel's writer writes: messages whose times are out of order, late ones among them, with
/// ids, headers and virtual channels, and now and then a tick, or two.
pub(crate) struct Content {
    random: u64,
    now: u64,
    id: u64,
}

impl Content {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: seed, now: 100, id: 0 }
    }

    /// Returns the next records, of which this many are messages.
    pub(crate) fn next(&mut self, messages: u64) -> Vec<Record> {
        let mut records = Vec::new();
        let last = self.id + messages;
        while self.id < last {
            self.now += self.below(3);
            if self.below(20) == 0 {
                records.push(tick(self.now));
                if self.below(2) == 0 {
                    self.now += 1;
                    records.push(tick(self.now));
                }
                continue;
            }
            self.id += 1;
            // About one in fifteen is late.
            let ts = match self.below(15) {
                0 => self.now - self.below(40),
                _ => self.now + 1 + self.below(10),
            };
            let mut record = message(ts, self.id);
            if self.below(4) == 0 {
                record.extra.push(Header::new("origin", format!("till {}", self.below(5))));
                record.extra.push(Header::new("trace", format!("{}", self.random)));
            }
            if self.below(4) == 0 {
                record.meta.vchannel = Some(format!("v{}", self.below(3)).into());
                record.meta.collection_id = 7;
            }
            records.push(record);
        }
        records
    }

    /// Returns the channel's end.
    pub(crate) fn end(&self) -> Record {
        end(self.now)
    }

    /// Returns a random number below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // Xorshift: never zero, if it begins with anything else.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

/// A message without its position and its session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    channel: String,
    meta: Meta,
    payload: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    pub(crate) late: bool,
}

/// The interval of a pack, and its messages.
pub(crate) type Pack = (Option<Timestamp>, Timestamp, Vec<Seen>);

/// Returns the packs of channels that have ended.
pub(crate) async fn packs(broker: &Broker, channels: &[&str]) -> Vec<Pack> {
    let builder = Consumer::builder(broker.clone()).channels(channels.iter().copied());
    let mut consumer = builder.late_policy(LatePolicy::Deliver).open().await.unwrap();
    let mut packs = Vec::new();
    while let Some(pack) = consumer.next_pack().await.unwrap() {
        let stored = pack.msgs.iter().filter_map(|message| message.stored());
        let seen = stored.map(|stored| {
            let mut meta = stored.record.meta.clone();
            meta.stamp = None;
            let headers = stored.record.extra.iter();
            let mut headers: Vec<_> =
                headers.map(|h| (h.name.to_string(), h.value.to_vec())).collect();
            headers.sort();
            let (channel, payload) = (stored.channel.to_string(), stored.record.payload.to_vec());
            Seen { channel, meta, payload, headers, late: stored.late }
        });
        packs.push((pack.begin_ts, pack.end_ts, seen.collect()));
    }
    packs
}

/// Checks that the packs of both sides are equal, and returns how many messages they have.
#[track_caller]
pub(crate) fn assert_equal(source: &[Pack], copy: &[Pack]) -> usize {
    for (source, copy) in source.iter().zip(copy) {
        assert_eq!((source.0, source.1), (copy.0, copy.1), "the packs end elsewhere");
        let first = source.2.iter().zip(&copy.2).find(|(source, copy)| source != copy);
        assert_eq!(first, None, "up to {}", source.1);
        assert_eq!(source.2.len(), copy.2.len(), "up to {}", source.1);
    }
    assert_eq!(source.len(), copy.len());
    source.iter().map(|(_, _, messages)| messages.len()).sum()
}
