//! Consuming: in order per channel, in turn, from where it was left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Start, Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{Checkpoint, Error, Mark, MsgPack, Timestamp};

use crate::common::{Trick, insert, mem};
use crate::{consuming, decoded, error, one_channel, producing, times};

fn pack(times: impl IntoIterator<Item = u64>) -> MsgPack {
    times.into_iter().map(|ts| insert(ts, 0)).collect()
}

/// Writes messages with these times to one channel.
async fn write(
    transport: &Arc<dyn Transport>,
    channel: &str,
    times: impl IntoIterator<Item = u64>,
) {
    let mut stream = producing(transport.clone(), &[channel]).await;
    stream.produce(pack(times)).await.unwrap();
}

async fn next(stream: &mut MsgStream) -> MsgPack {
    stream.consume().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_pack_is_one_batch_of_one_channel() {
    let transport = mem(&["a", "b"]).await;
    write(&transport, "a", 1..=3).await;
    write(&transport, "b", 4..=5).await;
    let mut stream = consuming(transport, &["a", "b"]).await;
    let mut got = BTreeMap::new();
    for _ in 0..2 {
        let pack = next(&mut stream).await;
        assert_eq!(pack.begin_ts, pack.msgs.iter().map(|m| m.begin_ts()).min());
        assert_eq!(pack.end_ts, pack.msgs.iter().map(|m| m.end_ts()).max().unwrap());
        got.insert(one_channel(&pack).to_owned(), decoded(&pack));
    }
    assert_eq!(got["a"], [1, 2, 3]);
    assert_eq!(got["b"], [4, 5]);
}

#[tokio::test]
async fn a_busy_channel_doesnt_keep_another_waiting() {
    let transport = mem(&["a", "b", "c"]).await;
    write(&transport, "a", 1..=5_000).await;
    for channel in ["b", "c"] {
        write(&transport, channel, [7]).await;
    }
    let mut stream = consuming(transport, &["a", "b", "c"]).await;
    let mut turns = Vec::new();
    for _ in 0..3 {
        turns.push(one_channel(&next(&mut stream).await).to_owned());
    }
    turns.sort();
    assert_eq!(turns, ["a", "b", "c"]);
}

#[tokio::test]
async fn dropping_a_pending_consume_loses_nothing() {
    let transport = mem(&["a", "b"]).await;
    let mut stream = consuming(transport.clone(), &["a", "b"]).await;
    let mut to = producing(transport.clone(), &["a", "b"]).await;
    let mut got: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut cancelled = 0;
    for ts in 1..=300_u64 {
        to.produce(MsgPack::from_iter([insert(ts, ts as u32)])).await.unwrap();
        for _ in 0..3 {
            let consumed = {
                let consume = std::pin::pin!(stream.consume());
                futures::poll!(consume)
            };
            match consumed {
                std::task::Poll::Pending => cancelled += 1,
                std::task::Poll::Ready(pack) => {
                    let pack = pack.unwrap().unwrap();
                    got.entry(one_channel(&pack).to_owned()).or_default().extend(decoded(&pack));
                }
            }
        }
    }
    while got.values().map(Vec::len).sum::<usize>() < 300 {
        let pack = next(&mut stream).await;
        got.entry(one_channel(&pack).to_owned()).or_default().extend(decoded(&pack));
    }
    assert!(cancelled > 100, "{cancelled} were cancelled");
    assert_eq!(got["a"], (1..=300).filter(|ts| ts % 2 == 0).collect::<Vec<_>>());
    assert_eq!(got["b"], (1..=300).filter(|ts| ts % 2 == 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_waiting_consume_wakes_on_a_write() {
    let transport = mem(&["a", "b"]).await;
    let mut stream = consuming(transport.clone(), &["a", "b"]).await;
    let consume = tokio::spawn(async move { decoded(&next(&mut stream).await) });
    tokio::task::yield_now().await;
    write(&transport, "b", [5]).await;
    assert_eq!(consume.await.unwrap(), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_channel_is_waited_for() {
    let transport = mem(&["a"]).await;
    let mut stream = consuming(transport.clone(), &["a"]).await;
    let long = std::time::Duration::from_secs(3_600);
    assert!(tokio::time::timeout(long, stream.consume()).await.is_err());
    write(&transport, "a", [5]).await;
    assert_eq!(decoded(&next(&mut stream).await), [5]);
}

#[tokio::test]
async fn a_subscription_goes_on_where_it_was_acknowledged() {
    let transport = mem(&["a"]).await;
    write(&transport, "a", 1..=3_000).await;
    let open = async || {
        let mut stream = MsgStream::new(transport.clone());
        stream.create_consumers(Some("s"), &["a"], Start::Earliest).await.unwrap();
        stream.start().unwrap();
        stream
    };
    let mut stream = open().await;
    let first = next(&mut stream).await;
    let second = next(&mut stream).await;
    stream.ack(&first).await.unwrap();
    // Read, but not acknowledged: it comes again.
    let mut again = open().await;
    assert_eq!(decoded(&next(&mut again).await), decoded(&second));
    stream.ack(&second).await.unwrap();
    // A cursor doesn't go back.
    stream.ack(&first).await.unwrap();
    let rest = next(&mut open().await).await;
    assert_eq!(decoded(&rest)[0], decoded(&second).last().unwrap() + 1);
}

#[tokio::test]
async fn a_new_subscription_starts_where_it_is_told() {
    let transport = mem(&["a"]).await;
    write(&transport, "a", [1]).await;
    let mut stream = MsgStream::new(transport.clone());
    stream.create_consumers(Some("s"), &["a"], Start::Latest).await.unwrap();
    // Before the start, but after the consumers: it is not missed.
    write(&transport, "a", [2]).await;
    stream.start().unwrap();
    assert_eq!(decoded(&next(&mut stream).await), [2]);
}

#[tokio::test]
async fn an_ack_needs_a_subscription_and_a_channel_of_the_stream() {
    let transport = mem(&["a", "b"]).await;
    write(&transport, "a", [1]).await;
    let mut stream = consuming(transport.clone(), &["a"]).await;
    let pack = next(&mut stream).await;
    let refused = error(stream.ack(&pack).await);
    assert!(matches!(&refused, Error::NoSubscription { channel } if channel == "a"), "{refused}");
    let mut other = consuming(transport, &["b"]).await;
    let refused = error(other.ack(&pack).await);
    assert!(matches!(&refused, Error::NotConsumed { channel } if channel == "a"), "{refused}");
}

#[tokio::test]
async fn a_pack_comes_again_from_its_start_and_not_from_its_end() {
    let transport = mem(&["a", "b"]).await;
    write(&transport, "a", 1..=2_500).await;
    let mut stream = consuming(transport.clone(), &["a", "b"]).await;
    let first = next(&mut stream).await;
    let second = next(&mut stream).await;
    stream.resume(&second.start).await.unwrap();
    assert_eq!(decoded(&next(&mut stream).await), decoded(&second));
    stream.resume(&first.start).await.unwrap();
    assert_eq!(decoded(&next(&mut stream).await), decoded(&first));
    stream.resume(&second.end).await.unwrap();
    assert_eq!(decoded(&next(&mut stream).await)[0], decoded(&second).last().unwrap() + 1);

    stream.seek("a", Start::Latest).await.unwrap();
    write(&transport, "a", [9_000]).await;
    assert_eq!(decoded(&next(&mut stream).await), [9_000]);
    let position = second.msgs[0].position().unwrap();
    stream.seek("a", Start::After(position)).await.unwrap();
    assert_eq!(decoded(&next(&mut stream).await)[0], decoded(&second)[1]);
}

#[tokio::test]
async fn a_checkpoint_of_a_deleted_channel_is_refused() {
    let transport = mem(&["a"]).await;
    write(&transport, "a", 1..=3).await;
    let old = next(&mut consuming(transport.clone(), &["a"]).await).await;
    transport.delete("a").await.unwrap();
    transport.create("a").await.unwrap();
    write(&transport, "a", 11..=15).await;

    let mut stream = consuming(transport.clone(), &["a"]).await;
    let Error::Transport(refused) = error(stream.resume(&old.start).await) else { panic!() };
    assert!(matches!(refused.kind(), TransportErrorKind::WrongIncarnation { .. }), "{refused}");
    // The place is kept.
    assert_eq!(decoded(&next(&mut stream).await), (11..=15).collect::<Vec<_>>());
}

#[tokio::test]
async fn seeking_in_another_channel_is_refused() {
    let transport = mem(&["a", "b"]).await;
    let mut stream = consuming(transport, &["a"]).await;
    let refused = error(stream.seek("b", Start::Earliest).await);
    assert!(matches!(&refused, Error::NotConsumed { channel } if channel == "b"), "{refused}");
    let mut elsewhere = Checkpoint::default();
    elsewhere.channels.insert("b".into(), Mark::default());
    assert!(matches!(error(stream.resume(&elsewhere).await), Error::NotConsumed { .. }));
}

#[tokio::test]
async fn a_failed_read_keeps_its_place_and_the_others_go_on() {
    let trick = Trick::new(&["a", "b"]).await;
    let transport: Arc<dyn Transport> = Arc::new(trick.clone());
    write(&transport, "a", [1]).await;
    write(&transport, "b", [2]).await;
    trick.plan().fail_read.insert("a".to_owned());
    let mut stream = consuming(transport, &["a", "b"]).await;
    stream.set_retry_for(Duration::ZERO);
    let mut failures = 0;
    let mut got = Vec::new();
    while got.len() < 2 {
        match stream.consume().await {
            Ok(pack) => got.extend(decoded(&pack.unwrap())),
            Err(Error::Transport(error)) => {
                assert_eq!(error.channel(), Some("a"));
                failures += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    got.sort();
    assert_eq!((got, failures), (vec![1, 2], 1));
}

#[tokio::test]
async fn a_stream_ends_with_its_channels() {
    let transport = mem(&["a", "b"]).await;
    let mut to = producing(transport.clone(), &["a", "b"]).await;
    to.produce(MsgPack::from_iter([insert(1, 0), insert(1, 1)])).await.unwrap();
    to.end(Timestamp(2)).await.unwrap();
    let mut stream = consuming(transport.clone(), &["a", "b"]).await;
    let mut got = Vec::new();
    while let Some(pack) = stream.consume().await.unwrap() {
        got.extend(decoded(&pack));
    }
    assert_eq!(got, [1, 2, 1, 2]);
    assert!(stream.consume().await.unwrap().is_none());
    // An ended channel can be read again.
    stream.seek("b", Start::Earliest).await.unwrap();
    assert_eq!(decoded(&next(&mut stream).await), [1, 2]);
    assert!(stream.consume().await.unwrap().is_none());
    assert_eq!(times(&transport, "b").await, [1, 2]);
}
