//! Where a consumer begins, and what it acknowledges.

use std::time::Duration;

use msgstream_core::consume::{LatePolicy, TickSource};
use msgstream_core::transport::Start;
use msgstream_core::{Consumer, Error, MsgPack, Timestamp};

use crate::{apples, mem, producer, ripen};

async fn next(consumer: &mut Consumer) -> MsgPack {
    consumer.next_pack().await.unwrap().expect("there is a pack")
}

#[tokio::test]
async fn without_channels_there_is_nothing_to_open() {
    for builder in [Consumer::builder(mem()), Consumer::builder(mem()).channels(["a", "a"])] {
        assert!(matches!(builder.open().await, Err(Error::Config { .. })));
    }
    let idle = Consumer::builder(mem()).channels(["a"]).idle_after(Duration::from_secs(1));
    let refused = idle.open().await.unwrap_err();
    assert!(matches!(refused, Error::Config { .. }), "idle channels and refused late messages");
}

#[tokio::test]
async fn packs_are_aligned_as_the_builder_says() {
    let broker = mem();
    let mut producer = producer(&broker, &["a", "b"]).await;
    ripen(&mut producer, 2, [1, 2]).await;
    let span = Duration::from_millis(1);
    let builder = Consumer::builder(broker).channels(["a", "b"]).align_to(span);
    let mut consumer =
        builder.late_policy(LatePolicy::Drop).budget_bytes(1 << 20).open().await.unwrap();
    producer.end(Timestamp(Timestamp::span(span))).await.unwrap();
    assert_eq!(next(&mut consumer).await.end_ts, Timestamp(0));
    let pack = next(&mut consumer).await;
    assert_eq!((apples(&pack).len(), pack.end_ts), (4, Timestamp(Timestamp::span(span))));
}

#[tokio::test]
async fn channels_may_tick_from_their_own_data() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    for at in [10, 20, 30] {
        producer.send(crate::Apple { at, key: 0 }).await.unwrap();
    }
    let ticks = |channel: &str| {
        assert_eq!(channel, "a");
        TickSource::Synthetic { delay: 0, interval: 1 }
    };
    let mut consumer = Consumer::builder(broker).channels(["a"]).ticks(ticks).open().await.unwrap();
    assert_eq!(apples(&next(&mut consumer).await), [(10, "a".to_owned())]);
}

#[tokio::test]
async fn a_checkpoint_goes_on_and_the_list_of_channels_counts() {
    let broker = mem();
    let mut producer = producer(&broker, &["a", "b", "c"]).await;
    ripen(&mut producer, 3, 1..=3).await;
    let mut first = Consumer::builder(broker.clone()).channels(["a", "b"]).open().await.unwrap();
    let pack = next(&mut first).await;
    assert_eq!(apples(&pack).len(), 2);

    // With none named they are the checkpoint's.
    let builder = Consumer::builder(broker.clone()).resume(pack.end.clone());
    let mut same = builder.open().await.unwrap();
    let two = [(2, "a".to_owned()), (2, "b".to_owned())];
    assert_eq!(apples(&next(&mut same).await), two);

    // One joins, one is left out.
    let builder = Consumer::builder(broker.clone()).channels(["b", "c"]).resume(pack.end.clone());
    let mut other = builder.open().await.unwrap();
    assert_eq!(apples(&next(&mut other).await), [(2, "b".to_owned()), (2, "c".to_owned())]);
    assert_eq!(other.status().merge.counts.before_join, 1);

    let twice = Consumer::builder(broker.clone()).channels(["a", "a"]).resume(pack.end.clone());
    assert!(matches!(twice.open().await, Err(Error::Config { .. })));

    // The first run has none.
    let mut anew = Consumer::builder(broker).channels(["a"]).resume(None).open().await.unwrap();
    assert_eq!(apples(&next(&mut anew).await), [(1, "a".to_owned())]);
    anew.seek(&pack.start).await.unwrap();
    assert_eq!(apples(&next(&mut anew).await).len(), 2);
    assert!(matches!(anew.seek(&Default::default()).await, Err(Error::Config { .. })));
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_without_one_nothing_is_done() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    ripen(&mut producer, 1, 1..=3).await;
    let open = || {
        let builder = Consumer::builder(broker.clone()).channels(["a"]).subscription("s");
        builder.open()
    };
    let mut consumer = open().await.unwrap();
    let pack = next(&mut consumer).await;
    consumer.ack(&pack.end).await.unwrap();
    // The cursor stands at the tick that ends the pack, so the first one ends there again.
    let mut again = open().await.unwrap();
    assert_eq!(apples(&next(&mut again).await), []);
    assert_eq!(apples(&next(&mut again).await), [(2, "a".to_owned())]);

    let mut without = Consumer::builder(broker.clone()).channels(["a"]).open().await.unwrap();
    let pack = next(&mut without).await;
    without.ack(&pack.end).await.unwrap();
    let cursor = broker.subscription("a", "s").await.unwrap().acked().await.unwrap();
    assert_eq!(cursor, Some(pack.end.channels["a"].resume));
}

#[tokio::test]
async fn channels_come_and_go() {
    let broker = mem();
    let mut producer = producer(&broker, &["a", "b"]).await;
    ripen(&mut producer, 2, 1..=3).await;
    let mut consumer = Consumer::builder(broker).channels(["a"]).open().await.unwrap();
    assert_eq!(apples(&next(&mut consumer).await).len(), 1);
    consumer.add_channel("b", Start::Earliest).await.unwrap();
    assert!(consumer.add_channel("b", Start::Earliest).await.is_err());
    assert_eq!(apples(&next(&mut consumer).await).len(), 2);
    let removed = consumer.remove_channel("a").unwrap();
    assert!(removed.channels.contains_key("a") && removed.channels.len() == 1);
    assert_eq!(apples(&next(&mut consumer).await), [(3, "b".to_owned())]);
}
