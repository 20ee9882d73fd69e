// What the examples of the guide share.

use msgstream::message::{Event, Json, hash_str};
use msgstream::{MsgType, Timestamp};
use serde::{Deserialize, Serialize};

/// An order of a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub at: Timestamp,
    pub customer: String,
    pub cents: u64,
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

/// Returns the time so many seconds after nine in the morning.
pub fn second(n: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_714_554_000_000 + n * 1_000).expect("a time after 1970")
}

/// Returns an order at that time.
pub fn order(n: i64, customer: &str, cents: u64) -> Order {
    Order { at: second(n), customer: customer.to_owned(), cents }
}
