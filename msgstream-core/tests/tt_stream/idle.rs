//! The clock of idleness, on the paused clock of the runtime.

use std::time::Duration;

use msgstream_core::merge::ChannelState;
use msgstream_core::record::Record;
use msgstream_core::{ConsumerConfig, Error, LatePolicy};
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance, timeout};

use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::{Entry, Rig, write};
use crate::{consuming, no_pack_yet, once, to_end};

const IDLE: Duration = Duration::from_secs(10);

fn idling() -> ConsumerConfig {
    ConsumerConfig::default().with_late_policy(LatePolicy::Deliver).with_idle_after(IDLE)
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_idle_after_so_much_silence_and_not_before() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5)]), ("b", &[])]).await;
    let mut stream = consuming(rig.shared(), &["a", "b"], idling()).await;
    let begin = Instant::now();
    assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, 5);
    let silence = begin.elapsed();
    assert!(silence >= IDLE && silence < 2 * IDLE, "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_polls_doesnt_count() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5)]), ("b", &[])]).await;
    let mut stream = consuming(rig.shared(), &["a", "b"], idling()).await;
    // Long enough for the stream to have seen that `b` is silent.
    assert!(timeout(IDLE / 2, stream.consume()).await.is_err());
    advance(20 * IDLE).await;
    let begin = Instant::now();
    assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, 5);
    let silence = begin.elapsed();
    assert!(silence >= IDLE / 3, "idle after {silence:?} more");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_on_its_way_is_no_silence() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5), End(9)]), ("b", &[Msg(2), End(9)])]).await;
    let gate = rig.gate("b");
    let mut stream = consuming(rig.shared(), &["a", "b"], idling()).await;
    assert!(timeout(20 * IDLE, stream.consume()).await.is_err());
    assert_eq!(stream.status().merge.counts.idled, 0);
    gate.add_permits(Semaphore::MAX_PERMITS);
    let packs = to_end(&mut stream).await;
    assert!(!packs.iter().flat_map(|p| &p.msgs).any(|m| m.is_late()));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_paused_isnt_silent() {
    let mut ahead: Vec<_> = (1..=100).flat_map(|n| [Msg(n * 10 - 1), Tick(n * 10)]).collect();
    ahead.push(End(1001));
    let rig = Rig::new(&[("ahead", &ahead), ("behind", &[Msg(1), End(1001)])]).await;
    let gate = rig.gate("behind");
    let config = idling().with_budget_bytes(40 * (Record::OVERHEAD + 100));
    let mut stream = consuming(rig.shared(), &["ahead", "behind"], config).await;
    assert!(timeout(20 * IDLE, stream.consume()).await.is_err());
    let status = stream.status();
    assert_eq!(status.merge.channels[0].state, ChannelState::Paused);
    assert_eq!(status.merge.counts.idled, 0);
    gate.add_permits(Semaphore::MAX_PERMITS);
    let packs = to_end(&mut stream).await;
    assert_eq!(packs.iter().map(|p| p.msgs.len()).sum::<usize>(), 101);
    assert!(!packs.iter().flat_map(|p| &p.msgs).any(|m| m.is_late()));
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_is_read_however_much_it_holds() {
    // So much that there is little room left, without a tick.
    let messages: Vec<Entry> = (0..74).map(|n| Msg(100 + n)).collect();
    let rig = Rig::new(&[("a", &messages)]).await;
    let config = idling().with_budget_bytes(100 * (Record::OVERHEAD + 100));
    let mut stream = consuming(rig.shared(), &["a"], config).await;
    assert!(timeout(5 * IDLE, stream.consume()).await.is_err());
    assert_eq!(stream.status().merge.channels[0].state, ChannelState::Idle);
    no_pack_yet(&mut stream).await;
    write(&rig, "a", &[Tick(500)]).await;
    let pack = stream.consume().await.unwrap().unwrap();
    assert_eq!((pack.end_ts.0, pack.msgs.len()), (500, 74));
    assert!(once(stream.consume()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_isnt_asked_more_often_than_any() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5)]), ("b", &[])]).await;
    let mut stream = consuming(rig.shared(), &["a", "b"], idling()).await;
    stream.consume().await.unwrap();
    assert!(timeout(2 * IDLE, stream.consume()).await.is_err());
    rig.plan().reads.clear();
    assert!(timeout(6 * IDLE, stream.consume()).await.is_err());
    let reads = rig.plan().reads.len();
    assert!(reads < 300, "{reads} reads of two silent channels in a minute");
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_is_read_even_where_the_budget_is_used_up() {
    let messages: Vec<Entry> = (0..50).map(|n| Msg(100 + n)).collect();
    let rig = Rig::new(&[("a", &messages)]).await;
    let cost = Record::OVERHEAD + 100;
    let mut stream = consuming(rig.shared(), &["a"], idling().with_budget_bytes(100 * cost)).await;
    assert!(timeout(5 * IDLE, stream.consume()).await.is_err());
    stream.set_budget_bytes(40 * cost);
    assert!(timeout(5 * IDLE, stream.consume()).await.is_err());
    write(&rig, "a", &[Tick(500)]).await;
    assert_eq!(stream.consume().await.unwrap().unwrap().msgs.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_too_small_is_told_while_several_channels_are_idle() {
    let mut log: Vec<Entry> = (0..100).map(|n| Msg(100 + n)).collect();
    log.insert(0, Tick(5));
    log.push(Tick(500));
    let silent: &[Entry] = &[Tick(5)];
    let rig = Rig::new(&[("a", silent), ("b", silent), ("c", silent), ("full", &log)]).await;
    let config = idling().with_budget_bytes(40 * (Record::OVERHEAD + 100));
    let mut stream = consuming(rig.shared(), &["a", "b", "c", "full"], config).await;
    assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, 5);
    let refused = timeout(20 * IDLE, stream.consume()).await.expect("it is told");
    assert!(matches!(refused, Err(Error::WindowTooLarge { .. })), "{refused:?}");
    stream.set_budget_bytes(400 * (Record::OVERHEAD + 100));
    let pack = timeout(20 * IDLE, stream.consume()).await.unwrap().unwrap().unwrap();
    assert_eq!((pack.end_ts.0, pack.msgs.len()), (500, 100));
}

#[tokio::test(start_paused = true)]
async fn a_silence_of_any_length_may_be_asked_for() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5)])]).await;
    let mut stream = consuming(rig.shared(), &["a"], idling().with_idle_after(Duration::MAX)).await;
    stream.consume().await.unwrap();
    assert!(timeout(5 * IDLE, stream.consume()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn late_records_cant_become_errors_where_channels_may_be_idle() {
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5)])]).await;
    let mut stream = consuming(rig.shared(), &["a"], idling()).await;
    let refused = stream.set_late_policy(LatePolicy::Error);
    assert!(matches!(refused, Err(Error::Config { .. })), "{refused:?}");
    assert_eq!(stream.consume().await.unwrap().unwrap().msgs.len(), 1);
}

#[tokio::test]
async fn a_bound_past_the_last_timestamp_is_none() {
    let now = msgstream_core::Timestamp::from_system_time(std::time::SystemTime::now()).unwrap();
    for years in [3000, 1_000_000_000] {
        let rig = Rig::new(&[("a", &[Tick(now.0)])]).await;
        let ahead = Duration::from_secs(years * 365 * 86_400);
        let config = ConsumerConfig::default().with_max_tick_ahead(ahead);
        let mut stream = consuming(rig.shared(), &["a"], config).await;
        assert_eq!(stream.consume().await.unwrap().unwrap().end_ts, now);
    }
}
