//! Channels that can't be read for a while, on the paused clock of the runtime.

use std::time::Duration;

use msgstream_core::transport::{Start, TransportErrorKind};
use msgstream_core::{ConsumerConfig, Error, LatePolicy, MsgPack};
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance, sleep, timeout};
use tracing::Level;

use crate::log::Log;
use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::{Entry, Rig};
use crate::{consuming, no_pack_yet, times, to_end};

const SECOND: Duration = Duration::from_secs(1);
/// What is tried again unless set.
const RETRY_FOR: Duration = Duration::from_secs(60);

fn log(offset: u64) -> Vec<Entry> {
    let mut log: Vec<_> = (1..50).flat_map(|i| [Msg(i * 10 - offset), Tick(i * 10)]).collect();
    log.push(End(500));
    log
}

/// Two channels, and the packs of them.
async fn rig() -> (Rig, Vec<MsgPack>) {
    let rig = Rig::new(&[("a", &log(1)), ("b", &log(2))]).await;
    let wanted = to_end(&mut consuming(rig.shared(), &["a", "b"], config()).await).await;
    (rig, wanted)
}

fn config() -> ConsumerConfig {
    ConsumerConfig::default().with_max_records(4)
}

fn same(got: &[MsgPack], wanted: &[MsgPack]) {
    assert_eq!(times(got), times(wanted));
    assert!(got.iter().zip(wanted).all(|(got, wanted)| got.end == wanted.end));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_ridden_out_and_the_packs_are_the_same() {
    let (rig, wanted) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    let mut packs = vec![stream.consume().await.unwrap().unwrap()];
    rig.goes_down("b");
    let (begin, outage) = (Instant::now(), 50 * SECOND);
    let back = async {
        sleep(outage).await;
        rig.is_back("b");
    };
    let (rest, ()) = tokio::join!(to_end(&mut stream), back);
    packs.extend(rest);
    same(&packs, &wanted);
    // No more than a pause later, and no more often than the pauses allow.
    let took = begin.elapsed();
    assert!(took >= outage && took <= outage + SECOND, "{took:?}");
    let tries = rig.plan().reads.iter().filter(|channel| *channel == "b").count();
    assert!(tries < 200, "{tries} reads");
}

#[tokio::test(start_paused = true)]
async fn a_longer_outage_is_an_error_that_names_the_channel_and_the_stream_goes_on() {
    let (rig, wanted) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    rig.goes_down("b");
    // Each call that meets the outage tries for as long again.
    for _ in 0..2 {
        let begin = Instant::now();
        let Err(Error::Transport(error)) = stream.consume().await else { panic!("no error") };
        assert_eq!(error.channel(), Some("b"));
        assert!(matches!(error.kind(), TransportErrorKind::Unavailable { .. }), "{error}");
        let took = begin.elapsed();
        assert!(took >= RETRY_FOR - 2 * SECOND && took <= RETRY_FOR, "{took:?}");
    }
    rig.is_back("b");
    same(&to_end(&mut stream).await, &wanted);
}

#[tokio::test(start_paused = true)]
async fn the_status_says_which_channel_is_away_since_when_and_why() {
    let (rig, _) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    assert_eq!(stream.status().outages, []);
    rig.goes_down("b");
    timeout(10 * SECOND, stream.consume()).await.unwrap_err();
    let status = stream.status();
    let [outage] = &*status.outages else { panic!("{:?}", status.outages) };
    assert_eq!((&*outage.channel, outage.since), ("b", 10 * SECOND));
    assert!(outage.failures > 10, "{outage}");
    assert!(outage.error.contains("no leader"), "{outage}");
    let line =
        format!("channel `b` could not be read for 10.0 s ({} attempts): read of", outage.failures);
    assert!(status.to_string().contains(&line), "{status}");
    // Also once the caller was told, until it is over.
    stream.consume().await.unwrap_err();
    let since = stream.status().outages[0].since;
    assert!(since > RETRY_FOR - 2 * SECOND, "{since:?}");
    rig.is_back("b");
    stream.consume().await.unwrap();
    assert_eq!(stream.status().outages, []);
}

#[tokio::test(start_paused = true)]
async fn the_log_says_once_that_a_channel_is_away_and_once_that_it_is_back() {
    let (rig, _) = rig().await;
    let log = Log::start();
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    for outage in 1..=2 {
        rig.goes_down("b");
        // Less than after which a stream says what it waits for.
        while let Ok(pack) = timeout(8 * SECOND, stream.consume()).await {
            pack.unwrap();
        }
        let warnings = log.lines(Level::WARN);
        assert_eq!(warnings.len(), outage, "{warnings:?}");
        let warning = &warnings[outage - 1];
        assert!(warning.contains("channel=\"b\"") && warning.contains("no leader"), "{warning}");
        assert_eq!(log.lines(Level::INFO).len(), outage - 1);
        rig.is_back("b");
        // What is there now, and no more: another read of `b` must fail.
        stream.consume().await.unwrap().unwrap();
        let infos = log.lines(Level::INFO);
        assert_eq!(infos.len(), outage, "{infos:?}");
        assert!(infos[outage - 1].contains("channel=\"b\""), "{infos:?}");
    }
    let tries = log.lines(Level::DEBUG);
    assert!(tries.len() > 10, "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn what_time_cant_mend_is_an_error_at_once() {
    let (rig, wanted) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    let gone = TransportErrorKind::NotFound;
    rig.plan().down.insert("b".to_owned(), gone.clone());
    let begin = Instant::now();
    let Err(Error::Transport(error)) = stream.consume().await else { panic!("no error") };
    assert_eq!((error.channel(), error.kind()), (Some("b"), &gone));
    assert_eq!((begin.elapsed(), stream.status().outages), (Duration::ZERO, vec![]));

    // Also where it was away before.
    rig.goes_down("b");
    timeout(10 * SECOND, stream.consume()).await.unwrap_err();
    rig.plan().down.insert("b".to_owned(), gone.clone());
    let Err(Error::Transport(error)) = stream.consume().await else { panic!("no error") };
    assert_eq!((error.kind(), stream.status().outages), (&gone, vec![]));
    rig.is_back("b");
    same(&to_end(&mut stream).await, &wanted);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_consume_loses_nothing_and_the_outage_goes_on() {
    let (rig, wanted) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    rig.goes_down("b");
    let (slice, mut polled) = (Duration::from_millis(700), Duration::ZERO);
    let error = loop {
        let begin = Instant::now();
        let consumed = timeout(slice, stream.consume()).await;
        polled += begin.elapsed();
        if let Ok(consumed) = consumed {
            break consumed.unwrap_err();
        }
        // Nobody tries meanwhile, so it doesn't count.
        advance(10 * RETRY_FOR).await;
    };
    assert!(matches!(&error, Error::Transport(e) if e.channel() == Some("b")), "{error}");
    assert!(polled >= RETRY_FOR - 2 * SECOND && polled <= RETRY_FOR + SECOND, "{polled:?}");
    rig.is_back("b");
    same(&to_end(&mut stream).await, &wanted);
}

#[tokio::test(start_paused = true)]
async fn the_other_channels_are_read_meanwhile() {
    let logs = [log(1), log(2), log(3)];
    let rig = Rig::new(&[("a", &logs[0]), ("b", &logs[1]), ("c", &logs[2])]).await;
    let mut stream = consuming(rig.shared(), &["a", "b", "c"], config()).await;
    rig.goes_down("b");
    // Less than a first pause.
    timeout(Duration::from_millis(4), stream.consume()).await.unwrap_err();
    let status = stream.status();
    let read: Vec<_> = status.merge.channels.iter().map(|c| c.buffered).collect();
    assert_eq!(read, [49, 0, 49]);
}

#[tokio::test(start_paused = true)]
async fn packs_that_dont_need_the_channel_come_meanwhile() {
    let rig = Rig::new(&[("a", &log(1)), ("b", &[Msg(3), Tick(300)])]).await;
    let gate = rig.gate("a");
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    no_pack_yet(&mut stream).await;
    rig.goes_down("b");
    // Until the last read of `b` is over, and others have failed.
    timeout(3 * SECOND, stream.consume()).await.unwrap_err();
    assert_eq!(stream.status().outages.len(), 1);
    gate.add_permits(Semaphore::MAX_PERMITS);
    let begin = Instant::now();
    for pack in 1..=30 {
        assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, pack * 10);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    stream.consume().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_cant_be_read_isnt_silent() {
    let idle = 10 * SECOND;
    let config =
        ConsumerConfig::default().with_late_policy(LatePolicy::Deliver).with_idle_after(idle);
    let rig = Rig::new(&[("a", &[Msg(1), Tick(5), End(9)]), ("b", &[])]).await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config).await;
    // Silent for a while, but not for long enough.
    timeout(idle / 2, stream.consume()).await.unwrap_err();
    rig.goes_down("b");
    timeout(4 * idle, stream.consume()).await.unwrap_err();
    assert_eq!(stream.status().merge.counts.idled, 0);
    rig.is_back("b");
    let begin = Instant::now();
    assert_eq!(stream.consume().await.unwrap().unwrap().end_ts.0, 5);
    let silence = begin.elapsed();
    assert!(silence >= idle && silence < 2 * idle, "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_away_can_be_removed_and_added_again() {
    let (rig, _) = rig().await;
    let mut stream = consuming(rig.shared(), &["a", "b"], config()).await;
    rig.goes_down("b");
    timeout(10 * SECOND, stream.consume()).await.unwrap_err();
    stream.remove_channel("b").unwrap();
    assert_eq!(stream.status().outages, []);
    let first = stream.consume().await.unwrap().unwrap();
    assert_eq!(times(&[first]), [(10, vec![9])]);
    rig.is_back("b");
    // In the same place, while the pause of before isn't over.
    stream.create_consumers(None, &["b"], Start::Earliest).await.unwrap();
    assert_eq!(to_end(&mut stream).await.iter().map(|p| p.msgs.len()).sum::<usize>(), 48 + 48);
}
