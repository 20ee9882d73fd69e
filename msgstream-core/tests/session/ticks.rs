//! Ticks: what is sent ahead of them, what waits for them, and what they promise after a restart.

use msgstream_core::message::TimeTickMsg;
use msgstream_core::produce::SessionConfig;
use msgstream_core::repack::{HashKeys, RepackError, Repacked};
use msgstream_core::{Error, Message, MsgPack, MsgStream, Timestamp};

use crate::faults::{Fault, SOME_TIME};
use crate::{AB, config, flaky, log, open, pack, records, session};

#[tokio::test(start_paused = true)]
async fn a_tick_in_a_pack_of_its_own_waits_for_the_tick_before_it() {
    let flaky = flaky().await;
    let (mut stream, _) = session(&flaky).await;
    let to_first = |msgs: Vec<Message>, _: &HashKeys, _: usize| {
        Ok::<Repacked, RepackError>([(0, MsgPack::new(msgs))].into())
    };
    stream.set_repack(to_first);
    flaky.fail("a", [Fault::Holes(0)]);
    let ticks = [5, 6].map(|ts| MsgPack::from_iter([TimeTickMsg::new(Timestamp(ts))]));
    for receipt in ticks.map(|tick| stream.submit(tick).unwrap()) {
        receipt.await.unwrap();
    }
    assert_eq!(log(&flaky, "a").await[2..], ["t5#0", "t6#0"]);
}

#[tokio::test]
async fn no_more_is_sent_ahead_of_a_tick_than_may_be_in_flight() {
    let flaky = flaky().await;
    let small = config().with_window_bytes(1000);
    let (mut stream, _) = open(&flaky.arc(), small).await.unwrap();
    flaky.hold.send_replace(true);
    drop(stream.submit(pack([2])).unwrap());
    drop(stream.submit_tick(Timestamp(2)).unwrap());
    for _ in 0..20 {
        drop(stream.submit(pack([4])).unwrap());
    }
    let sent = log(&flaky, "a").await.len() - 2;
    assert!((3..10).contains(&sent), "{sent}");
}

/// The channel and the tick that refused a message.
fn behind<T>(refused: msgstream_core::Result<T>) -> Option<(String, u64)> {
    match refused {
        Err(Error::BehindTick { channel, tick, .. }) => Some((channel, tick.0)),
        _ => None,
    }
}

#[tokio::test]
async fn messages_must_be_after_the_ticks_that_were_there_when_a_session_was_opened() {
    for home in ["home", "a"] {
        let flaky = flaky().await;
        let config = || SessionConfig::new("p").with_home(home);
        let (mut first, opened) = open(&flaky.arc(), config()).await.unwrap();
        assert_eq!(AB.map(|channel| opened.watermarks[channel]), [Timestamp::MIN; 2]);
        first.tick(Timestamp(6)).await.unwrap();
        first.tick(Timestamp(5)).await.unwrap();
        let mut other = MsgStream::new(flaky.arc());
        other.create_producers(&["b"]).await.unwrap();
        other.start().unwrap();
        other.tick(Timestamp(8)).await.unwrap();
        drop(first);

        let (mut second, opened) = open(&flaky.arc(), config()).await.unwrap();
        assert_eq!(AB.map(|channel| opened.watermarks[channel].0), [6, 8]);
        assert_eq!(behind(second.produce(pack([6])).await), Some(("a".to_owned(), 6)));
        assert_eq!(behind(second.submit(pack([7]))), Some(("b".to_owned(), 8)));
        second.produce(pack([8, 9])).await.unwrap();
    }
}

#[tokio::test]
async fn a_tick_of_a_fenced_session_refuses_no_message() {
    for (home, fenced, in_the_middle) in
        [("home", "p", false), ("a", "p", false), ("home", "q", false), ("home", "p", true)]
    {
        let flaky = flaky().await;
        let transport = flaky.arc();
        let config = || SessionConfig::new("p").with_home(home);
        let of = |producer: &str| match producer {
            "p" => config(),
            _ => SessionConfig::new(producer),
        };
        let (mut void, _) = open(&transport, of(fenced)).await.unwrap();
        let (newer, _) = open(&transport, of(fenced)).await.unwrap();
        let mut newer =
            if fenced == "p" { newer } else { open(&transport, config()).await.unwrap().0 };
        void.tick(Timestamp(100)).await.unwrap();
        newer.produce(pack([2])).await.unwrap();
        newer.tick(Timestamp(5)).await.unwrap();
        drop((void, newer));
        let mut config = config();
        if in_the_middle {
            let all = records(&flaky, "a").await;
            let tick = all.iter().find(|record| record.meta.timestamp.0 == 100).unwrap();
            flaky.script().since = Some(tick.position);
            config = config.with_scan_since(SOME_TIME);
        }
        let (mut third, opened) = open(&transport, config).await.unwrap();
        assert_eq!(AB.map(|channel| opened.watermarks[channel].0), [5, 5], "{home} {fenced}");
        assert_eq!(behind(third.produce(pack([4])).await), Some(("a".to_owned(), 5)));
        third.produce(pack([6, 7])).await.unwrap();
    }
}
