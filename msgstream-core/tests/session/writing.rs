//! What fails is written again, in order, and consumers take it once.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::message::TimeTickMsg;
use msgstream_core::transport::{Fate, Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{Error, Message, MsgPack, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};

use crate::faults::Fault;
use crate::{config, delivered, flaky, log, open, pack, session};

#[tokio::test]
async fn messages_bear_numbers_and_ticks_the_last_one() {
    let flaky = flaky().await;
    let (mut stream, last) = session(&flaky).await;
    assert_eq!(last, [0, 0]);
    stream.produce(pack(1..=5)).await.unwrap();
    stream.tick(Timestamp(5)).await.unwrap();
    stream.produce(pack([7])).await.unwrap();
    stream.tick(Timestamp(9)).await.unwrap();
    stream.end(Timestamp(10)).await.unwrap();
    stream.close().await.unwrap();
    let a = ["fence=1", "base=0", "2#1", "4#2", "t5#2", "t9#2", "t10#2", "bye="];
    assert_eq!(log(&flaky, "a").await, a);
    let b = ["fence=1", "base=0", "1#1", "3#2", "5#3", "t5#3", "7#4", "t9#4", "t10#4", "bye="];
    assert_eq!(log(&flaky, "b").await, b);
    assert_eq!(log(&flaky, "home").await, ["fence=1", "bye="]);
    let counts = stream.session_counts();
    assert_eq!((counts.opened, counts.fences_sent, counts.goodbyes), (1, 3, 3));
    assert_eq!(counts.resent_batches, 0);
}

/// Produces ten messages under faults of channel `a`, and gives the counts.
async fn under(faults: Vec<Fault>) -> (msgstream_core::produce::SessionCounts, Vec<String>) {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.fail("a", faults);
    flaky.hold.send_replace(true);
    let mut receipts = Vec::new();
    for ts in [2, 4, 6, 8, 10] {
        receipts.push(stream.submit(pack([ts, ts + 20])).unwrap());
    }
    flaky.hold.send_replace(false);
    for receipt in receipts {
        assert_eq!(receipt.await.unwrap().positions("a").len(), 2);
    }
    stream.end(Timestamp(50)).await.unwrap();
    stream.close().await.unwrap();
    assert!(flaky.is_done());
    let (times, consumer) = delivered(&flaky).await;
    assert_eq!(times, [2, 4, 6, 8, 10, 22, 24, 26, 28, 30]);
    let merge = consumer.status().merge.counts;
    assert_eq!((merge.missing, merge.fenced), (0, 0));
    (stream.session_counts(), log(&flaky, "a").await)
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_repeats_records_and_consumers_take_them_once() {
    let (counts, log) = under(vec![Fault::None, Fault::LostAck]).await;
    assert_eq!((counts.resent_batches, counts.resent_records), (4, 8));
    assert_eq!((counts.unknown_resolved, counts.reopened_writers), (4, 1));
    assert_eq!(log.iter().filter(|l| l.starts_with("24#")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_sent_again_with_all_that_follows() {
    let (counts, log) = under(vec![Fault::None, Fault::Refused]).await;
    assert_eq!((counts.resent_batches, counts.reopened_writers), (4, 1));
    assert_eq!(log.iter().filter(|l| l.contains('#')).count(), 11);
}

#[tokio::test(start_paused = true)]
async fn holes_are_filled_in_order() {
    let (counts, log) = under(vec![Fault::None, Fault::Holes(1)]).await;
    // Of the second batch one is stored, of what follows all, and all of it comes again.
    assert_eq!((counts.resent_batches, counts.resent_records), (4, 7));
    let a = ["2#1", "22#2", "4#3", "6#5", "26#6", "8#7", "28#8", "10#9", "30#10", "24#4", "6#5"];
    assert_eq!(log[2..13], a);
}

#[tokio::test(start_paused = true)]
async fn failures_while_sending_again_are_failures_like_any() {
    let all = [Fault::LostAck, Fault::Refused, Fault::Holes(0), Fault::None, Fault::Holes(1)];
    let (counts, _) = under(all.to_vec()).await;
    assert_eq!(counts.reopened_writers, 4);
    assert!(counts.unknown_resolved > 0 && counts.gave_up == 0);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_cant_be_opened_is_tried_again() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.fail("a", [Fault::LostAck]);
    let away = TransportErrorKind::Unavailable { reason: "away".to_owned() };
    let opens = vec![away.clone(), away, TransportErrorKind::TimedOut { after: Duration::ZERO }];
    flaky.script().opens.insert("a".to_owned(), opens.into());
    stream.produce(pack([2])).await.unwrap();
    assert!(flaky.is_done());
    assert_eq!(stream.session_counts().reopened_writers, 1);
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_the_outcome_is_unknown_and_a_new_session_goes_on() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    stream.produce(pack([2, 4])).await.unwrap();
    flaky.fail("a", [Fault::LostAck]);
    let lost = stream.submit(pack([6])).unwrap();
    flaky.script().down = Some("a".to_owned());
    let begin = tokio::time::Instant::now();
    let never = stream.submit(pack([8])).unwrap();
    let Err(Error::Produce(error)) = lost.await else { panic!("nothing was acknowledged") };
    let (_, rest) = error.failed().next().unwrap();
    assert_eq!((rest.records, rest.fate), (1, Fate::Unknown));
    let waited = begin.elapsed();
    assert!(waited > Duration::from_secs(58) && waited <= Duration::from_secs(60), "{waited:?}");
    let Err(Error::Produce(error)) = never.await else { panic!("it is down") };
    assert_eq!(*error.failed().next().unwrap().1.error.kind(), TransportErrorKind::Poisoned);

    let Err(Error::Transport(error)) = stream.produce(pack([10])).await else { panic!("ended") };
    assert_eq!(*error.kind(), TransportErrorKind::Poisoned);
    assert!(matches!(stream.tick(Timestamp(20)).await, Err(Error::Produce(_))));
    assert_eq!(stream.session_counts().gave_up, 1);

    flaky.script().down = None;
    let opened = stream.create_session(config(), &crate::AB).await.unwrap();
    assert_eq!(opened.last["a"], 4, "both are stored all the same");
    stream.produce(pack([10])).await.unwrap();
    stream.end(Timestamp(20)).await.unwrap();
    assert_eq!(delivered(&flaky).await.0, [2, 4, 6, 8, 10]);
}

#[tokio::test(start_paused = true)]
async fn what_cant_succeed_ends_at_once() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    let denied = TransportErrorKind::Denied { reason: "no".to_owned() };
    flaky.fail("a", [Fault::Final(denied.clone())]);
    let begin = tokio::time::Instant::now();
    let Err(Error::Produce(error)) = stream.produce(pack([2])).await else { panic!("denied") };
    let (_, rest) = error.failed().next().unwrap();
    assert_eq!((rest.fate, rest.error.kind()), (Fate::NotStored, &denied));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_was_created_again_is_not_the_same() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    let transport = flaky.arc();
    transport.delete("a").await.unwrap();
    transport.create("a").await.unwrap();
    flaky.fail("a", [Fault::Refused]);
    let Err(Error::Produce(error)) = stream.produce(pack([2])).await else { panic!("replaced") };
    let kind = error.failed().next().unwrap().1.error.kind().clone();
    assert!(matches!(kind, TransportErrorKind::WrongIncarnation { .. }), "{kind}");
    assert!(log(&flaky, "a").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_broker_may_store_what_was_sent_again_much_later() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.fail("a", [Fault::Late]);
    stream.produce(pack([2, 4])).await.unwrap();
    stream.produce(pack([6])).await.unwrap();
    flaky.release().await;
    stream.end(Timestamp(9)).await.unwrap();
    let (times, consumer) = delivered(&flaky).await;
    assert_eq!(times, [2, 4, 6]);
    assert_eq!(consumer.status().merge.counts.duplicates, 2);
}

#[tokio::test]
async fn what_is_in_flight_is_bounded() {
    let flaky = flaky().await;
    let small = config().with_window_bytes(1000);
    let (mut stream, _) = open(&flaky.arc(), small).await.unwrap();
    flaky.hold.send_replace(true);
    let mut receipts = Vec::new();
    while let Some(ready) = stream.ready().now_or_never() {
        ready.unwrap();
        receipts.push(stream.submit(pack([2])).unwrap());
    }
    assert!((2..10).contains(&receipts.len()), "{}", receipts.len());
    let (waiting, ()) = futures::join!(stream.ready(), async {
        flaky.hold.send_replace(false);
    });
    waiting.unwrap();
}

#[tokio::test]
async fn a_tick_among_messages_waits_for_those_before_it() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.hold.send_replace(true);
    let tick: Message = TimeTickMsg::new(Timestamp(3)).into();
    let mut mixed: MsgPack = pack([1, 2]);
    mixed.msgs.push(tick);
    mixed.msgs.extend(pack([4]).msgs);
    {
        let mut broadcast = Box::pin(stream.broadcast(&mixed));
        for _ in 0..100 {
            assert!(futures::poll!(&mut broadcast).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(log(&flaky, "a").await[2..], ["1#1", "2#2"]);
        flaky.hold.send_replace(false);
        let stored = broadcast.await.unwrap();
        assert_eq!(stored.positions("a").len(), 4);
    }
    assert_eq!(log(&flaky, "a").await[2..], ["1#1", "2#2", "t3#2", "4#3"]);
    assert_eq!(stream.session_counts().held_back, 2);
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_doesnt_tick_tells_its_number_each_minute() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    for ts in [2, 4] {
        stream.produce(pack([ts])).await.unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
    }
    stream.produce(pack([6])).await.unwrap();
    let a = ["fence=1", "base=0", "2#1", "base=1", "4#2", "base=2", "6#3"];
    assert_eq!(log(&flaky, "a").await, a);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_writes_nothing_more() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.fail("a", [Fault::Refused]);
    let receipt = stream.submit(pack([2])).unwrap();
    drop(stream);
    assert!(matches!(receipt.await, Err(Error::Produce(_))));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(log(&flaky, "a").await, ["fence=1", "base=0"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_needs_to_wait_for_receipts() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    flaky.fail("a", [Fault::LostAck, Fault::Refused]);
    drop(stream.submit(pack([2])).unwrap());
    while log(&flaky, "a").await.len() < 4 || !flaky.is_done() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(log(&flaky, "a").await[2..], ["2#1", "2#1"]);
}

#[tokio::test]
async fn what_the_channel_wont_take_is_refused_before_it_has_a_number() {
    let config_of_mem = MemConfig::default().with_max_payload(1);
    let transport: Arc<dyn Transport> = Arc::new(MemTransport::new(config_of_mem));
    for channel in ["home", "a", "b"] {
        transport.create(channel).await.unwrap();
    }
    let (mut stream, _) = open(&transport, config()).await.unwrap();
    let refused = stream.produce(pack([2])).await.unwrap_err();
    let Error::Transport(error) = &refused else { panic!("{refused:?}") };
    assert!(matches!(error.kind(), TransportErrorKind::TooLarge { .. }), "{error}");
    // Nothing was in flight, so nothing waits or was tried again.
    stream.close().await.unwrap();
    assert_eq!(stream.session_counts().resent_batches, 0);
}
