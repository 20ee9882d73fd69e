//! The futures of the streams run on any thread.

use std::sync::Arc;

use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{ConsumerConfig, MsgPack, TickSource, Timestamp, TtMsgStream};

/// It compiles: a program may await all of this in a spawned task.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_stream_can_be_awaited_in_a_task() {
    let transport = crate::common::mem(&["a"]).await;
    tokio::spawn(producing(transport.clone())).await.unwrap();
    tokio::spawn(consuming(transport)).await.unwrap();
}

async fn producing(transport: Arc<dyn Transport>) {
    let mut stream = MsgStream::new(transport);
    stream.create_producers(&["a"]).await.unwrap();
    stream.create_consumers(Some("plain"), &["a"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    stream.ready().await.unwrap();
    stream.produce(MsgPack::new(vec![crate::common::insert(1, 0).into()])).await.unwrap();
    stream.submit(MsgPack::new(vec![crate::common::insert(2, 0).into()])).unwrap().await.unwrap();
    stream.broadcast(&MsgPack::new(vec![crate::common::insert(3, 0).into()])).await.unwrap();
    stream.tick(Timestamp(5)).await.unwrap();
    stream.end(Timestamp(6)).await.unwrap();
    let pack = stream.consume().await.unwrap().unwrap();
    stream.ack(&pack).await.unwrap();
    stream.seek("a", Start::Earliest).await.unwrap();
    stream.resume(&pack.start).await.unwrap();
    stream.close().await.unwrap();
}

async fn consuming(transport: Arc<dyn Transport>) {
    let mut stream = TtMsgStream::new(transport, ConsumerConfig::default()).unwrap();
    stream.create_consumers(Some("aligned"), &["a"], Start::Earliest).await.unwrap();
    stream.start().unwrap();
    let pack = stream.consume().await.unwrap().unwrap();
    stream.ack(&pack.end).await.unwrap();
    stream.resume(Some("aligned"), &pack.start, |_| TickSource::Written).await.unwrap();
    let again = stream.consume().await.unwrap().unwrap();
    assert_eq!((pack.msgs.len(), again.msgs.len()), (3, 3));
    assert!(stream.consume().await.unwrap().is_some());
    assert!(stream.consume().await.unwrap().is_none());
}
