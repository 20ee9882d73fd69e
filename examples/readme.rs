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

    let producer = Producer::builder(broker.clone()).channels(channels);
    let mut producer = producer.create_missing().open().await?;
    let (at, customer) = (Timestamp(7), "ann".to_owned());
    producer.send(Order { at, customer, cents: 250 }).await?;
    producer.tick(at).await?; // nothing at or before 7 follows
    producer.end(Timestamp(8)).await?; // nothing at all follows

    let packs = Consumer::builder(broker).channels(channels);
    let mut packs = packs.open().await?;
    while let Some(pack) = packs.next_pack().await? {
        for order in pack.decode::<Order>() {
            println!("{:?}", order?.value);
        }
    }
    Ok(())
}
