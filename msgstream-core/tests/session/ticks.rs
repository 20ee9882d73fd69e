//! Ticks: what is sent ahead of them, what waits for them, and what they promise after a restart.

use msgstream_core::message::TimeTickMsg;
use msgstream_core::repack::{HashKeys, RepackError, Repacked};
use msgstream_core::{Message, MsgPack, Timestamp};

use crate::faults::Fault;
use crate::{config, flaky, log, open, pack, session};

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
