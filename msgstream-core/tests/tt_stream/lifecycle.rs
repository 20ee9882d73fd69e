//! Before the start, while it runs, and after the close.

use msgstream_core::transport::{Start, TransportErrorKind};
use msgstream_core::{Checkpoint, ConsumerConfig, Error, LatePolicy, TickSource, TtMsgStream};
use tokio::sync::Semaphore;

use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::Rig;
use crate::{consuming, no_pack_yet, times, to_end};

async fn rig() -> Rig {
    Rig::new(&[
        ("a", &[Msg(1), Tick(5), Msg(6), Tick(10), End(20)]),
        ("b", &[Msg(2), Tick(5), Msg(7), Tick(10), End(20)]),
    ])
    .await
}

#[tokio::test]
async fn use_before_the_start_is_refused() {
    let rig = rig().await;
    let mut stream = TtMsgStream::new(rig.shared(), ConsumerConfig::default()).unwrap();
    assert!(matches!(stream.start(), Err(Error::NoChannels { operation: "start", .. })));
    stream.create_consumers(None, &["a"], Start::Earliest).await.unwrap();
    let early = stream.consume().await;
    assert!(matches!(early, Err(Error::NotStarted { operation: "consume" })), "{early:?}");
    stream.start().unwrap();
    stream.start().unwrap();
    assert_eq!(to_end(&mut stream).await.len(), 3);
}

#[tokio::test]
async fn channels_that_cant_be_added_are_named() {
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a"], ConsumerConfig::default()).await;
    let missing = stream.create_consumers(None, &["no"], Start::Earliest).await;
    let Err(Error::Transport(error)) = missing else { panic!("{missing:?}") };
    assert_eq!((error.kind(), error.channel()), (&TransportErrorKind::NotFound, Some("no")));
    let twice = stream.create_consumers(None, &["a"], Start::Earliest).await;
    assert!(matches!(&twice, Err(Error::Config { reason }) if reason.contains("`a`")), "{twice:?}");
    let gone = stream.remove_channel("no");
    assert!(matches!(&gone, Err(Error::NotConsumed { channel }) if channel == "no"), "{gone:?}");
    assert_eq!(to_end(&mut stream).await.len(), 3);
}

#[tokio::test]
async fn configurations_that_contradict_themselves_are_refused() {
    let rig = rig().await;
    for config in [
        ConsumerConfig::default().with_budget_bytes(0),
        ConsumerConfig::default().with_align_to(std::time::Duration::ZERO),
        ConsumerConfig::default()
            .with_idle_after(std::time::Duration::ZERO)
            .with_late_policy(LatePolicy::Error),
    ] {
        let refused = TtMsgStream::new(rig.shared(), config);
        assert!(matches!(refused, Err(Error::Config { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn use_after_the_close_is_refused() {
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    let pack = stream.consume().await.unwrap().unwrap();
    stream.close();
    stream.close();
    let closed = |operation: &str, result: Result<(), Error>| {
        let Err(Error::Closed { operation: named }) = result else { panic!("{result:?}") };
        assert_eq!(named, operation);
    };
    closed("consume", stream.consume().await.map(drop));
    closed("start", stream.start());
    closed("create_consumers", stream.create_consumers(None, &["a"], Start::Earliest).await);
    closed("remove_channel", stream.remove_channel("a").map(drop));
    closed("resume", stream.resume(None, &pack.end, |_| TickSource::Written).await);
    closed("ack", stream.ack(&pack.end).await);
    // What it did can still be asked, and the transport is open.
    assert_eq!(stream.checkpoint(), pack.end);
    assert_eq!(stream.status().merge.counts.packs, 1);
    assert_eq!(
        to_end(&mut consuming(rig.shared(), &["a"], ConsumerConfig::default()).await).await.len(),
        3
    );
}

#[tokio::test]
async fn closing_drops_the_reads_in_flight() {
    let rig = rig().await;
    let (_a, _b) = (rig.gate("a"), rig.gate("b"));
    let shared = rig.shared();
    let mut stream = consuming(shared, &["a", "b"], ConsumerConfig::default()).await;
    no_pack_yet(&mut stream).await;
    assert_eq!((rig.readers(), rig.plan().reads.len()), (2, 2));
    assert_eq!(stream.status().blocking.len(), 2);
    stream.close();
    assert_eq!(rig.readers(), 0);
    assert_eq!(stream.status().blocking, []);
}

#[tokio::test]
async fn a_channel_can_be_removed_and_added_while_its_read_is_in_flight() {
    let rig = rig().await;
    let gate = rig.gate("b");
    let mut stream = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    no_pack_yet(&mut stream).await;
    assert!(stream.remove_channel("b").unwrap().channels.is_empty());
    let packs = [stream.consume().await.unwrap().unwrap()];
    assert_eq!(times(&packs), [(5, vec![1])]);
    // In the same place, while the read of before is still there.
    stream.create_consumers(None, &["b"], Start::Earliest).await.unwrap();
    gate.add_permits(Semaphore::MAX_PERMITS);
    assert_eq!(times(&to_end(&mut stream).await), [(10, vec![6, 7]), (20, vec![])]);
    assert_eq!(stream.status().merge.counts.before_join, 1);
}

#[tokio::test]
async fn resuming_drops_the_reads_in_flight() {
    let rig = rig().await;
    let config = ConsumerConfig::default();
    let packs = to_end(&mut consuming(rig.shared(), &["a", "b"], config).await).await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config.with_max_records(2)).await;
    stream.consume().await.unwrap().unwrap();
    let gate = rig.gate("b");
    no_pack_yet(&mut stream).await;
    stream.resume(None, &packs[0].start, |_| TickSource::Written).await.unwrap();
    assert_eq!(rig.readers(), 2);
    gate.add_permits(Semaphore::MAX_PERMITS);
    assert_eq!(times(&to_end(&mut stream).await), times(&packs));
}

#[tokio::test]
async fn a_resume_that_fails_changes_nothing() {
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    let pack = stream.consume().await.unwrap().unwrap();
    let mut wrong: Checkpoint = pack.end.clone();
    let mark = wrong.channels.get("a").unwrap().clone();
    wrong.channels.insert("no".into(), mark);
    stream.resume(None, &wrong, |_| TickSource::Written).await.unwrap_err();
    assert_eq!(times(&to_end(&mut stream).await), [(10, vec![6, 7]), (20, vec![])]);
}

#[tokio::test]
async fn what_has_no_cursor_cant_be_acknowledged() {
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    let pack = stream.consume().await.unwrap().unwrap();
    let none = stream.ack(&pack.end).await;
    assert!(matches!(&none, Err(Error::NoSubscription { channel }) if channel == "a"), "{none:?}");
    // A channel that is gone needs none.
    stream.remove_channel("a").unwrap();
    let left = stream.ack(&pack.end).await;
    assert!(matches!(&left, Err(Error::NoSubscription { channel }) if channel == "b"), "{left:?}");
}

#[tokio::test]
async fn packs_as_a_stream_can_be_dropped_and_taken_up_again() {
    use futures::TryStreamExt;
    let rig = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], ConsumerConfig::default()).await;
    let first = std::pin::pin!(stream.packs()).try_next().await.unwrap().unwrap();
    let rest: Vec<_> = stream.packs().try_collect().await.unwrap();
    assert_eq!(first.end_ts.0, 5);
    assert_eq!(times(&rest), [(10, vec![6, 7]), (20, vec![])]);
}
