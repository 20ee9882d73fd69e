//! Typed messages in, packs that are aligned in time out.
//!
//! `cargo run --example quick_start [URL]`

use std::env::args;

use msgstream::message::{Event, Json, hash_str};
use msgstream::{Consumer, MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    at: Timestamp,
    sensor: String,
    celsius: f64,
}

impl Event for Reading {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        hash_str(&self.sensor)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = msgstream::connect(&args().nth(1).unwrap_or("mem://".to_owned())).await?;
    let channels = ["readings-0", "readings-1"];
    // Each sensor's readings go to one channel. A tick promises that nothing older follows.
    let producer = Producer::builder(broker.clone()).channels(channels).create_missing();
    let mut producer = producer.open().await?;
    for second in 0..30 {
        let at = Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)?;
        let sensor = format!("sensor-{}", second % 5);
        producer.send(Reading { at, sensor, celsius: 20.0 + second as f64 / 10.0 }).await?;
        if second % 10 == 9 {
            producer.tick(at).await?;
        }
    }
    producer.end(Timestamp::from_unix_millis(1_700_000_030_000)?).await?;
    // Both channels as one stream: a pack has every reading of ten seconds.
    let mut packs = Consumer::builder(broker).channels(channels).open().await?;
    while let Some(pack) = packs.next_pack().await? {
        println!("up to {}:", pack.end_ts);
        for reading in pack.decode::<Reading>() {
            println!("  {:?}", reading?.value);
        }
    }
    Ok(())
}
