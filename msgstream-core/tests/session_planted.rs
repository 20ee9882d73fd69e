//! Bugs of the producing side, planted: what they do to the log.

#![cfg(feature = "planted-bugs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/mod.rs"]
mod common;
#[path = "session/faults.rs"]
mod faults;

use msgstream_core::consume::{ChannelFilter, Judgement};
use msgstream_core::planted::{Bug, plant};
use msgstream_core::produce::SessionConfig;
use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{Limit, Start};
use msgstream_core::{MsgPack, MsgStream, Timestamp};

use crate::common::insert;
use crate::faults::{Fault, Flaky};

async fn session(flaky: &Flaky) -> MsgStream {
    let mut stream = MsgStream::new(flaky.arc());
    stream.create_session(SessionConfig::new("p").with_home("a"), &["a"]).await.unwrap();
    stream.start().unwrap();
    stream
}

fn pack(ts: u64) -> MsgPack {
    MsgPack::from_iter([insert(ts, 0)])
}

/// The times in the channel, without the fence and the base.
async fn times(flaky: &Flaky) -> Vec<u64> {
    let mut reader = flaky.inner.reader("a", Start::Earliest).await.unwrap();
    let records = reader.read(Limit::default()).await.unwrap().records;
    records[2..].iter().map(|record| record.meta.timestamp.0).collect()
}

/// What two batches leave in the channel, the first one being lost.
async fn sent_again(bug: Option<Bug>) -> Vec<u64> {
    let flaky = Flaky::new(&["a"]).await;
    let mut stream = session(&flaky).await;
    plant(bug);
    flaky.fail("a", [Fault::Holes(0)]);
    for receipt in [1, 2].map(|ts| stream.submit(pack(ts)).unwrap()) {
        receipt.await.unwrap();
    }
    plant(None);
    times(&flaky).await
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_retried_alone_comes_after_what_follows_it() {
    assert_eq!(sent_again(None).await, [2, 1, 2]);
    assert_eq!(sent_again(Some(Bug::RetryAlone)).await, [2, 1]);
}

/// What is in the channel when a tick follows a batch that isn't acknowledged.
async fn ticked(bug: Option<Bug>) -> Vec<u64> {
    let flaky = Flaky::new(&["a"]).await;
    let mut stream = session(&flaky).await;
    plant(bug);
    flaky.hold.send_replace(true);
    drop(stream.submit(pack(1)).unwrap());
    let mut tick = Box::pin(stream.tick(Timestamp(5)));
    for _ in 0..100 {
        assert!(futures::poll!(&mut tick).is_pending());
        tokio::task::yield_now().await;
    }
    plant(None);
    times(&flaky).await
}

#[tokio::test]
async fn an_early_tick_is_there_before_its_messages_are_acknowledged() {
    assert_eq!(ticked(None).await, [1]);
    assert_eq!(ticked(Some(Bug::EarlyTick)).await, [1, 5]);
}

#[tokio::test]
async fn a_message_behind_a_tick_is_refused_unless_late_ones_are_written() {
    for (bug, refused) in [(None, true), (Some(Bug::WrittenLate), false)] {
        let flaky = Flaky::new(&["a"]).await;
        let mut stream = session(&flaky).await;
        plant(bug);
        stream.tick(Timestamp(5)).await.unwrap();
        assert_eq!(stream.produce(pack(5)).await.is_err(), refused);
        plant(None);
    }
}

#[tokio::test]
async fn a_session_takes_over_what_ticks_promised_unless_that_is_forgotten() {
    for (bug, refused) in [(None, true), (Some(Bug::PromisesForgotten), false)] {
        let flaky = Flaky::new(&["a"]).await;
        session(&flaky).await.tick(Timestamp(5)).await.unwrap();
        plant(bug);
        let mut next = session(&flaky).await;
        assert_eq!(next.produce(pack(5)).await.is_err(), refused);
        plant(None);
    }
}

/// What follows a tick that a message was sent ahead of, to a reader that begins at the tick.
async fn after_the_tick(bug: Option<Bug>) -> Judgement {
    let flaky = Flaky::new(&["a"]).await;
    let mut stream = session(&flaky).await;
    plant(bug);
    flaky.hold.send_replace(true);
    let first = stream.submit(pack(1)).unwrap();
    let tick = stream.submit_tick(Timestamp(1)).unwrap();
    let ahead = stream.submit(pack(2)).unwrap();
    assert_eq!(times(&flaky).await, [1, 2]);
    flaky.hold.send_replace(false);
    for receipt in [first, tick, ahead] {
        receipt.await.unwrap();
    }
    stream.produce(pack(3)).await.unwrap();
    plant(None);
    assert_eq!(times(&flaky).await, [1, 2, 1, 3]);
    let mut reader = flaky.inner.reader("a", Start::Earliest).await.unwrap();
    let records = reader.read(Limit::default()).await.unwrap().records;
    let mut filter = ChannelFilter::default();
    let judged = records[4..].iter().map(|record| filter.judge(record).unwrap());
    judged.last().unwrap()
}

#[tokio::test]
async fn a_tick_that_hides_what_was_sent_before_it_makes_readers_wait_in_vain() {
    assert_eq!(after_the_tick(None).await, Judgement::Message { late: false });
    assert_eq!(after_the_tick(Some(Bug::UntoldSent)).await, Judgement::Gap);
}
