//! Orders, and a shop that writes them: what the examples of exactly-once have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream::message::{Event, Json, hash_str};
use msgstream::transport::Transport;
use msgstream::{Error, MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) const CHANNELS: [&str; 2] = ["orders-0", "orders-1"];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) at: Timestamp,
    pub(crate) customer: String,
    pub(crate) cents: u64,
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

/// Writes so many orders with a tick after every fifth, and returns what each customer owes.
pub(crate) async fn write(
    broker: &Arc<dyn Transport>,
    orders: u64,
) -> Result<BTreeMap<String, u64>, Error> {
    let shop = Producer::builder(broker.clone()).channels(CHANNELS).create_missing();
    let mut shop = shop.open().await?;
    let mut owed = BTreeMap::new();
    for n in 1..=orders {
        let customer = ["ann", "bob", "cid"][n as usize % 3].to_owned();
        *owed.entry(customer.clone()).or_default() += n;
        shop.send(Order { at: Timestamp(n), customer, cents: n }).await?;
        if n % 5 == 0 {
            shop.tick(Timestamp(n)).await?;
        }
    }
    shop.end(Timestamp(orders)).await?;
    Ok(owed)
}
