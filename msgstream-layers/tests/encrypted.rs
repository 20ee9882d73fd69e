//! What a broker sees of sealed messages, and what a reader gets that can't open them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use msgstream_core::consume::{PackDecoder, PoisonPolicy};
use msgstream_core::message::{MsgPack, TimeSyncMsg};
use msgstream_core::produce::SessionConfig;
use msgstream_core::record::{Header, Meta, MsgType, Record};
use msgstream_core::transport::{
    Fate, Limit, Start, Transport, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{Consumer, Producer, Timestamp, UnmarshalDispatcher};
use msgstream_layers::{Encrypted, Key, KeyRing, Keys};
use msgstream_mem::{MemConfig, MemTransport};

fn key(id: &str, byte: u8) -> Key {
    Key::new(id, &[byte; Key::BYTES]).unwrap()
}

fn mem() -> Arc<dyn Transport> {
    Arc::new(MemTransport::new(MemConfig::default().with_max_payload(1_000)))
}

fn over(broker: &Arc<dyn Transport>, ring: KeyRing) -> Arc<dyn Transport> {
    Arc::new(Encrypted::over(broker.clone(), ring))
}

/// Sends messages with these times in a session, and ends the session.
async fn send(broker: Arc<dyn Transport>, times: std::ops::RangeInclusive<u64>) {
    let producer = Producer::builder(broker).channels(["orders"]).create_missing();
    let mut producer = producer.session(SessionConfig::new("shop")).open().await.unwrap();
    for ts in times {
        producer.send(TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0])).await.unwrap();
        producer.tick(Timestamp(ts)).await.unwrap();
    }
    producer.close().await.unwrap();
}

async fn records(broker: &dyn Transport) -> Vec<Record> {
    let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
    reader.read(Limit::default()).await.unwrap().records
}

/// The packs of so many ticks.
async fn packs(broker: Arc<dyn Transport>, count: usize) -> Vec<MsgPack> {
    let mut consumer = Consumer::builder(broker).channels(["orders"]).open().await.unwrap();
    let mut packs = Vec::new();
    while packs.len() < count {
        let pack = consumer.next_pack().await.unwrap().unwrap();
        packs.push(MsgPack::from_iter(pack.msgs));
    }
    packs
}

#[tokio::test]
async fn a_broker_sees_no_payload() {
    let broker = mem();
    let sealing = over(&broker, KeyRing::new(key("1", 1)));
    broker.create("orders").await.unwrap();
    let secret = Record::new(Meta::new(MsgType(70_001), Timestamp(7)), "the secret");
    let tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(7)), "tick");
    let mut writer = sealing.writer("orders").await.unwrap();
    writer.submit(vec![secret.clone(), secret.clone(), tick.clone()]).await;
    let [one, two, plain] = &records(&*broker).await[..] else { panic!("three records") };
    assert_eq!((&one.meta, &plain.payload), (&secret.meta, &tick.payload));
    assert_eq!(one.header("ms-sealed").unwrap(), "1;1");
    assert!(!one.payload.windows(6).any(|bytes| bytes == b"secret"));
    // Equal messages don't look equal.
    assert_ne!(one.payload[24..], two.payload[24..]);
    let read = records(&*sealing).await;
    assert_eq!((&read[0].payload, read[0].extra.len()), (&secret.payload, 0));
    assert_eq!((&read[2].payload, read[2].extra.len()), (&tick.payload, 0));
}

#[tokio::test]
async fn a_key_is_replaced_while_both_are_read() {
    let broker = mem();
    send(over(&broker, KeyRing::new(key("1", 1))), 1..=2).await;
    send(over(&broker, KeyRing::new(key("2", 2)).with(key("1", 1))), 3..=4).await;
    let both = over(&broker, KeyRing::new(key("2", 2)).with(key("1", 1)));
    let packs = packs(both.clone(), 4).await;
    let policy = PoisonPolicy::Stop;
    let mut decoder = PackDecoder::new(both, UnmarshalDispatcher::new(), policy).await.unwrap();
    for pack in &packs {
        assert_eq!(decoder.decode(pack).await.unwrap().len(), 1);
    }
}

// Packs are formed without any key, each with its unreadable message, of which none is lost.
#[tokio::test]
async fn what_doesnt_open_is_for_the_policy() {
    let broker = mem();
    send(over(&broker, KeyRing::new(key("1", 1))), 1..=2).await;
    send(over(&broker, KeyRing::new(key("2", 2))), 3..=4).await;
    let reading = over(&broker, KeyRing::new(key("2", 2)).with(key("1", 9)));
    let packs = packs(reading.clone(), 4).await;
    assert!(packs.iter().all(|pack| pack.msgs.len() == 1));

    let new = |policy| PackDecoder::new(reading.clone(), UnmarshalDispatcher::new(), policy);
    let mut stopped = new(PoisonPolicy::Stop).await.unwrap();
    let error = stopped.decode(&packs[0]).await.unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("sealed with another key than the `1` here"), "{reason}");

    let mut skipping = new(PoisonPolicy::Skip).await.unwrap();
    for (pack, readable) in packs.iter().zip([0, 0, 1, 1]) {
        assert_eq!(skipping.decode(pack).await.unwrap().len(), readable);
    }
    assert_eq!(skipping.poisoned(), 2);

    // A dead letter is sealed anew, with the key that seals now.
    broker.create("dead").await.unwrap();
    let mut burying = new(PoisonPolicy::DeadLetter("dead".to_owned())).await.unwrap();
    burying.decode(&packs[0]).await.unwrap();
    let mut dead = reading.reader("dead", Start::Earliest).await.unwrap();
    let letter = dead.read(Limit::default()).await.unwrap().records.remove(0);
    assert!(letter.header(PackDecoder::REASON_HEADER).unwrap().starts_with(b"the record can't"));
    let headers = letter.header(PackDecoder::HEADERS_HEADER).unwrap();
    assert!(headers.starts_with(b"ms-sealed=1%3B1"), "{headers:?}");
    assert_eq!(letter.payload, packs[0].msgs[0].stored().unwrap().record.payload);
}

// What is copied without the keys opens under the name that it was sealed under.
#[tokio::test]
async fn a_copy_opens_under_its_old_name_alone() {
    let broker = mem();
    send(over(&broker, KeyRing::new(key("1", 1))), 1..=2).await;
    broker.create("copy").await.unwrap();
    let mut copied = records(&*broker).await;
    copied.iter_mut().for_each(|record| record.meta.stamp = Option::None);
    broker.writer("copy").await.unwrap().submit(copied).await;
    let unreadable = async |broker: Encrypted| {
        let mut reader = broker.reader("copy", Start::Earliest).await.unwrap();
        let records = reader.read(Limit::default()).await.unwrap().records;
        records.iter().filter(|record| record.meta.msg_type == MsgType::UNREADABLE).count()
    };
    let opening = || Encrypted::over(broker.clone(), KeyRing::new(key("1", 1)));
    assert_eq!(unreadable(opening()).await, 2);
    assert_eq!(unreadable(opening().sealed_as("copy", "orders")).await, 0);
}

struct None;

impl Keys for None {
    fn sealing(&self, _: &str) -> Option<Key> {
        Option::None
    }

    fn opening(&self, _: &str, _: &str) -> Option<Key> {
        Option::None
    }
}

#[tokio::test]
async fn what_cant_be_sealed_is_refused_and_not_written() {
    let broker = mem();
    broker.create("orders").await.unwrap();
    let message = || Record::new(Meta::new(MsgType::INSERT, Timestamp(7)), "payload");
    let keyless = Encrypted::over(broker.clone(), None);
    let mut writer = keyless.writer("orders").await.unwrap();
    assert!(matches!(writer.check(&[message()]).unwrap_err().kind(), Kind::Denied { .. }));
    writer.ready().await.unwrap();
    let rest = writer.submit(vec![message()]).await.rest.unwrap();
    assert_eq!(rest.fate, Fate::NotStored);
    assert!(matches!(rest.error.kind(), Kind::Denied { .. }));
    assert_eq!(writer.ready().await.unwrap_err().kind(), &Kind::Poisoned);

    let sealing = over(&broker, KeyRing::new(key("1", 1)));
    let mut marked = message();
    marked.extra.push(Header::new("ms-sealed", "1;1"));
    let mut writer = sealing.writer("orders").await.unwrap();
    let error = writer.check(std::slice::from_ref(&marked)).unwrap_err();
    assert!(matches!(error.kind(), Kind::InvalidHeader { .. }));
    let rest = writer.submit(vec![message(), marked]).await.rest.unwrap();
    assert!(matches!(rest.error.kind(), Kind::InvalidHeader { .. }));

    // Sizes are those of what was to be written.
    let mut writer = sealing.writer("orders").await.unwrap();
    let mut large = message();
    large.payload = vec![0; 961].into();
    let too_large = Kind::TooLarge { bytes: 961, limit: 960 };
    assert_eq!(sealing.capabilities().max_payload, Some(960));
    assert_eq!(writer.check(std::slice::from_ref(&large)).unwrap_err().kind(), &too_large);
    let rest = writer.submit(vec![large.clone()]).await.rest.unwrap();
    assert_eq!(rest.error.kind(), &too_large);
    assert!(records(&*broker).await.is_empty());
    large.payload.truncate(960);
    let mut writer = sealing.writer("orders").await.unwrap();
    writer.check(std::slice::from_ref(&large)).unwrap();
    assert_eq!(writer.submit(vec![large]).await.stored.len(), 1);
}

#[tokio::test]
async fn no_key_is_in_a_debug_text() {
    let ring = KeyRing::new(key("orders-1", 0xab));
    let broker = mem();
    broker.create("orders").await.unwrap();
    let sealing = over(&broker, ring.clone());
    let writer = sealing.writer("orders").await.unwrap();
    let reader = sealing.reader("orders", Start::Earliest).await.unwrap();
    let texts = [format!("{ring:?}"), format!("{sealing:?} {writer:?} {reader:?}")];
    assert!(texts[0].contains("orders-1"));
    for text in texts {
        assert!(!text.contains("171") && !text.to_lowercase().contains("abab"), "{text}");
    }
}
