//! The plain stream over a real transport.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod consume;
mod lifecycle;
mod outage;
mod poison;
mod produce;
mod ticks;

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::record::Record;
use msgstream_core::stream::MsgStream;
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_core::{Error, MsgPack, UnmarshalDispatcher};

/// A started stream that produces to channels.
async fn producing(transport: Arc<dyn Transport>, channels: &[&str]) -> MsgStream {
    let mut stream = MsgStream::new(transport);
    stream.create_producers(channels).await.unwrap();
    stream.start().unwrap();
    stream
}

/// A started stream that consumes channels from their first record.
async fn consuming(transport: Arc<dyn Transport>, channels: &[&str]) -> MsgStream {
    let mut stream = MsgStream::new(transport);
    stream.create_consumers(None, channels, Start::Earliest).await.unwrap();
    stream.start().unwrap();
    stream
}

/// All records of a channel.
async fn records(transport: &dyn Transport, channel: &str) -> Vec<Record> {
    let mut reader = transport.reader(channel, Start::Earliest).await.unwrap();
    let mut all = Vec::new();
    let end = transport.describe(channel).await.unwrap().end;
    let limit = Limit::default().with_wait(Duration::ZERO);
    loop {
        let batch = reader.read(limit).await.unwrap();
        all.extend(batch.records);
        if batch.next >= end {
            return all;
        }
    }
}

/// The times of all records of a channel.
async fn times(transport: &dyn Transport, channel: &str) -> Vec<u64> {
    records(transport, channel).await.iter().map(|r| r.meta.timestamp.0).collect()
}

/// The times of a pack's messages, decoded.
fn decoded(pack: &MsgPack) -> Vec<u64> {
    let dispatcher = UnmarshalDispatcher::new();
    pack.msgs.iter().map(|m| m.decode(&dispatcher).unwrap().end_ts().0).collect()
}

fn one_channel(pack: &MsgPack) -> &str {
    assert_eq!(pack.end.channels.len(), 1);
    pack.msgs[0].channel().unwrap()
}

#[track_caller]
fn error<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    result.unwrap_err()
}
