//! Sessions over a transport that fails as a test says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod confirming;
mod ending;
mod faults;
mod opening;
mod random;
mod strangers;
mod sync;
mod ticks;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::produce::{Opened, SessionConfig};
use msgstream_core::record::{Record, Stamp};
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_core::{ConsumerConfig, Error, MsgPack, MsgStream, MsgType, TtMsgStream};

use crate::common::insert;
use crate::faults::Flaky;

const AB: [&str; 2] = ["a", "b"];

fn config() -> SessionConfig {
    SessionConfig::new("p").with_home("home")
}

async fn flaky() -> Flaky {
    Flaky::new(&["home", "a", "b"]).await
}

async fn open(
    transport: &Arc<dyn Transport>,
    config: SessionConfig,
) -> Result<(MsgStream, Opened), Error> {
    let mut stream = MsgStream::new(transport.clone());
    let opened = stream.create_session(config, &AB).await?;
    stream.start()?;
    Ok((stream, opened))
}

/// A started session, and where the producer stands on both channels.
async fn session(flaky: &Flaky) -> (MsgStream, [u64; 2]) {
    let (stream, opened) = open(&flaky.arc(), config()).await.unwrap();
    (stream, AB.map(|channel| opened.last[channel]))
}

/// Messages with these times; the time is the hash key too, so even ones go to `a`.
fn pack(times: impl IntoIterator<Item = u64>) -> MsgPack {
    times.into_iter().map(|ts| insert(ts, ts as u32)).collect()
}

/// All records of a channel.
async fn records(flaky: &Flaky, channel: &str) -> Vec<Record> {
    let mut reader = flaky.inner.reader(channel, Start::Earliest).await.unwrap();
    let mut all = Vec::new();
    loop {
        let batch = reader.read(Limit::default().with_wait(Duration::ZERO)).await.unwrap();
        all.extend(batch.records);
        if batch.caught_up {
            return all;
        }
    }
}

/// The times and numbers of a channel's messages, and the numbers of its ticks after `t`.
async fn log(flaky: &Flaky, channel: &str) -> Vec<String> {
    let line = |record: Record| {
        let header = record.header(Stamp::HEADER).map(|h| String::from_utf8_lossy(h).into_owned());
        match (&record.meta.stamp, header) {
            (None, Some(control)) => control.split(';').skip(2).collect::<Vec<_>>().join("="),
            (Some(stamp), _) if record.meta.msg_type == MsgType::TIME_TICK => {
                format!("t{}#{}", record.meta.timestamp, stamp.seq)
            }
            (Some(stamp), _) => format!("{}#{}", record.meta.timestamp, stamp.seq),
            (None, None) => record.meta.timestamp.to_string(),
        }
    };
    records(flaky, channel).await.into_iter().map(line).collect()
}

/// The times of all messages that a consumer gets, and what it counts.
async fn delivered(flaky: &Flaky) -> (Vec<u64>, TtMsgStream) {
    let mut stream = TtMsgStream::new(flaky.inner.clone(), ConsumerConfig::default()).unwrap();
    stream.create_consumers(None, &AB, Start::Earliest).await.unwrap();
    stream.start().unwrap();
    let mut times = Vec::new();
    while let Some(pack) = stream.consume().await.unwrap() {
        times.extend(pack.msgs.iter().map(|m| m.end_ts().0));
    }
    (times, stream)
}
