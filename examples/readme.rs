//! The README's program.
//!
//! `cargo run --example readme`

use msgstream::message::{Event, Json, hash_str};
use msgstream::{Consumer, MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    at: Timestamp,
    customer: String,
    cents: u64,
}

impl Event for Order {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        hash_str(&self.customer)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = msgstream::connect("mem://").await?;
    let channels = ["orders-0", "orders-1"];

    let producer = Producer::builder(broker.clone()).channels(channels).create_missing();
    let mut producer = producer.open().await?;
    producer.send(Order { at: Timestamp(7), customer: "ann".into(), cents: 250 }).await?;
    producer.tick(Timestamp(7)).await?; // nothing at or before 7 follows
    producer.end(Timestamp(8)).await?; // nothing at all follows

    let mut packs = Consumer::builder(broker).channels(channels).open().await?;
    while let Some(pack) = packs.next_pack().await? {
        for order in pack.decode::<Order>() {
            println!("{:?}", order?.value);
        }
    }
    Ok(())
}
