//! Clicks and orders, and the programs that write them.

use std::sync::Arc;
use std::time::Duration;

use msgstream::message::{Event, Json, hash_str};
use msgstream::produce::TimeTicker;
use msgstream::transport::Transport;
use msgstream::{MsgType, Producer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

pub(crate) const SOURCES: [&str; 3] = ["mail", "search", "banner"];

/// By how much events come out of order.
const DISORDER_MS: u64 = 4_000;

/// A customer came from somewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Click {
    pub(crate) at: Timestamp,
    pub(crate) customer: String,
    pub(crate) source: String,
}

/// A customer ordered something.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) at: Timestamp,
    pub(crate) customer: String,
    pub(crate) cents: u64,
}

impl Event for Click {
    const TYPE: MsgType = MsgType(70_003);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        hash_str(&self.customer)
    }
}

impl Event for Order {
    const TYPE: MsgType = MsgType(70_004);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        hash_str(&self.customer)
    }
}

/// What happened, in the order in which it is noticed.
pub(crate) struct History {
    pub(crate) clicks: Vec<Click>,
    pub(crate) orders: Vec<Order>,
}

/// Makes up a quarter of an hour: every second somebody clicks, and most of them order soon.
pub(crate) fn history() -> History {
    const NINE: i64 = 1_714_554_000_000;
    let mut state = 7_u64;
    // The constants are Knuth's, of MMIX.
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let at = |ms: u64| Timestamp::from_unix_millis(NINE + ms as i64).unwrap_or_default();
    let (mut clicks, mut orders) = (Vec::new(), Vec::new());
    for second in 0..15 * 60 {
        let ms = second * 1_000 + random(1_000);
        let customer = format!("customer-{}", random(40));
        let source = SOURCES[[0, 0, 0, 1, 1, 2][random(6) as usize]].to_owned();
        clicks.push((
            ms + random(DISORDER_MS),
            Click { at: at(ms), customer: customer.clone(), source },
        ));
        if random(3) > 0 {
            let ms = ms + 1_000 + random(50_000);
            let cents = 500 + random(5_000);
            orders.push((ms + random(DISORDER_MS), Order { at: at(ms), customer, cents }));
        }
    }
    clicks.sort_by_key(|(noticed, _)| *noticed);
    orders.sort_by_key(|(noticed, _)| *noticed);
    History {
        clicks: clicks.into_iter().map(|(_, click)| click).collect(),
        orders: orders.into_iter().map(|(_, order)| order).collect(),
    }
}

/// Writes events as they come, with a tick each ten seconds of their time, and ends the channels.
pub(crate) async fn write<E: Event>(
    broker: Arc<dyn Transport>,
    channels: &[String],
    events: Vec<E>,
) -> Result<()> {
    let mut producer = Producer::builder(broker).channels(channels.iter().cloned()).open().await?;
    let delay = Duration::from_millis(DISORDER_MS);
    let mut ticker = TimeTicker::new(Duration::from_secs(10)).with_delay(delay);
    let mut last = Timestamp::MIN;
    for event in events {
        let at = event.timestamp();
        last = last.max(at);
        producer.ready().await?;
        // Whether it is stored, `end` tells.
        drop(producer.submit(event)?);
        if let Some(tick) = ticker.observe(at) {
            drop(producer.submit_tick(tick)?);
        }
    }
    Ok(producer.end(last).await?)
}
