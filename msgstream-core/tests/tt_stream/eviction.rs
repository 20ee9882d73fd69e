//! What was read ahead is given up for want of memory, and read again.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::record::Record;
use msgstream_core::{ConsumerConfig, Error, MsgPack, TtMsgStream};
use tokio::sync::Semaphore;

use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::{Entry, Rig};
use crate::{consuming, once, times, to_end};

/// So much room that 100 records of these tests fit.
const BUDGET: usize = 100 * (Record::OVERHEAD + 100);

/// `fast` ticks often; a window of `slow` is nearly all of the budget.
async fn rig() -> (Rig, Vec<MsgPack>) {
    let mut fast: Vec<Entry> = (1..=100).flat_map(|n| [Msg(n * 10 - 1), Tick(n * 10)]).collect();
    fast.push(End(2000));
    let mut slow: Vec<Entry> = (0..80).map(|n| Msg(100 + n)).collect();
    slow.extend([Tick(500), Msg(501), End(2000)]);
    let rig = Rig::new(&[("fast", &fast), ("slow", &slow)]).await;
    let mut stream = consuming(rig.shared(), &["fast", "slow"], ConsumerConfig::default()).await;
    let packs = to_end(&mut stream).await;
    // What was read so far is no matter of the tests.
    rig.plan().reads.clear();
    (rig, packs)
}

/// A stream that has read of `fast` what its share holds, or less where a read of it is on its
/// way, and nothing of `slow` yet.
async fn ahead(rig: &Rig, fast: usize) -> (TtMsgStream, Arc<Semaphore>, Arc<Semaphore>) {
    let (fast_gate, slow_gate) = (rig.gate("fast"), rig.gate("slow"));
    fast_gate.add_permits(fast);
    let config = ConsumerConfig::default()
        .with_budget_bytes(BUDGET)
        .with_max_records(20)
        .with_retry_for(Duration::ZERO);
    let mut stream = consuming(rig.shared(), &["fast", "slow"], config).await;
    let done = |stream: &TtMsgStream| {
        let status = stream.status();
        status.merge.channels[0].buffered > 0 && fast_gate.available_permits() == 0
    };
    while !done(&stream) {
        let early = once(stream.consume()).await;
        assert!(early.is_none(), "{early:?}");
        tokio::task::yield_now().await;
    }
    (stream, fast_gate, slow_gate)
}

/// Polls until something was given up; gives the packs that came with it.
async fn evicted(stream: &mut TtMsgStream) -> Vec<MsgPack> {
    let mut packs = Vec::new();
    while stream.status().merge.counts.evictions == 0 {
        if let Some(pack) = once(stream.consume()).await {
            packs.extend(pack.unwrap());
        }
        tokio::task::yield_now().await;
    }
    packs
}

fn same(got: &[MsgPack], wanted: &[MsgPack]) {
    assert_eq!(times(got), times(wanted));
    for (got, wanted) in got.iter().zip(wanted) {
        assert_eq!(got.end, wanted.end);
    }
}

#[tokio::test]
async fn what_a_read_in_flight_brings_is_given_up_too() {
    let (rig, wanted) = rig().await;
    let (mut stream, fast, slow) = ahead(&rig, 1).await;
    slow.add_permits(Semaphore::MAX_PERMITS);
    let mut packs = evicted(&mut stream).await;
    // The second read of `fast` is on its way since before, and was not let through yet.
    assert_eq!(rig.plan().reads.iter().filter(|c| *c == "fast").count(), 2);
    assert_eq!(fast.available_permits(), 0);
    fast.add_permits(Semaphore::MAX_PERMITS);
    packs.extend(to_end(&mut stream).await);
    same(&packs, &wanted);
}

#[tokio::test]
async fn a_channel_that_cant_go_back_tries_again() {
    let (rig, wanted) = rig().await;
    let (mut stream, fast, slow) = ahead(&rig, 2).await;
    rig.plan().fail_seek.insert("fast".to_owned());
    slow.add_permits(Semaphore::MAX_PERMITS);
    fast.add_permits(Semaphore::MAX_PERMITS);
    let mut packs = evicted(&mut stream).await;
    let error = loop {
        match stream.consume().await {
            Ok(pack) => packs.extend(pack),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Transport(e) if e.operation() == "seek"), "{error}");
    packs.extend(to_end(&mut stream).await);
    same(&packs, &wanted);
}

#[tokio::test]
async fn a_channel_can_be_removed_after_it_was_given_up() {
    let (rig, _) = rig().await;
    let (mut stream, _fast, slow) = ahead(&rig, 1).await;
    slow.add_permits(Semaphore::MAX_PERMITS);
    let early = evicted(&mut stream).await;
    assert!(early.is_empty(), "{:?}", times(&early));
    stream.remove_channel("fast").unwrap();
    let packs = to_end(&mut stream).await;
    let messages: Vec<_> = packs.iter().map(|p| (p.end_ts.0, p.msgs.len())).collect();
    assert_eq!(messages, [(500, 80), (2000, 1)]);
}
