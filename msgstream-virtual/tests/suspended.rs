//! A future that its caller keeps without polling it holds up nobody. A consumer keeps its reads so
//! between two calls.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use futures::poll;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{ChannelReader, Limit, Start, Transport as _, TransportExt as _};
use msgstream_core::{Consumer, Producer, Timestamp};
use msgstream_mem::MemTransport;
use msgstream_virtual::{Placement, Virtual};
use tokio::time::timeout;

/// Over any wait of these tests. Time is skipped, so nobody waits for it.
const LONG: Duration = Duration::from_secs(3600);

async fn channels() -> Virtual {
    let broker = Arc::new(MemTransport::new(Default::default()));
    broker.create("log_0").await.unwrap();
    Virtual::over(broker, Placement::hash(1, "log"))
}

async fn write(channels: &Virtual, channel: &str) -> Position {
    let mut writer = channels.writer(channel).await.unwrap();
    let outcome = writer.submit(vec![Record::default()]).await;
    assert!(outcome.rest.is_none());
    outcome.stored[0]
}

async fn reader(channels: &Virtual, channel: &str) -> Box<dyn ChannelReader> {
    channels.reader(channel, Start::Earliest).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_read_that_nobody_polls_holds_up_no_other_reader() {
    // At its beginning, in the first read of the hub, and where it reads at the head.
    for polled in [0, 10, 100] {
        let channels = channels().await;
        let [mut kept, mut next, mut other] = [
            reader(&channels, "a").await,
            reader(&channels, "b").await,
            reader(&channels, "c").await,
        ];
        let forever = Limit::default().with_wait(Duration::MAX);
        let mut kept = kept.read(forever);
        assert!(timeout(Duration::from_millis(polled), &mut kept).await.is_err());
        // The next in line isn't polled either.
        let mut next = next.read(forever);
        assert!(timeout(Duration::from_millis(polled), &mut next).await.is_err());

        let brief = Limit::default().with_wait(Duration::from_millis(200));
        let batch = timeout(LONG, other.read(brief)).await.unwrap().unwrap();
        assert!(batch.records.is_empty() && batch.caught_up, "after {polled} ms: {batch:?}");
        let written = write(&channels, "c").await;
        let batch = timeout(LONG, other.read(forever)).await.unwrap().unwrap();
        assert_eq!(batch.records[0].position, written);
        // Those that weren't polled miss nothing.
        for (channel, read) in [("a", kept), ("b", next)] {
            let written = write(&channels, channel).await;
            let batch = timeout(LONG, read).await.unwrap().unwrap();
            assert_eq!(batch.records[0].position, written);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seek_that_nobody_polls_holds_up_no_other_reader() {
    let channels = channels().await;
    let last = write(&channels, "a").await;
    let [mut kept, mut other] = [reader(&channels, "a").await, reader(&channels, "b").await];
    let mut kept = kept.seek(Start::After(last));
    assert!(poll!(&mut kept).is_pending());
    timeout(LONG, other.seek(Start::After(last))).await.unwrap().unwrap();
    kept.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_producer_opens_while_nobody_polls_a_consumer_of_its_channel() {
    // Wherever the consumer's read is.
    for polled in [0, 10, 30, 60, 110] {
        let channels = Arc::new(channels().await);
        let opening = Consumer::builder(channels.clone()).channels(["a"]).open();
        let mut consumer = opening.await.unwrap();
        let none = timeout(Duration::from_millis(polled), consumer.next_pack()).await;
        assert!(none.is_err());
        // So the hub has something to read: the producer looks for an end up to here.
        write(&channels, "another").await;
        let opening = Producer::builder(channels).channels(["a"]).open();
        let producer = timeout(LONG, opening).await.unwrap().unwrap();
        producer.end(Timestamp(7)).await.unwrap();
        let pack = timeout(LONG, consumer.next_pack()).await.unwrap().unwrap();
        assert_eq!(pack.unwrap().end_ts, Timestamp(7));
    }
}
