//! Ticks that are submitted like packs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::transport::Fate;
use msgstream_core::{Error, Timestamp};
use tokio::time::timeout;

use crate::common::{Trick, mem};
use crate::produce::{AB, failure, pack};
use crate::{error, producing, times};

#[tokio::test]
async fn a_message_behind_a_tick_that_was_submitted_is_refused() {
    fn behind<T>(refused: msgstream_core::Result<T>) -> Option<(u64, u64)> {
        match refused {
            Err(Error::BehindTick { ts, tick, .. }) => Some((ts.0, tick.0)),
            _ => None,
        }
    }
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    // It counts from the moment when it is submitted, for whatever comes after it.
    let tick = stream.submit_tick(Timestamp(5)).unwrap();
    assert_eq!(behind(stream.submit(pack([7, 5]))), Some((5, 5)));
    stream.submit_tick(Timestamp(3)).unwrap().await.unwrap();
    assert_eq!(behind(stream.produce(pack([4])).await), Some((4, 5)));
    assert_eq!(behind(stream.broadcast(&pack([2])).await), Some((2, 5)));
    tick.await.unwrap();
    stream.produce(pack([6])).await.unwrap();
    assert_eq!(times(&transport, "a").await.len() + times(&transport, "b").await.len(), 5);

    // Who may be late says so.
    stream.set_allow_late(true);
    stream.create_producers(&AB).await.unwrap();
    stream.tick(Timestamp(9)).await.unwrap();
    stream.produce(pack([8])).await.unwrap();
}

#[tokio::test]
async fn messages_are_written_ahead_of_a_tick_that_waits() {
    let trick = Trick::new(&["a"]).await;
    let mut stream = producing(Arc::new(trick.clone()), &["a"]).await;
    trick.hold.send_replace(true);
    let first = stream.submit(pack([1])).unwrap();
    let tick = stream.submit_tick(Timestamp(1)).unwrap();
    let second = stream.submit(pack([2])).unwrap();
    assert_eq!(times(&trick, "a").await, [1, 2]);
    trick.hold.send_replace(false);
    for receipt in [first, tick, second] {
        receipt.await.unwrap();
    }
    assert_eq!(times(&trick, "a").await, [1, 2, 1]);
}

#[tokio::test]
async fn a_tick_that_waits_for_what_failed_is_not_stored() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.plan().fail_write.insert("b".to_owned(), (0, Fate::Unknown));
    drop(stream.submit(pack([1])).unwrap());
    let failed = failure(error(stream.submit_tick(Timestamp(5)).unwrap().await));
    let failed: Vec<_> = failed.failed().map(|(on, rest)| (&*on.channel, rest.fate)).collect();
    assert_eq!(failed, [("b", Fate::NotStored)]);
    assert_eq!(times(&trick, "a").await, [5]);
}

#[tokio::test]
async fn a_channel_takes_no_more_while_so_many_ticks_wait() {
    let trick = Trick::new(&["a"]).await;
    let mut stream = producing(Arc::new(trick.clone()), &["a"]).await;
    trick.hold.send_replace(true);
    drop(stream.submit(pack([1])).unwrap());
    let mut waiting = 0;
    while waiting < 2000 && stream.ready().now_or_never().is_some() {
        drop(stream.submit_tick(Timestamp(1)).unwrap());
        waiting += 1;
        // Polling without a pause is limited.
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting, 1024);
    trick.hold.send_replace(false);
    stream.ready().await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(times(&trick, "a").await.len(), 1025);
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_written_if_what_it_waits_for_is_stored_while_the_writer_is_full() {
    let trick = Trick::new(&["a"]).await;
    let mut stream = producing(Arc::new(trick.clone()), &["a"]).await;
    trick.hold.send_replace(true);
    let message = stream.submit(pack([1])).unwrap();
    let tick = stream.submit_tick(Timestamp(1)).unwrap();
    trick.full.send_replace(true);
    {
        let mut ready = pin!(stream.ready());
        assert!(futures::poll!(&mut ready).is_pending());
        trick.hold.send_replace(false);
        message.await.unwrap();
        trick.full.send_replace(false);
        ready.await.unwrap();
    }
    timeout(Duration::from_secs(60), tick).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_dropped_stream_has_sent_has_receipts_and_nothing_else_is_sent() {
    let trick = Trick::new(&["a"]).await;
    let mut stream = producing(Arc::new(trick.clone()), &["a"]).await;
    trick.hold.send_replace(true);
    let [first, second] = [1, 2].map(|ts| stream.submit(pack([ts])).unwrap());
    let tick = stream.submit_tick(Timestamp(2)).unwrap();
    drop(stream);
    let unsent = failure(error(tick.await));
    assert_eq!(unsent.failed().next().unwrap().1.fate, Fate::NotStored);
    trick.hold.send_replace(false);
    for receipt in [first, second] {
        assert_eq!(receipt.await.unwrap().positions("a").len(), 1);
    }
    assert_eq!(times(&trick, "a").await, [1, 2]);
}
