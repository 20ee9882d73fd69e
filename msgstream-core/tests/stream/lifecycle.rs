//! What is refused before the start, after the close, and without channels.

use msgstream_core::consume::{PackDecoder, PoisonPolicy};
use msgstream_core::service::{CreateChannelsRequest, MessageStreamService};
use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Start, TransportErrorKind};
use msgstream_core::{Checkpoint, Error, MsgPack, Timestamp, UnmarshalDispatcher};

use crate::common::{insert, mem};
use crate::error;

/// The errors of every call that works with channels only, by name.
async fn all_calls(stream: &mut MsgStream) -> Vec<(&'static str, Error)> {
    let pack = MsgPack::default();
    vec![
        ("produce", error(stream.produce(MsgPack::default()).await)),
        ("submit", error(stream.submit(MsgPack::default()))),
        ("ready", error(stream.ready().await)),
        ("broadcast", error(stream.broadcast(&pack).await)),
        ("tick", error(stream.tick(Timestamp(1)).await)),
        ("end", error(stream.end(Timestamp(1)).await)),
        ("consume", error(stream.consume().await)),
    ]
}

#[tokio::test]
async fn before_the_start() {
    let transport = mem(&["a"]).await;
    let mut stream = MsgStream::new(transport.clone());
    stream.create_producers(&["a"]).await.unwrap();
    stream.create_consumers(None, &["a"], Start::Earliest).await.unwrap();
    for (call, error) in all_calls(&mut stream).await {
        let Error::NotStarted { operation } = error else { panic!("{call}: {error}") };
        assert_eq!(operation, call);
    }
    assert_eq!(transport.describe("a").await.unwrap().first, None);
    stream.start().unwrap();
    stream.start().unwrap();
    stream.tick(Timestamp(1)).await.unwrap();
}

#[tokio::test]
async fn without_channels() {
    let mut stream = MsgStream::new(mem(&["a"]).await);
    stream.start().unwrap();
    let mut errors = all_calls(&mut stream).await;
    errors.push(("ack", error(stream.ack(&MsgPack::default()).await)));
    errors.push(("seek", error(stream.seek("a", Start::Latest).await)));
    errors.push(("resume", error(stream.resume(&Checkpoint::default()).await)));
    for (call, error) in errors {
        let Error::NoChannels { operation, create } = error else { panic!("{call}: {error}") };
        assert_eq!(operation, call);
        let consumes = ["consume", "ack", "seek", "resume"].contains(&call);
        assert_eq!(create, if consumes { "create_consumers" } else { "create_producers" });
    }
}

#[tokio::test]
async fn after_the_close() {
    let mut stream = MsgStream::new(mem(&["a"]).await);
    stream.create_producers(&["a"]).await.unwrap();
    stream.create_consumers(None, &["a"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    stream.close().await.unwrap();
    stream.close().await.unwrap();
    let mut errors = all_calls(&mut stream).await;
    errors.push(("start", error(stream.start())));
    errors.push(("ack", error(stream.ack(&MsgPack::default()).await)));
    errors.push(("seek", error(stream.seek("a", Start::Latest).await)));
    errors.push(("resume", error(stream.resume(&Checkpoint::default()).await)));
    errors.push(("create_producers", error(stream.create_producers(&["a"]).await)));
    let consumers = stream.create_consumers(None, &["a"], Start::Latest).await;
    errors.push(("create_consumers", error(consumers)));
    for (call, error) in errors {
        let Error::Closed { operation } = error else { panic!("{call}: {error}") };
        assert_eq!(operation, call);
    }
}

#[tokio::test]
async fn channels_that_cant_be_used() {
    let mut stream = MsgStream::new(mem(&["a", "b"]).await);
    for channels in [&[][..], &["a", "b", "a"]] {
        for error in [
            error(stream.create_producers(channels).await),
            error(stream.create_consumers(None, channels, Start::Earliest).await),
        ] {
            assert!(matches!(&error, Error::Config { .. }), "{error}");
            assert_eq!(error.to_string().contains("`a`"), !channels.is_empty());
        }
    }
    for error in [
        error(stream.create_producers(&["a", "no"]).await),
        error(stream.create_consumers(None, &["a", "no"], Start::Earliest).await),
        error(stream.create_consumers(Some("s"), &["no"], Start::Earliest).await),
    ] {
        let Error::Transport(error) = error else { panic!("{error}") };
        assert_eq!((error.kind(), error.channel()), (&TransportErrorKind::NotFound, Some("no")));
    }
}

// A program may run a stream in a spawned task: all of its futures must be `Send`.
#[tokio::test]
async fn every_call_works_in_a_spawned_task() {
    let transport = mem(&["a", "dead"]).await;
    let task = tokio::spawn(async move {
        let service = MessageStreamService::new(transport.clone());
        service.describe_channels(&["a".into()]).await.unwrap();
        let made = service.create_channels(CreateChannelsRequest::of(1)).await.unwrap();
        service.destroy_channels(&made).await.unwrap();

        let mut stream = MsgStream::new(transport.clone());
        stream.create_producers(&["a"]).await.unwrap();
        stream.create_consumers(Some("s"), &["a"], Start::Earliest).await.unwrap();
        stream.start().unwrap();
        stream.ready().await.unwrap();
        stream.produce(MsgPack::from_iter([insert(1, 1)])).await.unwrap();
        stream.submit(MsgPack::from_iter([insert(2, 1)])).unwrap().await.unwrap();
        stream.broadcast(&MsgPack::from_iter([insert(3, 1)])).await.unwrap();
        stream.tick(Timestamp(4)).await.unwrap();
        stream.end(Timestamp(5)).await.unwrap();

        let policy = PoisonPolicy::DeadLetter("dead".to_owned());
        let dispatcher = UnmarshalDispatcher::new();
        let mut decoder = PackDecoder::new(transport, dispatcher, policy).await.unwrap();
        let pack = stream.consume().await.unwrap().unwrap();
        assert_eq!(decoder.decode(&pack).await.unwrap().len(), 5);
        stream.ack(&pack).await.unwrap();
        stream.seek("a", Start::Earliest).await.unwrap();
        stream.resume(&pack.start).await.unwrap();
        stream.close().await.unwrap();
    });
    task.await.unwrap();
}
