//! The time-aligned stream over transports that do as a test says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/log.rs"]
mod log;

mod errors;
mod eviction;
mod fairness;
mod idle;
mod lifecycle;
mod model;
mod opening;
mod outage;
mod rig;
mod sendable;

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use msgstream_core::transport::{Start, Transport};
use msgstream_core::{ConsumerConfig, MsgPack, TtMsgStream};

/// A started stream of channels from their first record.
async fn consuming(
    transport: Arc<dyn Transport>,
    channels: &[&str],
    config: ConsumerConfig,
) -> TtMsgStream {
    let mut stream = TtMsgStream::new(transport, config).unwrap();
    stream.create_consumers(None, channels, Start::Earliest).await.unwrap();
    stream.start().unwrap();
    stream
}

/// All packs to the end of the stream.
async fn to_end(stream: &mut TtMsgStream) -> Vec<MsgPack> {
    let mut packs = Vec::new();
    while let Some(pack) = stream.consume().await.unwrap() {
        packs.push(pack);
    }
    packs
}

/// The end of each pack and the times in it.
fn times(packs: &[MsgPack]) -> Vec<(u64, Vec<u64>)> {
    let times = |pack: &MsgPack| pack.msgs.iter().map(|m| m.end_ts().0).collect();
    packs.iter().map(|pack| (pack.end_ts.0, times(pack))).collect()
}

/// Polls a future once and drops it.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Lets a stream read all it can without giving a pack.
async fn no_pack_yet(stream: &mut TtMsgStream) {
    for _ in 0..100 {
        let pack = once(stream.consume()).await;
        assert!(pack.is_none(), "{pack:?}");
        tokio::task::yield_now().await;
    }
}
