//! Opening: what is known of the producer, and who is the newer one of two.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use msgstream_core::produce::{SessionConfig, fence};
use msgstream_core::record::{Header, Meta, Origin, Position, Record, Stamp};
use msgstream_core::transport::{
    Capability, Limit, Start, Transport, TransportErrorKind, TransportExt as _,
};
use msgstream_core::{Error, MsgStream, MsgType, Timestamp};

use crate::faults::{Fault, Flaky, SOME_TIME};
use crate::{AB, config, delivered, flaky, log, open, pack, records, session};

#[tokio::test]
async fn a_session_goes_on_where_the_last_one_ended() {
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    first.produce(pack(1..=5)).await.unwrap();
    first.tick(Timestamp(5)).await.unwrap();
    first.produce(pack([6])).await.unwrap();
    drop(first);
    let (mut second, last) = session(&flaky).await;
    assert_eq!(last, [3, 3]);
    second.produce(pack([7, 8])).await.unwrap();
    second.end(Timestamp(9)).await.unwrap();
    assert_eq!(log(&flaky, "a").await[7..], ["base=3", "8#4", "t9#4"]);
    assert_eq!(delivered(&flaky).await.0, (1..=8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fence_repeats_the_greatest_tick() {
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    first.tick(Timestamp(70)).await.unwrap();
    first.tick(Timestamp(60)).await.unwrap();
    drop(first);
    session(&flaky).await;
    let times: Vec<_> = records(&flaky, "a").await.iter().map(|r| r.meta.timestamp.0).collect();
    assert_eq!(times, [0, 0, 70, 60, 70, 70]);
}

#[tokio::test]
async fn what_a_crash_left_in_doubt_is_told() {
    // 2 is acknowledged; 4, 6 and 8 are in doubt: 4 isn't stored, 6 and 8 are, so 4 is missing.
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    first.produce(pack([2])).await.unwrap();
    flaky.fail("a", [Fault::Holes(0)]);
    flaky.hold.send_replace(true);
    let receipts = [4, 6, 8].map(|ts| first.submit(pack([ts])).unwrap());
    drop((first, receipts));
    flaky.hold.send_replace(false);
    assert_eq!(log(&flaky, "a").await[2..], ["2#1", "6#3", "8#4"]);

    let (mut second, last) = session(&flaky).await;
    assert_eq!(last, [1, 0]);
    second.produce(pack([4, 6, 8])).await.unwrap();
    second.end(Timestamp(9)).await.unwrap();
    let (times, consumer) = delivered(&flaky).await;
    assert_eq!(times, [2, 4, 6, 8]);
    assert_eq!(
        (consumer.status().merge.counts.gaps, consumer.status().merge.counts.missing),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_fence_in_doubt_is_sent_again() {
    for fault in [Fault::LostAck, Fault::Refused, Fault::Late] {
        let flaky = flaky().await;
        flaky.fail("home", [fault.clone(), fault.clone()]);
        flaky.fail("a", [fault.clone()]);
        let (mut stream, opened) = open(&flaky.arc(), config()).await.unwrap();
        assert!(flaky.is_done());
        assert_eq!(stream.session_counts().fences_sent, 6);
        let last = log(&flaky, "home").await.len() as u64 - 1;
        assert_eq!(opened.epoch, Position::new(last), "the one that was acknowledged");
        stream.produce(pack([2])).await.unwrap();
        stream.confirm().await.unwrap();
        stream.end(Timestamp(3)).await.unwrap();
        assert_eq!(delivered(&flaky).await.0, [2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence_of_its_own_that_comes_late_voids_the_session_and_is_found() {
    let flaky = flaky().await;
    flaky.fail("home", [Fault::Late]);
    let (mut stream, opened) = open(&flaky.arc(), config()).await.unwrap();
    stream.confirm().await.unwrap();
    flaky.release().await;
    let Err(Error::Fenced { epoch, by, .. }) = stream.confirm().await else { panic!("fenced") };
    assert!(epoch == opened.epoch && by > epoch);
}

#[tokio::test(start_paused = true)]
async fn opening_keeps_its_deadline() {
    let flaky = flaky().await;
    flaky.script().down = Some("b".to_owned());
    let begin = tokio::time::Instant::now();
    let short = config().with_retry_for(Duration::from_secs(5));
    let Err(Error::Transport(error)) = open(&flaky.arc(), short).await else { panic!("down") };
    assert!(matches!(error.kind(), TransportErrorKind::Unavailable { .. }), "{error}");
    assert_eq!(error.channel(), Some("b"));
    assert!(begin.elapsed() <= Duration::from_secs(5));
}

#[tokio::test]
async fn what_isnt_there_is_said_at_once() {
    let transport = flaky().await.arc();
    let mut stream = MsgStream::new(transport);
    for (home, channels) in [("no", ["a"]), ("home", ["no"])] {
        let config = SessionConfig::new("p").with_home(home);
        let Err(Error::Transport(error)) = stream.create_session(config, &channels).await else {
            panic!("it isn't there")
        };
        assert_eq!((error.kind(), error.channel()), (&TransportErrorKind::NotFound, Some("no")));
    }
    for channels in [&[][..], &["a", "a"]] {
        let refused = stream.create_session(config(), channels).await;
        assert!(matches!(refused, Err(Error::Config { .. })));
    }
    for id in ["", "p q", "p;1", &"x".repeat(65)] {
        let config = SessionConfig::new(id).with_home("home");
        let refused = stream.create_session(config, &["a"]).await;
        assert!(matches!(refused, Err(Error::Config { .. })), "{id}");
    }
}

#[test]
fn without_a_runtime_opening_is_refused() {
    let refused = async { open(&flaky().await.arc(), config()).await.map(drop) };
    let refused = refused.now_or_never().unwrap();
    assert!(matches!(refused, Err(Error::Config { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_home_channel_may_be_one_of_the_channels() {
    let flaky = flaky().await;
    let config = SessionConfig::new("p").with_home("b");
    let (mut stream, opened) = open(&flaky.arc(), config.clone()).await.unwrap();
    assert_eq!(opened.last.len(), 2);
    stream.produce(pack(1..=4)).await.unwrap();
    stream.confirm().await.unwrap();
    stream.produce(pack([5, 6])).await.unwrap();
    assert_eq!(log(&flaky, "b").await, ["fence=1", "base=0", "1#1", "3#2", "base=2", "5#3"]);
    let (mut newer, opened) = open(&flaky.arc(), config).await.unwrap();
    assert_eq!(opened.last.values().copied().collect::<Vec<_>>(), [3, 3]);
    newer.produce(pack([7, 8])).await.unwrap();
    assert!(matches!(stream.confirm().await, Err(Error::Fenced { .. })));
    newer.end(Timestamp(9)).await.unwrap();
    assert_eq!(delivered(&flaky).await.0, (1..=8).collect::<Vec<_>>());
}

async fn starts(flaky: &Flaky, config: SessionConfig) -> (Vec<(String, Start)>, [u64; 2]) {
    flaky.script().starts.clear();
    let (_, opened) = open(&flaky.arc(), config).await.unwrap();
    let mut starts = std::mem::take(&mut flaky.script().starts);
    starts.sort_by(|a, b| a.0.cmp(&b.0));
    (starts, AB.map(|channel| opened.last[channel]))
}

#[tokio::test]
async fn reading_begins_where_the_producer_surely_ticked() {
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    first.produce(pack(1..=6)).await.unwrap();
    first.tick(Timestamp(6)).await.unwrap();
    let ticked = records(&flaky, "a").await.last().unwrap().position;
    first.produce(pack([8, 7])).await.unwrap();
    drop(first);
    // On both channels the same place: the tick of `a` and of `b`.
    flaky.script().since = Some(ticked);
    let since = Start::Time(SOME_TIME);
    let (starts, last) = starts(&flaky, config().with_scan_since(SOME_TIME)).await;
    assert_eq!(last, [4, 4]);
    let wanted = [("a", since), ("b", since), ("home", Start::Earliest)];
    // Their last records are looked at for an end, too.
    let starts: Vec<_> = starts.into_iter().filter(|s| !matches!(s.1, Start::At(_))).collect();
    assert_eq!(starts, wanted.map(|(channel, start)| (channel.to_owned(), start)));
}

#[tokio::test]
async fn without_seeking_by_time_everything_is_read() {
    let mut flaky = flaky().await;
    flaky.can = flaky.can.without(Capability::SeekTime);
    let (starts, _) = starts(&flaky, config().with_scan_since(SOME_TIME)).await;
    assert_eq!(starts, ["a", "b", "home"].map(|channel| (channel.to_owned(), Start::Earliest)));
}

#[tokio::test]
async fn reading_begins_again_where_there_was_no_tick() {
    let flaky = flaky().await;
    let (mut first, _) = session(&flaky).await;
    first.produce(pack([2])).await.unwrap();
    // 4 isn't stored, 6 is: what is read from here on looks as if 6 were the last one.
    flaky.fail("a", [Fault::Holes(0)]);
    flaky.hold.send_replace(true);
    let receipts = [4, 6].map(|ts| first.submit(pack([ts])).unwrap());
    drop((first, receipts));
    flaky.hold.send_replace(false);
    assert_eq!(log(&flaky, "a").await[2..], ["2#1", "6#3"]);
    // Nothing is there since then.
    flaky.script().since = None;
    let (starts, last) = starts(&flaky, config().with_scan_since(SOME_TIME)).await;
    assert_eq!(last, [1, 0]);
    assert_eq!(starts.iter().filter(|(_, s)| *s == Start::Earliest).count(), 3);
    let (stream, _) = open(&flaky.arc(), config().with_scan_since(SOME_TIME)).await.unwrap();
    assert_eq!(stream.session_counts().scans_restarted, 2);
}

#[tokio::test]
async fn a_tick_of_a_fenced_session_tells_nothing() {
    let flaky = flaky().await;
    let (mut older, _) = session(&flaky).await;
    older.produce(pack([2])).await.unwrap();
    let (mut newer, _) = session(&flaky).await;
    newer.produce(pack([4, 6])).await.unwrap();
    let since = flaky.inner.describe("a").await.unwrap().end;
    older.produce(pack([8, 10, 12, 14])).await.unwrap();
    older.tick(Timestamp(90)).await.unwrap();
    assert_eq!(log(&flaky, "a").await[since.offset() as usize..][4], "t90#5");
    flaky.script().since = Some(since);
    let (_, last) = starts(&flaky, config().with_scan_since(SOME_TIME)).await;
    assert_eq!(last, [3, 0]);
}

#[tokio::test]
async fn numbers_that_retention_took_are_not_guessed() {
    let flaky = flaky().await;
    leave_no_number(&flaky).await;
    match open(&flaky.arc(), config()).await {
        Err(Error::NumbersLost { channel, producer }) => {
            assert_eq!((&*channel, &*producer), ("a", "p"))
        }
        other => panic!("{other:?}"),
    }
    let other = SessionConfig::new("q").with_home("home");
    assert_eq!(open(&flaky.arc(), other).await.unwrap().1.last["a"], 0);
}

/// Retention keeps what the newer session needs. What the older one would need may be gone.
#[tokio::test]
async fn numbers_that_only_an_older_session_lacks_mean_that_it_is_fenced() {
    let flaky = flaky().await;
    leave_no_number(&flaky).await;
    let mut newer = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp::MIN), "");
    newer.extra.push(Header::new(Stamp::HEADER, "p;9;fence;1"));
    // So many others are between them that it isn't read with the older session's own fence.
    let mut others = vec![Record::default(); Limit::default().records];
    others.push(newer);
    flaky.fail("a", [Fault::Followed(others)]);
    match open(&flaky.arc(), config()).await {
        Err(Error::Fenced { by, .. }) => assert_eq!(by, Position::new(9)),
        other => panic!("{other:?}"),
    }
}

/// As if retention had taken what was before: a message of an older epoch, and no base.
async fn leave_no_number(flaky: &Flaky) {
    let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(5)), "");
    let origin = Origin { producer: "p".into(), epoch: Position::new(0) };
    record.meta.stamp = Some(Stamp { origin: Arc::new(origin), seq: 6 });
    let mut writer = flaky.inner.writer("a").await.unwrap();
    assert!(writer.submit(vec![record]).await.rest.is_none());
}

#[tokio::test]
async fn a_session_that_is_opened_while_a_newer_one_is_there_says_so() {
    let flaky = flaky().await;
    let transport: Arc<dyn Transport> = flaky.arc();
    // Its home channel is another one, where positions are lower: as if home was created again.
    for _ in 0..3 {
        fence(&transport, config(), &AB).await.unwrap();
    }
    transport.create("other").await.unwrap();
    let other = SessionConfig::new("p").with_home("other");
    let mut stream = MsgStream::new(transport.clone());
    let opened = stream.create_session(other, &AB).await;
    assert!(stream.session_counts().fenced > 0);
    match opened {
        Err(Error::Fenced { epoch, by, .. }) => {
            // The first begins an epoch, the others each follow it.
            assert_eq!((epoch, by), (Position::new(0), Position::from_words([0, 0, 2])));
        }
        other => panic!("{other:?}"),
    }
}

// A program may open and use a session in a spawned task: all futures must be `Send`.
#[tokio::test]
async fn every_call_works_in_a_spawned_task() {
    let transport = flaky().await.arc();
    let task = tokio::spawn(async move {
        fence(&transport, config(), &AB).await.unwrap();
        let (mut stream, _) = open(&transport, config()).await.unwrap();
        stream.produce(pack([1])).await.unwrap();
        stream.confirm().await.unwrap();
        stream.close().await.unwrap();
    });
    task.await.unwrap();
}
