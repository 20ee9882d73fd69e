//! Each message counts once, in a database of the program's own.
//!
//! `cargo run --example exactly_once_database`
//!
//! One transaction writes what a pack led to and the checkpoint after it, so that both are there or
//! neither is. The program kills its consumer at every step that there is, and looks at the totals
//! after the next run.

use msgstream::transport::TransportExt as _;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use msgstream::message::hash_str;
use msgstream::message::{SerdeBody, SerdeMsg};
use msgstream::transport::{Start, Transport};
use msgstream::{
    Checkpoint, ConsumerConfig, MsgPack, MsgStream, MsgType, TickSource, Timestamp, TtMsgStream,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

const CHANNELS: [&str; 2] = ["orders-0", "orders-1"];
const ORDERS: u32 = 15;

/// Cents by customer: what the orders lead to.
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
/// By the stream's name: the checkpoint, as JSON, and which consumer may write the next one.
const CHECKPOINTS: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("checkpoints");
const STREAM: &str = "orders";

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: u64,
}

impl SerdeBody for Order {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

/// Makes this consumer the only one that may write, and gives its number and where to go on.
fn claim(database: &Database) -> Result<(u64, Option<Checkpoint>)> {
    let transaction = database.begin_write()?;
    let claimed = {
        let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
        let (last, json) = match checkpoints.get(STREAM)? {
            Some(row) => (row.value().0, row.value().1.to_vec()),
            None => (0, b"null".to_vec()),
        };
        checkpoints.insert(STREAM, (last + 1, json.as_slice()))?;
        (last + 1, serde_json::from_slice(&json)?)
    };
    transaction.commit()?;
    Ok(claimed)
}

/// Writes what a pack led to and the checkpoint after it, in one transaction.
fn apply(
    database: &Database,
    consumer: u64,
    orders: &[Order],
    checkpoint: &Checkpoint,
    kill: &mut Kill,
) -> Result<()> {
    let transaction = database.begin_write()?;
    {
        let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
        let newest = checkpoints.get(STREAM)?.map_or(0, |row| row.value().0);
        if newest != consumer {
            return Err(format!("consumer {newest} took over from {consumer}").into());
        }
        let mut totals = transaction.open_table(TOTALS)?;
        for order in orders {
            let before = totals.get(&*order.customer)?.map_or(0, |row| row.value());
            totals.insert(&*order.customer, before + order.cents)?;
        }
        kill.step("with the totals written")?;
        let json = serde_json::to_vec(checkpoint)?;
        checkpoints.insert(STREAM, (consumer, json.as_slice()))?;
    }
    kill.step("with the totals and the checkpoint written")?;
    transaction.commit()?;
    kill.step("after the transaction")
}

/// The loop. `kill` ends it at one of its steps.
async fn consume(transport: Arc<dyn Transport>, path: &Path, mut kill: Kill) -> Result<()> {
    let database = Arc::new(Database::create(path)?);
    let (consumer, checkpoint) = claim(&database)?;
    kill.step("with nothing read")?;
    let mut stream = TtMsgStream::new(transport, ConsumerConfig::default())?;
    let subscription = Some("totals");
    match &checkpoint {
        Some(end) => stream.resume(subscription, end, |_| TickSource::Written).await?,
        None => stream.create_consumers(subscription, &CHANNELS, Start::Earliest).await?,
    }
    stream.start()?;
    while let Some(pack) = stream.consume().await? {
        kill.step("with a pack read")?;
        let messages = pack.msgs.iter().filter_map(|message| message.stored());
        let orders = messages.map(|m| Ok(m.decode_as::<SerdeMsg<Order>>()?.into_value()));
        let orders = orders.collect::<Result<Vec<_>>>()?;
        // The disk's waiting must not keep the stream's other work from going on.
        let (database, end) = (database.clone(), pack.end.clone());
        let applied = tokio::task::spawn_blocking(move || {
            apply(&database, consumer, &orders, &end, &mut kill).map(|()| kill)
        });
        kill = applied.await??;
        // What the database has, the broker may delete.
        stream.ack(&pack.end).await?;
        kill.step("with the pack acknowledged")?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut kills = 0;
    loop {
        let transport = msgstream::connect("mem://").await?;
        let expected = produce(&transport).await?;
        let path = folder.path().join(format!("{kills}.redb"));
        let first = consume(transport.clone(), &path, Kill::after(kills)).await;
        let Err(killed) = first else { break };
        if !killed.is::<Killed>() {
            return Err(killed);
        }
        let left = totals(&path)?;
        consume(transport, &path, Kill::never()).await?;
        assert_eq!(totals(&path)?, expected, "after a kill at step {kills}, {killed}");
        println!("killed at step {kills:2}, {killed}: {left:?}, and then all");
        kills += 1;
    }
    assert!(kills > 15, "there are more steps than {kills}");
    println!("after each of {kills} kills the next run ended with each order counted once");
    Ok(())
}

fn totals(path: &Path) -> Result<BTreeMap<String, u64>> {
    let database = Database::create(path)?;
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(TOTALS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let rows = table.iter()?.map(|row| row.map(|(key, sum)| (key.value().to_owned(), sum.value())));
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes orders with a tick after every fifth, and gives their totals.
async fn produce(transport: &Arc<dyn Transport>) -> Result<BTreeMap<String, u64>> {
    for channel in CHANNELS {
        transport.create(channel).await?;
    }
    let mut producer = MsgStream::new(transport.clone());
    producer.create_producers(&CHANNELS).await?;
    producer.start()?;
    let mut expected = BTreeMap::new();
    for n in 1..=ORDERS {
        let customer = ["ann", "bob", "cid"][n as usize % 3].to_owned();
        *expected.entry(customer.clone()).or_default() += u64::from(n);
        let ts = Timestamp::from_unix_millis(1_700_000_000_000 + i64::from(n))?;
        let key = hash_str(&customer);
        let order = SerdeMsg::new(ts, Order { customer, cents: n.into() })?.with_hash_keys([key]);
        producer.produce(MsgPack::from_iter([order])).await?;
        match n {
            ORDERS => drop(producer.end(ts).await?),
            _ if n % 5 == 0 => drop(producer.tick(ts).await?),
            _ => {}
        }
    }
    producer.close().await?;
    Ok(expected)
}

/// Ends a run after so many steps, as a kill would.
struct Kill(Option<usize>);

#[derive(Debug)]
struct Killed(&'static str);

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Killed {}

impl Kill {
    const fn after(steps: usize) -> Self {
        Self(Some(steps))
    }

    const fn never() -> Self {
        Self(None)
    }

    fn step(&mut self, step: &'static str) -> Result<()> {
        match &mut self.0 {
            Some(0) => Err(Killed(step).into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
