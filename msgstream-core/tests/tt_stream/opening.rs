//! Opening and acknowledging while a channel is away, on the paused clock of the runtime.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::checkpoint::MemoryStore;
use msgstream_core::consume::Committer;
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{ConsumerConfig, Error, TickSource, TtMsgStream};
use tokio::time::{Instant, sleep};

use crate::rig::Entry::{End, Msg, Tick};
use crate::rig::Rig;
use crate::to_end;

const SECOND: Duration = Duration::from_secs(1);
const RETRY_FOR: Duration = Duration::from_secs(20);

async fn rig() -> Rig {
    let log = [Msg(1), Tick(5), Msg(6), Tick(10), End(20)];
    Rig::new(&[("a", &log), ("b", &log)]).await
}

fn stream(rig: &Rig) -> TtMsgStream {
    TtMsgStream::new(rig.shared(), ConsumerConfig::default().with_retry_for(RETRY_FOR)).unwrap()
}

/// Has `b` away for this long.
async fn outage(rig: &Rig, time: Duration) {
    rig.goes_down("b");
    sleep(time).await;
    rig.is_back("b");
}

#[tokio::test(start_paused = true)]
async fn what_opens_a_stream_rides_out_an_outage() {
    let rig = rig().await;
    let mut first = stream(&rig);
    let begin = Instant::now();
    let open = async {
        tokio::task::yield_now().await;
        first.create_consumers(Some("s"), &["a", "b"], Start::Earliest).await
    };
    let (_, opened) = tokio::join!(outage(&rig, 15 * SECOND), open);
    opened.unwrap();
    assert!(begin.elapsed() >= 15 * SECOND);
    first.start().unwrap();
    let pack = first.consume().await.unwrap().unwrap();

    let mut second = stream(&rig);
    let begin = Instant::now();
    let resume = async {
        tokio::task::yield_now().await;
        second.resume(Some("s"), &pack.end, |_| TickSource::Written).await
    };
    let (_, resumed) = tokio::join!(outage(&rig, 15 * SECOND), resume);
    resumed.unwrap();
    assert!(begin.elapsed() >= 15 * SECOND);
    second.start().unwrap();
    assert_eq!(to_end(&mut second).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_longer_outage_is_an_error_and_nothing_was_opened() {
    let rig = rig().await;
    rig.goes_down("b");
    let mut stream = stream(&rig);
    let begin = Instant::now();
    let opened = stream.create_consumers(Some("s"), &["a", "b"], Start::Earliest).await;
    let Err(Error::Transport(error)) = opened else { panic!("{opened:?}") };
    assert_eq!((error.channel(), error.operation()), (Some("b"), "subscription"));
    let took = begin.elapsed();
    assert!(took >= RETRY_FOR - 2 * SECOND && took <= RETRY_FOR, "{took:?}");
    assert!(matches!(stream.start(), Err(Error::NoChannels { .. })));
    assert_eq!(rig.readers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_rides_out_an_outage() {
    let rig = rig().await;
    let (mut committer, _) = Committer::open(Arc::new(MemoryStore::default())).await.unwrap();
    let mut stream = stream(&rig);
    stream.create_consumers(Some("s"), &["a", "b"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    let pack = stream.consume().await.unwrap().unwrap();
    let begin = Instant::now();
    let commit = async {
        tokio::task::yield_now().await;
        stream.commit(&mut committer, &pack.end, "").await
    };
    let (_, committed) = tokio::join!(outage(&rig, 15 * SECOND), commit);
    committed.unwrap();
    assert!(begin.elapsed() >= 15 * SECOND);
    let acked = rig.subscription("b", "s").await.unwrap().acked().await.unwrap();
    assert_eq!(acked, pack.end.channels.get("b").map(|mark| mark.resume));

    // One that takes longer is told, and the checkpoint is saved.
    let pack = stream.consume().await.unwrap().unwrap();
    rig.goes_down("b");
    let failed = stream.commit(&mut committer, &pack.end, "").await;
    assert!(matches!(&failed, Err(Error::Transport(e)) if e.operation() == "ack"), "{failed:?}");
    assert_eq!(committer.counts().commits, 2);
}
