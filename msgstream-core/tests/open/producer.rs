//! What a producer does from its opening to its end.

use msgstream_core::message::proto::InsertRequest;
use msgstream_core::message::{InsertMsg, Message, TimeTickMsg};
use msgstream_core::produce::SessionConfig;
use msgstream_core::transport::{TransportErrorKind, TransportExt as _};
use msgstream_core::{Consumer, Error, MsgPack, Producer, Timestamp};

use crate::{Apple, apples, mem, producer};

#[tokio::test]
async fn channels_must_be_there_unless_they_are_to_be_made() {
    let broker = mem();
    let refused = Producer::builder(broker.clone()).channels(["a"]).open().await.unwrap_err();
    let Error::Transport(error) = refused else { panic!("{refused}") };
    assert_eq!(*error.kind(), TransportErrorKind::NotFound);
    broker.create("a").await.unwrap();
    producer(&broker, &["a", "b"]).await.close().await.unwrap();
    assert_eq!(broker.list("").await.unwrap(), ["a", "b"]);
    for channels in [&[][..], &["a", "a"]] {
        let builder = Producer::builder(broker.clone()).channels(channels.iter().copied());
        assert!(matches!(builder.open().await, Err(Error::Config { .. })));
    }
}

#[tokio::test]
async fn events_messages_and_packs_are_sent_alike() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    let request = InsertRequest { row_ids: vec![1], timestamps: vec![2], ..Default::default() };
    producer.send(Apple { at: 1, key: 0 }).await.unwrap();
    producer.send(InsertMsg::new(request).with_hash_keys([7])).await.unwrap();
    producer.send(vec![Apple { at: 3, key: 0 }, Apple { at: 4, key: 0 }]).await.unwrap();
    let tick = Message::from(TimeTickMsg::new(Timestamp(4)));
    producer.broadcast(&MsgPack::new(vec![tick])).await.unwrap();
    producer.end(Timestamp(5)).await.unwrap();

    let mut packs = Consumer::builder(broker).channels(["a"]).open().await.unwrap();
    let pack = packs.next_pack().await.unwrap().unwrap();
    let times: Vec<_> = apples(&pack).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [1, 3, 4]);
    let mut inserts = pack.decode::<InsertMsg>();
    let insert = inserts.next().unwrap().unwrap();
    assert_eq!(
        (insert.value.body().row_ids.as_slice(), insert.timestamp),
        (&[1][..], Timestamp(2))
    );
    assert!(inserts.next().is_none() && !insert.late);
    assert_eq!(inserts.others(), 3);
    assert!(packs.next_pack().await.unwrap().unwrap().msgs.is_empty());
    assert!(packs.next_pack().await.unwrap().is_none());
}

#[tokio::test]
async fn receipts_come_in_order_and_a_flush_waits_for_all() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    producer.ready().await.unwrap();
    let first = producer.submit(Apple { at: 1, key: 0 }).unwrap();
    let second = producer.submit(Apple { at: 2, key: 0 }).unwrap();
    producer.flush().await.unwrap();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(first.positions("a") < second.positions("a"));
    assert!(matches!(producer.tick(Timestamp::MAX).await, Err(Error::LastTick)));
    producer.close().await.unwrap();
}

#[tokio::test]
async fn an_ended_channel_is_not_opened_again() {
    let broker = mem();
    producer(&broker, &["a"]).await.end(Timestamp(1)).await.unwrap();
    let refused = Producer::builder(broker).channels(["a"]).open().await.unwrap_err();
    assert!(matches!(&refused, Error::Ended { channel } if channel == "a"), "{refused}");
}

#[tokio::test]
async fn a_session_makes_its_home_and_is_fenced_by_the_next_one() {
    let broker = mem();
    let open = || {
        let builder = Producer::builder(broker.clone()).channels(["a"]).create_missing();
        builder.session(SessionConfig::new("shop")).open()
    };
    let mut first = open().await.unwrap();
    assert_eq!(broker.list("").await.unwrap(), ["a", "shop.home"]);
    first.send(Apple { at: 1, key: 0 }).await.unwrap();
    first.confirm().await.unwrap();

    let mut second = open().await.unwrap();
    assert_eq!(second.opened().last["a"], 1);
    assert!(second.opened().epoch > first.opened().epoch);
    assert!(matches!(first.confirm().await, Err(Error::Fenced { .. })));
    assert!(matches!(first.send(Apple { at: 2, key: 0 }).await, Err(Error::Fenced { .. })));
    second.send(Apple { at: 2, key: 0 }).await.unwrap();
    second.end(Timestamp(2)).await.unwrap();

    let mut packs = Consumer::builder(broker).channels(["a"]).open().await.unwrap();
    let pack = packs.next_pack().await.unwrap().unwrap();
    assert_eq!(apples(&pack), [(1, "a".to_owned()), (2, "a".to_owned())]);
}

#[tokio::test]
async fn a_home_that_was_named_is_not_made() {
    let session = SessionConfig::new("shop").with_home("elsewhere");
    let builder = Producer::builder(mem()).channels(["a"]).create_missing().session(session);
    let Err(Error::Transport(error)) = builder.open().await else { panic!("it was opened") };
    assert_eq!(error.channel(), Some("elsewhere"));
}
