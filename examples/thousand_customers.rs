//! A thousand small logs in sixteen channels, each with a consumer of its own.
//!
//! `cargo run --example thousand_customers --features virtual [URL]`

use std::time::{SystemTime, UNIX_EPOCH};

use msgstream::message::{Event, Json};
use msgstream::transport::TransportExt as _;
use msgstream::{Consumer, MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const CUSTOMERS: u32 = 1_000;
const ORDERS: i64 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    at: Timestamp,
    customer: u32,
    cents: i64,
}

impl Event for Order {
    const TYPE: MsgType = MsgType(70_002);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        self.customer
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or("mem://".to_owned());
    // The channels of this run, on a broker that may have some of another one.
    let run = format!("customers-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let options = if url.contains('?') { '&' } else { '?' };
    let url = format!("virtual+{url}{options}placement=hash:16:{run}");
    let broker = msgstream::connect(&url).await?;
    for n in 0..16 {
        broker.create(&format!("{run}_{n}")).await?;
    }

    let customers: Vec<_> = (0..CUSTOMERS).map(|n| format!("customer-{n}")).collect();
    let mut consumers = JoinSet::new();
    for customer in &customers {
        let mut packs = Consumer::builder(broker.clone()).channels([customer]).open().await?;
        consumers.spawn(async move {
            let mut cents = 0;
            while let Some(pack) = packs.next_pack().await? {
                for order in pack.decode::<Order>() {
                    cents += order?.value.cents;
                }
            }
            Ok::<_, msgstream::Error>(cents)
        });
    }

    // The hash key is the customer's number, and each customer has a channel.
    let mut producer = Producer::builder(broker.clone()).channels(&customers).open().await?;
    for n in 1..=ORDERS {
        let at = Timestamp::from_unix_millis(1_700_000_000_000 + n * 1_000)?;
        let orders = (0..CUSTOMERS).map(|customer| Order { at, customer, cents: n });
        producer.send(orders.collect::<Vec<_>>()).await?;
    }
    producer.end(Timestamp::from_unix_millis(1_700_000_100_000)?).await?;

    let mut total = 0;
    while let Some(cents) = consumers.join_next().await {
        total += cents??;
    }
    println!("{CUSTOMERS} customers ordered for {total} cents");
    assert_eq!(total, i64::from(CUSTOMERS) * ORDERS * (ORDERS + 1) / 2);
    Ok(())
}
