//! Producers and consumers, opened by their builders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod consumer;
mod producer;
mod stored;

use std::sync::Arc;

use msgstream_core::message::{Event, Json};
use msgstream_core::transport::Transport;
use msgstream_core::{MsgPack, MsgType, Producer, Timestamp};
use msgstream_mem::{MemConfig, MemTransport};
use serde::{Deserialize, Serialize};

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Apple {
    at: u64,
    key: u32,
}

impl Event for Apple {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.at)
    }
    fn hash_key(&self) -> u32 {
        self.key
    }
}

fn mem() -> Arc<dyn Transport> {
    Arc::new(MemTransport::new(MemConfig::default()))
}

async fn producer(broker: &Arc<dyn Transport>, channels: &[&str]) -> Producer {
    let builder = Producer::builder(broker.clone()).channels(channels.iter().copied());
    builder.create_missing().open().await.unwrap()
}

/// One apple to each channel at each of these times, with a tick.
async fn ripen(producer: &mut Producer, channels: u32, times: impl IntoIterator<Item = u64>) {
    for at in times {
        let apples: Vec<_> = (0..channels).map(|key| Apple { at, key }).collect();
        producer.send(apples).await.unwrap();
        producer.tick(Timestamp(at)).await.unwrap();
    }
}

/// The times and channels of the apples in a pack.
fn apples(pack: &MsgPack) -> Vec<(u64, String)> {
    let decoded = pack.decode::<Apple>().map(|apple| apple.unwrap());
    decoded.map(|apple| (apple.value.at, apple.channel.to_string())).collect()
}
