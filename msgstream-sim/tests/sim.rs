//! The simulated broker: whatever goes wrong, it keeps the contract of transports, and a seed gives
//! the same run again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use msgstream_core::record::{Meta, Position, Record};
use msgstream_core::transport::{
    Fate, Limit, Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt as _,
    Unstored,
};
use msgstream_core::{MsgType, Timestamp};
use msgstream_sim::{Fault, Sim, SimTransport};
use tokio::runtime::Builder;

const CHANNEL: &str = "orders";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn simulate<T>(run: impl AsyncFnOnce() -> T) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run())
}

fn stormy(seed: u64) -> Sim {
    Sim::seed(seed)
        .latency(ms(0)..ms(30))
        .lost_acks(0.03)
        .unknown_outcomes(0.03)
        .partial_batches(0.03)
        .duplicates(0.05)
        .late_writes(ms(1)..ms(5_000))
        .disconnects(0.02, ms(1)..ms(6_000))
        .slow_channels(0.01, ms(1)..ms(2_000))
        .stuck_channels(0.01, ms(1)..ms(2_000))
        .stale_reads(0.3, ms(1)..ms(2_000))
        .short_reads(0.2)
        .gaps(0.2)
        .build()
}

fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

/// What writers reported.
#[derive(Default)]
struct Written {
    stored: Vec<(Position, u64)>,
    refused: BTreeSet<u64>,
}

/// Writes batches of numbers, with new writers where one fails, each number once.
async fn write(transport: &SimTransport, first: u64) -> Written {
    let (mut written, mut next) = (Written::default(), first);
    while next < first + 200 {
        let Ok(mut writer) = transport.writer(CHANNEL).await else { continue };
        let mut receipts = Vec::new();
        while next < first + 200 && writer.ready().await.is_ok() {
            let numbers = next..next + 1 + next % 4;
            next = numbers.end;
            receipts.push((numbers.clone(), writer.submit(numbers.map(record).collect())));
            tokio::time::sleep(ms(next % 20)).await;
        }
        let mut failed = false;
        for (mut numbers, receipt) in receipts {
            let outcome = receipt.await;
            assert!(!failed || outcome.stored.is_empty(), "success is a prefix");
            failed |= outcome.rest.is_some();
            written.stored.extend(outcome.stored.into_iter().zip(&mut numbers));
            match outcome.rest {
                Some(Unstored { fate: Fate::NotStored, .. }) => written.refused.extend(numbers),
                Some(Unstored { fate: Fate::Unknown, .. }) => {}
                None => assert_eq!(numbers.next(), None, "all is acknowledged"),
            }
        }
    }
    written
}

/// Reads until the end is seen after `done`.
async fn read(sim: &Sim, start: Start, done: &Cell<bool>) -> Vec<Record> {
    let transport = sim.transport();
    let mut reader = loop {
        if let Ok(reader) = transport.reader(CHANNEL, start).await {
            break reader;
        }
    };
    let mut records = Vec::new();
    loop {
        let last = done.get();
        match reader.read(Limit::default().with_wait(ms(500))).await {
            Ok(batch) => {
                assert!(batch.records.iter().all(|r| r.position < batch.next));
                records.extend(batch.records);
                if last && batch.caught_up {
                    return records;
                }
            }
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
}

/// Writers and readers in a storm, which ends; gives the hash and the faults.
fn storm(seed: u64) -> (u64, BTreeMap<Fault, u64>) {
    simulate(async || {
        let sim = stormy(seed);
        while sim.transport().create(CHANNEL).await.is_err() {
            // Where the answer was lost, it is there.
            if sim.transport().list("").await.unwrap() == [CHANNEL] {
                break;
            }
        }
        let (transport, done) = (sim.transport(), Cell::new(false));
        let writing = async {
            let written = futures::join!(write(&transport, 0), write(&transport, 1_000));
            sim.heal();
            // What is late comes within its time.
            tokio::time::sleep(ms(6_000)).await;
            done.set(true);
            written
        };
        let early = read(&sim, Start::Earliest, &done);
        let late = async {
            tokio::time::sleep(ms(300)).await;
            read(&sim, Start::Earliest, &done).await
        };
        let (written, early, late) = futures::join!(writing, early, late);
        let there = sim.records(CHANNEL);
        assert!(there == early && there == late, "every reader sees the log, once and in order");
        assert!(there.is_sorted_by(|a, b| a.position < b.position));
        for written in [written.0, written.1] {
            assert!(written.stored.is_sorted(), "acknowledged positions grow");
            for (position, number) in &written.stored {
                let at = there.binary_search_by_key(position, |r| r.position).unwrap();
                assert_eq!(there[at].meta.timestamp.0, *number, "what is acknowledged is there");
            }
            let refused = |r: &Record| written.refused.contains(&r.meta.timestamp.0);
            assert!(!there.iter().any(refused), "what is refused never is");
        }
        (sim.hash(), sim.faults())
    })
}

#[test]
fn storms_keep_the_contract_and_repeat() {
    let mut faults = BTreeMap::new();
    let mut hashes = BTreeSet::new();
    for seed in 0..40 {
        let (hash, happened) = storm(seed);
        assert_eq!(storm(seed), (hash, happened.clone()), "seed {seed} gave another run");
        hashes.insert(hash);
        happened.into_iter().for_each(|(fault, n)| *faults.entry(fault).or_insert(0) += n);
    }
    assert_eq!(hashes.len(), 40, "each seed is a run of its own");
    println!("{faults:?}");
    assert_eq!(faults.len(), 11, "every fault happened: {faults:?}");
}

#[test]
fn what_is_late_comes_after_its_writer_is_gone() {
    simulate(async || {
        let sim = Sim::seed(4).unknown_outcomes(1.0).late_writes(ms(500)..ms(501)).build();
        let transport = sim.transport();
        transport.create(CHANNEL).await.unwrap();
        while !sim.faults().contains_key(&Fault::LateWrite) {
            let mut writer = transport.writer(CHANNEL).await.unwrap();
            let outcome = writer.submit((0..5).map(record).collect()).await;
            assert!(outcome.stored.is_empty() && outcome.rest.is_some());
            assert!(matches!(writer.ready().await, Err(e) if *e.kind() == Kind::Poisoned));
        }
        let before = sim.records(CHANNEL).len();
        tokio::time::sleep(ms(600)).await;
        assert!(sim.records(CHANNEL).len() > before);
    });
}

#[test]
fn an_outage_is_an_error_once_patience_is_over() {
    simulate(async || {
        let sim = Sim::seed(1).build();
        let transport = sim.transport();
        transport.create(CHANNEL).await.unwrap();
        let mut reader = transport.reader(CHANNEL, Start::Earliest).await.unwrap();
        let mut writer = transport.writer(CHANNEL).await.unwrap();
        sim.disconnect(CHANNEL, ms(10_000));
        let unavailable = |error: TransportError| {
            assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
        };
        unavailable(reader.read(Limit::default()).await.unwrap_err());
        unavailable(transport.describe(CHANNEL).await.unwrap_err());
        assert!(writer.submit(vec![record(0)]).await.rest.is_some());
        sim.heal();
        assert!(reader.read(Limit::default()).await.unwrap().caught_up);
        let mut writer = transport.writer(CHANNEL).await.unwrap();
        assert!(writer.submit(vec![record(1)]).await.rest.is_none());
    });
}

#[test]
fn what_an_administrator_does_is_a_typed_error() {
    simulate(async || {
        let sim = Sim::seed(1).build();
        let transport = sim.transport();
        transport.create(CHANNEL).await.unwrap();
        let mut writer = transport.writer(CHANNEL).await.unwrap();
        let mut reader = transport.reader(CHANNEL, Start::Earliest).await.unwrap();
        let stored = writer.submit((0..5).map(record).collect()).await.stored;
        sim.trim(CHANNEL, stored[2]);
        let error = reader.read(Limit::default()).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::PositionTrimmed { first, .. } if *first == stored[2]));
        sim.recreate(CHANNEL);
        let error = reader.read(Limit::default()).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::WrongIncarnation { .. }), "{error}");
        assert!(writer.submit(vec![record(5)]).await.stored.is_empty());
    });
}
