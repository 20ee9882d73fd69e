//! Channels that can't be read for a while, on the paused clock of the runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{Error, MsgPack};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::common::{Trick, insert};
use crate::{consuming, decoded, one_channel, producing};

const SECOND: Duration = Duration::from_secs(1);
const RETRY_FOR: Duration = Duration::from_secs(60);

/// `a` has the messages from 1 on, `b` has those from 10,001 on.
async fn trick() -> (Trick, Arc<dyn Transport>) {
    let trick = Trick::new(&["a", "b"]).await;
    let transport: Arc<dyn Transport> = Arc::new(trick.clone());
    for (channel, first) in [("a", 1), ("b", 10_001)] {
        let messages: MsgPack = (first..first + 3_000).map(|ts| insert(ts, 0)).collect();
        producing(transport.clone(), &[channel]).await.produce(messages).await.unwrap();
    }
    (trick, transport)
}

/// Reads until all is there that [`trick`] wrote.
async fn all(stream: &mut MsgStream, got: &mut BTreeMap<String, Vec<u64>>) -> Result<(), Error> {
    while got.values().map(Vec::len).sum::<usize>() < 6_000 {
        let pack = stream.consume().await?.unwrap();
        got.entry(one_channel(&pack).to_owned()).or_default().extend(decoded(&pack));
    }
    Ok(())
}

fn check(got: &BTreeMap<String, Vec<u64>>) {
    assert!(got["a"].iter().copied().eq(1..=3_000), "{:?}", got["a"]);
    assert!(got["b"].iter().copied().eq(10_001..=13_000), "{:?}", got["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_ridden_out_and_the_others_are_read() {
    let (trick, transport) = trick().await;
    let mut stream = consuming(transport, &["a", "b"]).await;
    trick.plan().down.insert("b".to_owned());
    let mut got = BTreeMap::new();
    timeout(10 * SECOND, all(&mut stream, &mut got)).await.unwrap_err();
    assert_eq!(got.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(got["a"].len(), 3_000);
    let outages = stream.outages();
    let [outage] = &*outages else { panic!("{outages:?}") };
    assert_eq!((&*outage.channel, outage.since), ("b", 10 * SECOND));
    assert!(outage.error.contains("the test says so"), "{outage}");
    trick.plan().down.clear();
    all(&mut stream, &mut got).await.unwrap();
    check(&got);
    assert_eq!(stream.outages(), []);
}

#[tokio::test(start_paused = true)]
async fn a_longer_outage_is_an_error_and_nothing_is_lost() {
    let (trick, transport) = trick().await;
    let mut stream = consuming(transport, &["a", "b"]).await;
    trick.plan().down.insert("b".to_owned());
    let (mut got, mut polled) = (BTreeMap::new(), Duration::ZERO);
    let error = loop {
        // Cancelled again and again.
        let begin = Instant::now();
        let read = timeout(SECOND / 3, all(&mut stream, &mut got)).await;
        polled += begin.elapsed();
        match read {
            Ok(read) => break read.unwrap_err(),
            Err(_) => advance(RETRY_FOR).await,
        }
    };
    assert!(matches!(&error, Error::Transport(e) if e.channel() == Some("b")), "{error}");
    assert!(polled >= RETRY_FOR - 2 * SECOND && polled <= RETRY_FOR + SECOND, "{polled:?}");
    trick.plan().down.clear();
    all(&mut stream, &mut got).await.unwrap();
    check(&got);
}

#[tokio::test(start_paused = true)]
async fn opening_and_seeking_ride_out_an_outage() {
    let (trick, transport) = trick().await;
    let away = async || {
        trick.plan().down.insert("b".to_owned());
        sleep(30 * SECOND).await;
        trick.plan().down.clear();
    };
    let mut stream = MsgStream::new(transport);
    let begin = Instant::now();
    let open = async {
        tokio::task::yield_now().await;
        stream.create_consumers(None, &["a", "b"], Start::Earliest).await
    };
    let (_, opened) = tokio::join!(away(), open);
    opened.unwrap();
    stream.start().unwrap();
    let seek = async {
        tokio::task::yield_now().await;
        stream.seek("b", Start::Earliest).await
    };
    let (_, sought) = tokio::join!(away(), seek);
    sought.unwrap();
    assert!(begin.elapsed() >= 60 * SECOND);
    let mut got = BTreeMap::new();
    all(&mut stream, &mut got).await.unwrap();
    check(&got);
    // With no time for it the first error is returned.
    trick.plan().down.insert("b".to_owned());
    stream.set_retry_for(Duration::ZERO);
    let begin = Instant::now();
    stream.seek("b", Start::Earliest).await.unwrap_err();
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
