//! Two starters of one session: the log decides, and the older one finds out.

use futures::FutureExt;
use msgstream_core::produce::SessionConfig;
use msgstream_core::{Error, MsgStream, Timestamp};

use crate::faults::Fault;
use crate::{AB, common, config, delivered, flaky, log, open, pack, session};

#[tokio::test]
async fn an_older_session_is_void_and_finds_out() {
    let flaky = flaky().await;
    let (mut older, _) = session(&flaky).await;
    older.produce(pack([1, 2])).await.unwrap();
    older.confirm().await.unwrap();
    let (mut newer, last) = session(&flaky).await;
    assert_eq!(last, [1, 1], "what was confirmed counts");

    // It doesn't know yet, and is acknowledged.
    older.produce(pack([3, 4])).await.unwrap();
    older.tick(Timestamp(90)).await.unwrap();
    let Err(Error::Fenced { producer, epoch, by }) = older.confirm().await else { panic!("void") };
    assert!(producer == "p" && epoch < by);
    let again = [
        older.produce(pack([5])).await.map(drop),
        older.submit(pack([5])).map(drop),
        older.ready().await,
        older.broadcast(&pack([5])).await.map(drop),
        older.tick(Timestamp(95)).await.map(drop),
        older.end(Timestamp(95)).await.map(drop),
        older.confirm().await,
    ];
    for refused in again {
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    }
    assert_eq!(older.session_counts().fenced, 1);

    newer.produce(pack([5, 6])).await.unwrap();
    newer.confirm().await.unwrap();
    newer.end(Timestamp(9)).await.unwrap();
    let (times, consumer) = delivered(&flaky).await;
    assert_eq!(times, [1, 2, 5, 6]);
    // Two messages, and a tick on each channel.
    assert_eq!(consumer.status().merge.counts.fenced, 4);
}

#[tokio::test]
async fn of_two_that_open_at_once_the_log_decides() {
    for delay in 0..40 {
        let flaky = flaky().await;
        let transport = flaky.arc();
        let second = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            open(&transport, config()).await
        };
        let (a, b) = futures::join!(open(&transport, config()), second);
        let mut counted = Vec::new();
        let mut confirmed = 0;
        for (opened, times) in [(a, [1, 2]), (b, [3, 4])] {
            let Ok((mut stream, _)) = opened else { continue };
            stream.produce(pack(times)).await.unwrap();
            if stream.confirm().await.is_ok() {
                confirmed += 1;
                counted.extend(times);
                stream.end(Timestamp(9)).await.unwrap();
            }
        }
        assert_eq!(confirmed, 1, "delay {delay}");
        assert_eq!(delivered(&flaky).await.0, counted, "delay {delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn confirming_goes_on_where_it_looked_last_and_survives_faults() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    for fault in [Fault::None, Fault::LostAck, Fault::Refused, Fault::Late] {
        flaky.fail("home", [fault]);
        stream.confirm().await.unwrap();
    }
    assert!(flaky.is_done());
    assert_eq!(stream.session_counts().confirmed, 4);
    let homes = flaky.script().starts.iter().filter(|(channel, _)| channel == "home").count();
    assert_eq!(homes, 1);
}

#[tokio::test]
async fn closing_waits_for_a_base_that_nobody_waits_for_any_more() {
    let flaky = flaky().await;
    let at_home = SessionConfig::new("p").with_home("a");
    let (mut stream, _) = open(&flaky.arc(), at_home).await.unwrap();
    flaky.hold.send_replace(true);
    assert!(stream.confirm().now_or_never().is_none());
    let mut closing = Box::pin(stream.close());
    assert!((&mut closing).now_or_never().is_none());
    flaky.hold.send_replace(false);
    closing.await.unwrap();
    assert_eq!(log(&flaky, "a").await, ["fence=1", "base=0", "base=0", "bye="]);
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_confirm() {
    let mut stream = MsgStream::new(common::mem(&AB).await);
    stream.create_producers(&AB).await.unwrap();
    stream.start().unwrap();
    let refused = stream.confirm().await;
    assert!(matches!(refused, Err(Error::NoSession { operation: "confirm" })), "{refused:?}");
}
