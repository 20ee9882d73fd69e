//! Each message counts once, however often the program crashes: a loop to copy.
//!
//! `cargo run --example exactly_once`
//!
//! Totals of orders are kept in a file, together with the checkpoint of the stream that they came
//! from. The first run of the consumer crashes after it has worked on a pack and before it has
//! committed it. The second one goes on.

use msgstream::transport::TransportExt as _;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use msgstream::checkpoint::{CheckpointStore, FileStore};
use msgstream::consume::Committer;
use msgstream::message::hash_str;
use msgstream::message::{SerdeBody, SerdeMsg};
use msgstream::transport::{Start, Transport};
use msgstream::{ConsumerConfig, MsgPack, MsgStream, MsgType, TickSource, Timestamp, TtMsgStream};
use serde::{Deserialize, Serialize};

const CHANNELS: [&str; 2] = ["orders-0", "orders-1"];
const ORDERS: u32 = 100;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: u64,
}

impl SerdeBody for Order {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

/// What the orders led to.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    orders: u32,
    cents: BTreeMap<String, u64>,
}

impl Totals {
    fn add(&mut self, pack: &MsgPack) -> Result<(), msgstream::Error> {
        for message in pack.msgs.iter().filter_map(|message| message.stored()) {
            let order = message.decode_as::<SerdeMsg<Order>>()?.into_value();
            self.orders += 1;
            *self.cents.entry(order.customer).or_default() += order.cents;
        }
        Ok(())
    }
}

/// The loop. `crash_in` is the pack, counted from 0, in which this run ends as in a crash.
async fn consume(
    transport: Arc<dyn Transport>,
    store: Arc<dyn CheckpointStore>,
    crash_in: Option<usize>,
) -> Result<Totals, Box<dyn Error>> {
    // From here on, no consumer that was started before this one can commit.
    let (mut committer, stored) = Committer::open(store).await?;
    let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    let subscription = Some("totals");
    let mut totals = match &stored.checkpoint {
        Some(checkpoint) => {
            stream.resume(subscription, checkpoint, |_| TickSource::Written).await?;
            serde_json::from_slice(&stored.state)?
        }
        None => {
            stream.create_consumers(subscription, &CHANNELS, Start::Earliest).await?;
            Totals::default()
        }
    };
    println!("a consumer starts, with {} orders in its totals", totals.orders);
    stream.start()?;

    let mut packs = 0;
    while let Some(pack) = stream.consume().await? {
        totals.add(&pack)?;
        if crash_in == Some(packs) {
            println!(
                "it crashes with {} orders, the last {} of them not committed",
                totals.orders,
                pack.msgs.len()
            );
            return Ok(totals);
        }
        // Both in one step; the subscription is acknowledged after it. An error stops the loop: the
        // next run goes on from what is in the store. `Error::TakenOver` says that there is one.
        stream.commit(&mut committer, &pack.end, serde_json::to_vec(&totals)?).await?;
        packs += 1;
    }
    println!("it ends after {packs} packs, with {} orders", totals.orders);
    Ok(totals)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let transport = msgstream::connect("mem://").await?;
    let expected = produce(&transport).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("totals.checkpoint");

    let crashed = consume(transport.clone(), Arc::new(FileStore::new(&file)), Some(4)).await?;
    let totals = consume(transport, Arc::new(FileStore::new(&file)), None).await?;

    assert!(crashed.orders > 0 && crashed.orders < ORDERS);
    assert_eq!(totals, expected, "an order was lost, or counted twice");
    println!("each of the {ORDERS} orders counted once: {:?}", totals.cents);
    Ok(())
}

/// Writes orders with a tick after every tenth, and gives their totals.
async fn produce(transport: &Arc<dyn Transport>) -> Result<Totals, Box<dyn Error>> {
    for channel in CHANNELS {
        transport.create(channel).await?;
    }
    let mut producer = MsgStream::new(transport.clone());
    producer.create_producers(&CHANNELS).await?;
    producer.start()?;
    let mut expected = Totals::default();
    for n in 1..=ORDERS {
        let customer = ["ann", "bob", "cid"][n as usize % 3].to_owned();
        expected.orders += 1;
        *expected.cents.entry(customer.clone()).or_default() += u64::from(n);
        let ts = Timestamp::from_unix_millis(1_700_000_000_000 + i64::from(n))?;
        let key = hash_str(&customer);
        let order = SerdeMsg::new(ts, Order { customer, cents: n.into() })?.with_hash_keys([key]);
        producer.produce(MsgPack::from_iter([order])).await?;
        match n {
            ORDERS => drop(producer.end(ts).await?),
            _ if n % 10 == 0 => drop(producer.tick(ts).await?),
            _ => {}
        }
    }
    producer.close().await?;
    Ok(expected)
}
