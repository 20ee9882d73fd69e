//! Messages of any length, sent in a session and received, each once.

use std::sync::Arc;

use bytes::Bytes;
use msgstream_core::consume::ConsumerConfig;
use msgstream_core::message::{Codec, EncodeError, Event};
use msgstream_core::produce::SessionConfig;
use msgstream_core::record::MsgType;
use msgstream_core::transport::{Transport, TransportExt as _};
use msgstream_core::{Consumer, DecodeError, Producer, Timestamp};

/// A payload that its time decides.
#[derive(Debug, PartialEq)]
struct Scan {
    at: u64,
    len: usize,
}

struct Pattern;

impl Codec<Scan> for Pattern {
    fn encode(scan: &Scan) -> Result<Bytes, EncodeError> {
        let mut bytes = scan.at.to_le_bytes().repeat(scan.len.div_ceil(8));
        bytes.truncate(scan.len);
        Ok(bytes.into())
    }

    fn decode(bytes: Bytes) -> Result<Scan, DecodeError> {
        let at = bytes.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        let scan = Scan { at, len: bytes.len() };
        assert!(Self::encode(&scan).unwrap() == bytes, "the payload differs");
        Ok(scan)
    }
}

impl Event for Scan {
    const TYPE: MsgType = MsgType(70_002);
    type Codec = Pattern;

    fn timestamp(&self) -> Timestamp {
        Timestamp(self.at)
    }

    fn hash_key(&self) -> u32 {
        0
    }
}

/// Sends messages of these lengths in a session, after those that are stored, and ends the channel.
pub(crate) async fn send(broker: Arc<dyn Transport>, channel: &str, lens: &[usize]) {
    let home = format!("{channel}-home");
    for channel in [channel, &home] {
        while broker.create_if_missing(channel).await.is_err_and(|error| error.is_temporary()) {}
    }
    let session = SessionConfig::new("ct-1").with_home(home);
    let producer = Producer::builder(broker).channels([channel]).session(session);
    let mut producer = producer.open().await.unwrap();
    let stored = producer.opened().last[channel];
    for (at, len) in (1..).zip(lens).skip(stored as usize) {
        producer.send(Scan { at, len: *len }).await.unwrap();
        producer.tick(Timestamp(at)).await.unwrap();
    }
    producer.end(Timestamp(1_000)).await.unwrap();
}

/// Checks that all of them come, each once.
pub(crate) async fn receive(
    broker: Arc<dyn Transport>,
    channel: &str,
    lens: &[usize],
    budget: usize,
) {
    let config = ConsumerConfig::default().with_budget_bytes(budget);
    let consumer = Consumer::builder(broker).channels([channel]).config(config);
    let mut packs = consumer.open().await.unwrap();
    let mut scans = Vec::new();
    while let Some(pack) = packs.next_pack().await.unwrap() {
        scans.extend(pack.decode::<Scan>().map(|scan| scan.unwrap().value));
    }
    let expected: Vec<_> = (1..).zip(lens).map(|(at, len)| Scan { at, len: *len }).collect();
    assert_eq!(scans, expected);
}
