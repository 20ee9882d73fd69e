#![allow(clippy::unwrap_used)]

use msgstream_core::record::{Meta, MsgType, Record};
use msgstream_core::transport::{
    Fate, Limit, Start, TransportErrorKind as Kind, TransportExt as _,
};
use msgstream_core::{Consumer, Producer, Timestamp, message::TimeSyncMsg, produce::SessionConfig};

use super::*;

fn mem() -> Arc<dyn Transport> {
    Arc::new(msgstream_mem::MemTransport::new(Default::default()))
}

fn numbered(number: i64) -> Record {
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(1));
    meta.msg_id = number;
    Record::new(meta, "")
}

async fn all(broker: &dyn Transport) -> Vec<Record> {
    let mut reader = broker.reader("orders", Start::Earliest).await.unwrap();
    reader.read(Limit::default().with_wait(Duration::ZERO)).await.unwrap().records
}

// Over many seeds, with batches in flight at the same time.
#[tokio::test(start_paused = true)]
async fn outcomes_are_true() {
    let mut counts = FaultCounts::default();
    for seed in 0..300 {
        let broker = mem();
        broker.create("orders").await.unwrap();
        let faults = Faults::over(broker.clone(), seed)
            .not_stored(0.15)
            .unknown(0.15)
            .delays(Duration::ZERO..Duration::from_millis(20));
        let mut writer = faults.writer("orders").await.unwrap();
        let batches =
            (0..10).map(|batch| writer.submit((0..5).map(|i| numbered(batch * 5 + i)).collect()));
        let receipts: Vec<_> = batches.collect();
        let mut outcomes = Vec::new();
        for receipt in receipts {
            outcomes.push(receipt.await);
        }
        let stored = all(&*broker).await;
        let (mut failed, mut acked) = (false, 0);
        for (batch, outcome) in (0..).zip(&outcomes) {
            assert!(!failed || outcome.stored.is_empty(), "seed {seed}: success after a failure");
            for (i, position) in (0..).zip(&outcome.stored) {
                let at = stored.iter().find(|record| record.position == *position).unwrap();
                assert_eq!(at.meta.msg_id, batch * 5 + i, "seed {seed}");
            }
            acked += outcome.stored.len();
            if let Some(rest) = &outcome.rest {
                failed = true;
                let of = batch * 5 + outcome.stored.len() as i64..(batch + 1) * 5;
                let is_there = stored.iter().any(|record| of.contains(&record.meta.msg_id));
                assert!(rest.fate == Fate::Unknown || !is_there, "seed {seed}: stored after all");
            }
        }
        assert_eq!(outcomes.iter().any(|outcome| outcome.rest.is_some()), failed);
        if failed {
            assert_eq!(writer.ready().await.unwrap_err().kind(), &Kind::Poisoned);
            let after = writer.submit(vec![numbered(99)]).await.rest.unwrap();
            assert_eq!(after.fate, Fate::NotStored);
            assert_eq!(all(&*broker).await.len(), stored.len());
        } else {
            assert_eq!(acked, 50);
        }
        counts.not_stored += faults.counts().not_stored;
        counts.unknown += faults.counts().unknown;
    }
    assert!(counts.not_stored > 50 && counts.unknown > 50, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_one_of_a_call_that_took_effect() {
    let broker = mem();
    let faults = Faults::over(broker.clone(), 1).lost_answers(1.0);
    let error = faults.create("orders").await.unwrap_err();
    assert!(error.is_temporary());
    broker.describe("orders").await.unwrap();
    faults.heal();
    assert_eq!(faults.create("orders").await.unwrap_err().kind(), &Kind::AlreadyExists);
    assert_eq!(faults.counts().lost_answers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_loses_nothing() {
    let broker = mem();
    broker.create("orders").await.unwrap();
    broker.writer("orders").await.unwrap().submit((0..50).map(numbered).collect()).await;
    let faults = Faults::over(broker, 3).unavailable(0.5);
    let (mut read, mut failed) = (Vec::new(), 0);
    let mut reader = loop {
        match faults.reader("orders", Start::Earliest).await {
            Ok(reader) => break reader,
            Err(error) => assert!(error.is_temporary()),
        }
    };
    while read.len() < 50 {
        match reader.read(Limit::default().with_records(1)).await {
            Ok(batch) => read.extend(batch.records.iter().map(|record| record.meta.msg_id)),
            Err(_) => failed += 1,
        }
    }
    assert!(read.into_iter().eq(0..50) && failed > 10);
}

// Sessions and consumers with all of it, and each message once.
#[tokio::test(start_paused = true)]
async fn a_session_counts_each_message_once() {
    for seed in 0..20 {
        let faults = Faults::over(mem(), seed)
            .unavailable(0.1)
            .lost_answers(0.1)
            .not_stored(0.1)
            .unknown(0.1)
            .delays(Duration::ZERO..Duration::from_millis(50));
        let faults = Arc::new(faults);
        for channel in ["orders", "home"] {
            while faults.create_if_missing(channel).await.is_err() {}
        }
        let session = SessionConfig::new("shop").with_home("home");
        let orders = Producer::builder(faults.clone()).channels(["orders"]).session(session);
        let mut producer = orders.open().await.unwrap();
        for ts in 1..=50 {
            producer.send(TimeSyncMsg::new(Timestamp(ts)).with_hash_keys([0])).await.unwrap();
        }
        producer.end(Timestamp(50)).await.unwrap();
        let consumer = Consumer::builder(faults.clone()).channels(["orders"]);
        let mut packs = consumer.open().await.unwrap();
        let pack = packs.next_pack().await.unwrap().unwrap();
        let times: Vec<_> = pack.msgs.iter().map(|msg| msg.begin_ts().0).collect();
        assert!(times.into_iter().eq(1..=50), "seed {seed}");
        assert!(faults.counts().unknown + faults.counts().not_stored > 0, "seed {seed}");
    }
}
