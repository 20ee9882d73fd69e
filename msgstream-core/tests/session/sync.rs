//! Many producers on the same channels, and one that ticks for them.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::produce::TimeSync;
use msgstream_core::produce::{SessionConfig, fence};
use msgstream_core::transport::Transport;
use msgstream_core::{MsgStream, Timestamp};
use tokio::time::Instant;

use crate::{AB, delivered, flaky, pack};

async fn join(transport: &Arc<dyn Transport>, name: &str) -> MsgStream {
    let mut stream = MsgStream::new(transport.clone());
    stream.create_session(of(name), &AB).await.unwrap();
    stream.start().unwrap();
    stream
}

fn of(name: &str) -> SessionConfig {
    SessionConfig::new(name).with_home("home")
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_expires_is_fenced_and_the_tick_moves() {
    let flaky = flaky().await;
    let transport = flaky.arc();
    let (a, b) = ("p1", "p2");
    let (mut first, mut second) = (join(&transport, "p1").await, join(&transport, "p2").await);
    let mut ticks = join(&transport, "sync").await;
    let mut sync = TimeSync::new(Duration::from_secs(10));
    let now = || Instant::now().into_std();
    sync.join(a, now());
    sync.join(b, now());

    first.produce(pack([1, 2])).await.unwrap();
    second.produce(pack([3, 4])).await.unwrap();
    first.confirm().await.unwrap();
    second.confirm().await.unwrap();
    sync.report(a, Timestamp(5), now()).unwrap();
    sync.report(b, Timestamp(4), now()).unwrap();
    ticks.tick(sync.tick().unwrap()).await.unwrap();

    tokio::time::advance(Duration::from_secs(11)).await;
    first.produce(pack([11, 12])).await.unwrap();
    sync.report(a, Timestamp(20), now()).unwrap();
    assert_eq!(sync.expire(now()), [b.into()]);
    assert_eq!(sync.tick(), None, "it might still write");
    let stood = fence(&transport, of("p2"), &AB).await.unwrap();
    assert_eq!((stood.last["a"], stood.last["b"]), (1, 1));
    sync.fenced(b);
    ticks.tick(sync.tick().unwrap()).await.unwrap();

    // It wasn't gone, only slow: without the fence these would be late.
    second.produce(pack([7, 8])).await.unwrap();
    assert!(second.confirm().await.is_err());
    second.create_session(of("p2"), &AB).await.unwrap();
    assert_eq!(sync.join(b, now()), Some(Timestamp(20)));
    second.produce(pack([27, 28])).await.unwrap();
    ticks.end(Timestamp(30)).await.unwrap();
    let (times, consumer) = delivered(&flaky).await;
    assert_eq!(times, [1, 2, 3, 4, 11, 12, 27, 28]);
    assert_eq!(consumer.status().merge.counts.fenced, 2);
    assert_eq!(consumer.status().merge.counts.late, 0);
}
