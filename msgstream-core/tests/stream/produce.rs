//! Producing: split, stored in order, and the truth about what failed.

use std::sync::Arc;

use futures::FutureExt;
use msgstream_core::error::ProduceError;
use msgstream_core::message::TimeTickMsg;
use msgstream_core::record::END_HEADER;
use msgstream_core::repack::{HashKeys, RepackError, Repacked};
use msgstream_core::transport::{Fate, Transport, TransportErrorKind, TransportExt as _};
use msgstream_core::{Error, Message, MsgPack, MsgType, StoredMessage, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};

use crate::common::{Trick, insert, mem};
use crate::{consuming, error, producing, records, times};

pub(crate) const AB: [&str; 2] = ["a", "b"];

/// Messages with these times; the time is the hash key too.
pub(crate) fn pack(times: impl IntoIterator<Item = u64>) -> MsgPack {
    times.into_iter().map(|ts| insert(ts, ts as u32)).collect()
}

pub(crate) fn failure(error: Error) -> ProduceError {
    let Error::Produce(error) = error else { panic!("{error}") };
    error
}

#[tokio::test]
async fn a_pack_is_split_and_stored_in_order() {
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    let first = stream.produce(pack(1..=9)).await.unwrap();
    let second = stream.produce(pack([10, 12])).await.unwrap();
    assert_eq!(times(&transport, "a").await, [2, 4, 6, 8, 10, 12]);
    assert_eq!(times(&transport, "b").await, [1, 3, 5, 7, 9]);

    let stored: Vec<_> = [first.positions("a"), second.positions("a")].concat();
    let there = records(&transport, "a").await;
    assert_eq!(stored, there.iter().map(|r| r.position).collect::<Vec<_>>());
    assert_eq!(first.positions("b").len(), 5);
    assert_eq!(second.positions("b"), []);
    assert_eq!(first.channels.iter().map(|c| &*c.channel).collect::<Vec<_>>(), AB);
}

#[tokio::test]
async fn an_empty_pack_is_stored_at_once() {
    let mut stream = producing(mem(&AB).await, &AB).await;
    assert!(stream.produce(MsgPack::default()).await.unwrap().channels.is_empty());
}

#[tokio::test]
async fn packs_are_pipelined() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.hold.send_replace(true);
    let mut receipts = Vec::new();
    for ts in 1..=20 {
        stream.ready().await.unwrap();
        receipts.push(stream.submit(pack([ts])).unwrap());
    }
    assert!(receipts[0].clone().now_or_never().is_none());
    trick.hold.send_replace(false);
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!(times(&trick, "a").await, (1..=20).filter(|t| t % 2 == 0).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_closure_decides() {
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    stream.set_repack(|msgs: Vec<Message>, keys: &HashKeys, channels: usize| {
        assert_eq!((keys.of(0), channels), ([7].as_slice(), 2));
        Ok::<Repacked, RepackError>([(1, MsgPack::new(msgs))].into())
    });
    stream.produce(MsgPack::from_iter([insert(1, 7)])).await.unwrap();
    assert_eq!(times(&transport, "b").await, [1]);
}

#[tokio::test]
async fn a_repack_that_fails_sends_nothing() {
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    for named in [vec![0, 2], vec![]] {
        stream.set_repack(move |msgs: Vec<Message>, _: &HashKeys, _: usize| {
            let mut msgs = msgs.into_iter();
            let packs = named.iter().map(|c| (*c, MsgPack::new(msgs.by_ref().take(1).collect())));
            Ok::<Repacked, RepackError>(packs.collect())
        });
        match error(stream.produce(pack([1, 2])).await) {
            Error::Repack(RepackError::NoSuchChannel { channel: 2, channels: 2 })
            | Error::Repack(RepackError::NoChannel { messages: 2 }) => {}
            other => panic!("{other}"),
        }
    }
    stream.set_repack(|_: Vec<Message>, _: &HashKeys, _: usize| {
        Err::<Repacked, _>(RepackError::other("no"))
    });
    assert!(matches!(error(stream.submit(pack([1]))), Error::Repack(RepackError::Other(_))));
    assert_eq!(times(&transport, "a").await, [0; 0]);
    assert_eq!(times(&transport, "b").await, [0; 0]);
}

#[tokio::test]
async fn no_hash_key_and_ticks_are_refused() {
    let mut stream = producing(mem(&AB).await, &AB).await;
    let no_key = insert(1, 0).with_hash_keys([]);
    let refused = error(stream.produce(MsgPack::from_iter([no_key])).await);
    assert!(matches!(refused, Error::Repack(RepackError::NoHashKey { index: 0, .. })), "{refused}");
    let tick = TimeTickMsg::new(Timestamp(1)).with_hash_keys([1]);
    let refused = error(stream.produce(MsgPack::from_iter([tick])).await);
    assert!(matches!(refused, Error::Repack(RepackError::Tick { index: 0 })), "{refused}");
}

#[tokio::test]
async fn an_oversized_message_is_refused_before_anything_is_sent() {
    let config = MemConfig::default().with_max_payload(100);
    let transport: Arc<dyn Transport> = Arc::new(MemTransport::new(config));
    for channel in AB {
        transport.create(channel).await.unwrap();
    }
    let mut stream = producing(transport.clone(), &AB).await;
    let mut large = insert(3, 1).into_body();
    large.collection_name = "x".repeat(200);
    let large = msgstream_core::message::InsertMsg::new(large).with_hash_keys([1]);
    let refused = error(stream.produce(MsgPack::from_iter([insert(2, 0), large])).await);
    let Error::Transport(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.channel(), Some("b"));
    assert!(matches!(refused.kind(), TransportErrorKind::TooLarge { limit: 100, bytes: 200.. }));

    stream.produce(pack([4, 5])).await.unwrap();
    assert_eq!(times(&transport, "a").await, [4]);
    assert_eq!(times(&transport, "b").await, [5]);
}

#[tokio::test]
async fn what_one_channel_refuses_is_sent_to_none() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.plan().max_payload.insert("b".to_owned(), 1);
    let refused = [
        error(stream.produce(pack([1, 2])).await),
        error(stream.submit(pack([1, 2]))),
        error(stream.broadcast(&pack([2])).await),
        error(stream.tick(Timestamp(2)).await),
    ];
    for refused in refused {
        let Error::Transport(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused.channel(), Some("b"));
        assert!(matches!(refused.kind(), TransportErrorKind::TooLarge { limit: 1, .. }));
    }
    stream.produce(pack([4])).await.unwrap();
    assert_eq!(times(&trick, "a").await, [4]);
    assert_eq!(times(&trick, "b").await, [0; 0]);
}

#[tokio::test]
async fn a_failed_write_tells_each_channels_outcome_and_poisons_the_writer() {
    for fate in [Fate::NotStored, Fate::Unknown] {
        let trick = Trick::new(&AB).await;
        let mut stream = producing(Arc::new(trick.clone()), &AB).await;
        trick.plan().fail_write.insert("b".to_owned(), (2, fate));
        let failed = failure(error(stream.produce(pack(1..=10)).await));

        assert_eq!(failed.channels[0].stored.len(), 5);
        assert!(failed.channels[0].rest.is_none());
        let (outcome, rest) = failed.failed().next().unwrap();
        assert_eq!((&*outcome.channel, outcome.stored.len()), ("b", 2));
        assert_eq!((rest.records, rest.fate), (3, fate));
        assert_eq!(times(&trick, "b").await, [1, 3]);

        let poisoned = error(stream.produce(pack([11, 12])).await);
        let Error::Transport(poisoned) = poisoned else { panic!("{poisoned}") };
        assert_eq!(*poisoned.kind(), TransportErrorKind::Poisoned);
        assert_eq!(times(&trick, "a").await.len(), 5);

        stream.create_producers(&AB).await.unwrap();
        stream.produce(pack([5, 7, 9])).await.unwrap();
        assert_eq!(times(&trick, "b").await, [1, 3, 5, 7, 9]);
        stream.tick(Timestamp(10)).await.unwrap();
    }
}

#[tokio::test]
async fn a_broadcast_is_stored_in_every_channel() {
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    let stored = stream.broadcast(&pack(1..=3)).await.unwrap();
    assert_eq!(stored.channels.iter().map(|c| c.stored.len()).sum::<usize>(), 6);
    for channel in AB {
        assert_eq!(times(&transport, channel).await, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_broadcast_tells_each_channels_outcome() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.plan().fail_write.insert("a".to_owned(), (1, Fate::NotStored));
    let failed = failure(error(stream.broadcast(&pack(1..=3)).await));
    let stored: Vec<_> = failed.channels.iter().map(|c| c.stored.len()).collect();
    assert_eq!(stored, [1, 3]);
    assert_eq!(failed.failed().count(), 1);
}

#[tokio::test]
async fn what_was_consumed_is_broadcast_as_the_bytes_it_came_as() {
    let transport = mem(&["a", "b", "c"]).await;
    let mut from = producing(transport.clone(), &["a"]).await;
    from.produce(pack([1])).await.unwrap();
    // Not a message of its type at all: it must not be decoded.
    let mut raw = records(&transport, "a").await.remove(0);
    raw.payload = b"\xff\xffnot protobuf".as_slice().into();
    let raw: Message = StoredMessage::new("a".into(), raw).into();
    from.broadcast(&MsgPack::from_iter([raw])).await.unwrap();

    let read = consuming(transport.clone(), &["a"]).await.consume().await.unwrap().unwrap();
    let mut to = producing(transport.clone(), &["b", "c"]).await;
    to.broadcast(&read).await.unwrap();
    let refused = error(to.produce(read).await);
    assert!(matches!(refused, Error::Repack(RepackError::NoHashKey { .. })), "{refused}");
    let source = records(&transport, "a").await;
    assert_eq!(source.len(), 2);
    assert_eq!(records(&transport, "b").await, source);
    assert_eq!(records(&transport, "c").await, source);
}

#[tokio::test]
async fn a_tick_waits_until_everything_before_it_is_acknowledged() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.hold.send_replace(true);
    // Nobody waits for the receipt.
    drop(stream.submit(pack([1, 3])).unwrap());
    let ticks = async {
        let mut tick = Box::pin(stream.tick(Timestamp(3)));
        for _ in 0..100 {
            assert!(futures::poll!(&mut tick).is_pending());
            tokio::task::yield_now().await;
        }
        // Not even on the channel that has nothing to wait for.
        assert_eq!(times(&trick, "a").await, [0; 0]);
        assert_eq!(times(&trick, "b").await, [1, 3]);
        trick.hold.send_replace(false);
        tick.await
    };
    let ticked = ticks.await.unwrap();
    assert_eq!(ticked.channels.len(), 2);
    for (channel, expected) in AB.iter().zip([&[3_u64][..], &[1, 3, 3]]) {
        assert_eq!(times(&trick, channel).await, expected);
        let last = records(&trick, channel).await.pop().unwrap();
        assert_eq!(last.meta.msg_type, MsgType::TIME_TICK);
        assert_eq!(last.header(END_HEADER), None);
    }
}

#[tokio::test]
async fn no_tick_is_sent_after_a_failure_until_the_producers_are_created_again() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.plan().fail_write.insert("b".to_owned(), (0, Fate::Unknown));
    drop(stream.submit(pack([1])).unwrap());
    for _ in 0..2 {
        let failed = failure(error(stream.tick(Timestamp(5)).await));
        assert_eq!(failed.failed().next().unwrap().1.fate, Fate::Unknown);
    }
    assert_eq!(times(&trick, "a").await, [0; 0]);
    stream.create_producers(&AB).await.unwrap();
    stream.tick(Timestamp(5)).await.unwrap();
    assert_eq!(times(&trick, "a").await, [5]);
}

#[tokio::test]
async fn ticks_may_repeat_and_go_back_but_not_be_the_last_of_all() {
    let transport = mem(&["a"]).await;
    let mut stream = producing(transport.clone(), &["a"]).await;
    for ts in [5, 5, 3] {
        stream.tick(Timestamp(ts)).await.unwrap();
    }
    let at_max = MsgPack::from_iter([TimeTickMsg::new(Timestamp::MAX)]);
    assert!(matches!(error(stream.tick(Timestamp::MAX).await), Error::LastTick));
    assert!(matches!(error(stream.end(Timestamp::MAX).await), Error::LastTick));
    assert!(matches!(error(stream.broadcast(&at_max).await), Error::LastTick));
    assert_eq!(times(&transport, "a").await, [5, 5, 3]);
}

#[tokio::test]
async fn nothing_follows_an_end() {
    let transport = mem(&AB).await;
    let mut stream = producing(transport.clone(), &AB).await;
    stream.produce(pack([1, 2])).await.unwrap();
    stream.end(Timestamp(9)).await.unwrap();
    assert!(matches!(error(stream.produce(pack([10])).await), Error::Ended { .. }));
    assert!(matches!(error(stream.submit(pack([10]))), Error::Ended { .. }));
    assert!(matches!(error(stream.broadcast(&pack([10])).await), Error::Ended { .. }));
    assert!(matches!(error(stream.tick(Timestamp(10)).await), Error::Ended { .. }));
    assert!(matches!(error(stream.end(Timestamp(10)).await), Error::Ended { .. }));
    for channel in AB {
        let last = records(&transport, channel).await.pop().unwrap();
        assert_eq!(last.meta.timestamp, Timestamp(9));
        assert_eq!(last.header(END_HEADER).unwrap(), "1");
    }
    stream.close().await.unwrap();
}

#[tokio::test]
async fn a_close_waits_and_tells_of_a_failure_that_nobody_saw() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    drop(stream.submit(pack([2])).unwrap());
    trick.plan().fail_write.insert("b".to_owned(), (0, Fate::NotStored));
    drop(stream.submit(pack([1])).unwrap());
    assert_eq!(failure(error(stream.close().await)).failed().count(), 1);
    stream.close().await.unwrap();
    assert_eq!(times(&trick, "a").await, [2]);
}

#[tokio::test]
async fn a_produce_cancelled_before_the_writers_are_ready_sends_nothing() {
    let trick = Trick::new(&AB).await;
    let mut stream = producing(Arc::new(trick.clone()), &AB).await;
    trick.full.send_replace(true);
    assert!(stream.produce(pack([1, 2])).now_or_never().is_none());
    assert!(stream.broadcast(&pack([1, 2])).now_or_never().is_none());
    assert!(stream.tick(Timestamp(2)).now_or_never().is_none());
    assert!(stream.end(Timestamp(2)).now_or_never().is_none());
    trick.full.send_replace(false);
    stream.produce(pack([3])).await.unwrap();
    assert_eq!(times(&trick, "a").await, [0; 0]);
    assert_eq!(times(&trick, "b").await, [3]);
}
