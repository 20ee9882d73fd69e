//! What others write in a producer's name, and the way out.

use std::sync::Arc;

use msgstream_core::produce::{SessionConfig, fence};
use msgstream_core::record::{Header, Meta, Position, Record, Stamp};
use msgstream_core::transport::Transport;
use msgstream_core::{Error, MsgType, Timestamp};

use crate::faults::{Fault, Flaky};
use crate::{AB, config, delivered, flaky, open, pack, session};

/// Writes a control record, as anybody can who may write to the channel.
async fn forge(flaky: &Flaky, channel: &str, says: &str) {
    let mut record = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(0)), Vec::new());
    record.extra.push(Header::new(Stamp::HEADER, says.replace("MAX", &u64::MAX.to_string())));
    let outcome = flaky.inner.writer(channel).await.unwrap().submit(vec![record]).await;
    assert!(outcome.rest.is_none());
}

#[tokio::test]
async fn a_producer_that_anybody_fenced_for_good_goes_on_as_another_one() {
    for channel in ["a", "home"] {
        let flaky = flaky().await;
        let (mut first, _) = session(&flaky).await;
        first.produce(pack([1, 2, 3])).await.unwrap();
        forge(&flaky, channel, "p;MAX:MAX:MAX;fence;0").await;
        // 4 is void where the fence is.
        first.produce(pack([4])).await.unwrap();
        drop(first);
        for _ in 0..2 {
            let opened = open(&flaky.arc(), config()).await;
            assert!(matches!(opened, Err(Error::Fenced { by: Position::MAX, .. })), "{channel}");
        }
        let stood = fence(&flaky.arc(), config(), &AB).await.unwrap();
        let void = channel == "a";
        assert_eq!((stood.last["a"], stood.last["b"]), (if void { 1 } else { 2 }, 2), "{channel}");

        let other = SessionConfig::new("p-2").with_home("home");
        let (mut second, opened) = open(&flaky.arc(), other).await.unwrap();
        assert_eq!(opened.last["a"], 0);
        let next = if void { vec![4, 5] } else { vec![5] };
        second.produce(pack(next)).await.unwrap();
        second.confirm().await.unwrap();
        second.end(Timestamp(9)).await.unwrap();
        assert_eq!(delivered(&flaky).await.0, [1, 2, 3, 4, 5], "{channel}");
    }
}

#[tokio::test]
async fn a_number_that_no_program_comes_to_is_refused() {
    let flaky = flaky().await;
    drop(session(&flaky).await);
    for told in ["p;0;base;MAX", "p;0;base;4611686018427387905"] {
        forge(&flaky, "a", told).await;
        let Err(Error::NumbersSpent { channel, producer, .. }) = open(&flaky.arc(), config()).await
        else {
            panic!("{told}")
        };
        assert_eq!((&*channel, &*producer), ("a", "p"));
    }
    // It can be fenced, and goes on as another one.
    assert_eq!(fence(&flaky.arc(), config(), &AB).await.unwrap().last["a"], u64::MAX);
    let other = SessionConfig::new("p-2").with_home("home");
    let (mut stream, _) = open(&flaky.arc(), other).await.unwrap();
    stream.produce(pack([2])).await.unwrap();
}

#[tokio::test]
async fn so_much_that_is_in_flight_must_be_something() {
    let none = config().with_window_bytes(0);
    assert!(matches!(open(&flaky().await.arc(), none).await, Err(Error::Config { .. })));
    let (mut stream, _) = open(&flaky().await.arc(), config().with_window_bytes(1)).await.unwrap();
    stream.produce(pack(1..=9)).await.unwrap();
    stream.produce(pack(1..=9)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fence_under_way_leaves_a_session_alone_that_begins_meanwhile() {
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    flaky.fail("home", [Fault::Late]);
    let transport: Arc<dyn Transport> = flaky.arc();
    let fencing = tokio::spawn(async move { fence(&transport, config(), &AB).await });
    // It has read the home channel, and tries to write.
    while !flaky.is_done() {
        tokio::task::yield_now().await;
    }
    first.produce(pack([1, 2])).await.unwrap();
    let (mut second, last) = session(&flaky).await;
    assert_eq!(last, [1, 1]);
    assert!(matches!(fencing.await.unwrap(), Err(Error::Fenced { .. })), "it is told");
    flaky.release().await;
    assert!(matches!(first.confirm().await, Err(Error::Fenced { .. })));
    second.produce(pack([3, 4])).await.unwrap();
    second.confirm().await.unwrap();
    second.end(Timestamp(9)).await.unwrap();
    assert_eq!(delivered(&flaky).await.0, [1, 2, 3, 4]);
}
