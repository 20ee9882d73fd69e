//! Typed messages in, packs that are aligned in time out.
//!
//! `cargo run --example quick_start [URL]`

use msgstream::transport::TransportExt as _;
use std::time::Duration;

use msgstream::message::hash_str;
use msgstream::message::{SerdeBody, SerdeMsg};
use msgstream::produce::TimeTicker;
use msgstream::transport::Start;
use msgstream::{ConsumerConfig, MsgPack, MsgStream, MsgType, Timestamp, TtMsgStream};
use serde::{Deserialize, Serialize};

/// Any serde type is a message; it needs a number of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    celsius: f64,
}

impl SerdeBody for Reading {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mem://".to_owned());
    let transport = msgstream::connect(&url).await?;
    let channels = ["readings-0", "readings-1"];
    for channel in channels {
        transport.create(channel).await?;
    }

    // Write: messages go to channels by hash key; ticks promise that nothing older follows.
    let mut producer = MsgStream::new(transport.clone());
    producer.create_producers(&channels).await?;
    producer.start()?;
    let mut ticker = TimeTicker::new(Duration::from_secs(10));
    for second in 0..30 {
        let ts = Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)?;
        let sensor = format!("sensor-{}", second % 5);
        let key = hash_str(&sensor);
        let reading = Reading { sensor, celsius: 20.0 + second as f64 / 10.0 };
        let message = SerdeMsg::new(ts, reading)?.with_hash_keys([key]);
        producer.produce(MsgPack::from_iter([message])).await?;
        if let Some(tick) = ticker.observe(ts) {
            producer.tick(tick).await?;
        }
    }
    if let Some(last) = ticker.finish() {
        producer.end(last).await?;
    }
    producer.close().await?;

    // Read: all channels as one stream. A pack has every message of its interval.
    let mut stream = TtMsgStream::new(transport.clone(), ConsumerConfig::default())?;
    stream.create_consumers(None, &channels, Start::Earliest).await?;
    stream.start()?;
    while let Some(pack) = stream.consume().await? {
        println!("up to {} ms: {} messages", pack.end_ts.physical_ms(), pack.msgs.len());
        for message in pack.msgs.iter().filter_map(|message| message.stored()) {
            let reading = message.decode_as::<SerdeMsg<Reading>>()?.into_value();
            println!("  {} {}: {} °C", message.channel, reading.sensor, reading.celsius);
        }
    }
    println!("{}", stream.status());
    Ok(())
}
