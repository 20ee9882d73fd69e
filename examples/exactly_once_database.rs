//! Each message counts once, in a database of the program's own.
//!
//! `cargo run --example exactly_once_database`
//!
//! One transaction writes what a pack led to and the checkpoint after it, so that both are there or
//! neither is. The program ends its consumer at every step that there is, as a crash would, and looks
//! at what customers owe after the next run.

mod orders;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use msgstream::checkpoint::Checkpoint;
use msgstream::transport::Transport;
use msgstream::{Consumer, MsgPack};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::orders::{CHANNELS, Order};

/// Cents by customer.
const OWED: TableDefinition<&str, u64> = TableDefinition::new("owed");
/// By the stream's name: which consumer may write, and its checkpoint as JSON.
const CHECKPOINTS: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("checkpoints");

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Makes this consumer the only one that may write. Returns its number, and where to go on.
fn claim(database: &Database) -> Result<(u64, Option<Checkpoint>)> {
    let transaction = database.begin_write()?;
    let (number, json) = {
        let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
        let (last, json) = match checkpoints.get("orders")? {
            Some(row) => (row.value().0, row.value().1.to_vec()),
            None => (0, b"null".to_vec()),
        };
        checkpoints.insert("orders", (last + 1, json.as_slice()))?;
        (last + 1, json)
    };
    transaction.commit()?;
    Ok((number, serde_json::from_slice(&json)?))
}

/// Writes what a pack leads to and the checkpoint after it, in one transaction.
fn apply(database: &Database, consumer: u64, pack: &MsgPack, steps: &mut Steps) -> Result<()> {
    let transaction = database.begin_write()?;
    {
        let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
        let newest = checkpoints.get("orders")?.map_or(0, |row| row.value().0);
        if newest != consumer {
            return Err(format!("consumer {newest} took over from {consumer}").into());
        }
        let mut owed = transaction.open_table(OWED)?;
        for order in pack.decode::<Order>() {
            let Order { customer, cents, .. } = order?.value;
            let before = owed.get(&*customer)?.map_or(0, |row| row.value());
            owed.insert(&*customer, before + cents)?;
        }
        steps.next()?;
        let json = serde_json::to_vec(&pack.end)?;
        checkpoints.insert("orders", (consumer, json.as_slice()))?;
    }
    steps.next()?;
    transaction.commit()?;
    steps.next()
}

/// The loop.
async fn consume(broker: Arc<dyn Transport>, path: &Path, steps: &mut Steps) -> Result<()> {
    let database = Database::create(path)?;
    let (consumer, checkpoint) = claim(&database)?;
    let packs = Consumer::builder(broker).channels(CHANNELS).subscription("owed");
    let mut packs = packs.resume(checkpoint).open().await?;
    while let Some(pack) = packs.next_pack().await? {
        steps.next()?;
        // The disk is waited for: other tasks of this thread go elsewhere meanwhile.
        tokio::task::block_in_place(|| apply(&database, consumer, &pack, steps))?;
        // What the database has, the broker may delete.
        packs.ack(&pack.end).await?;
        steps.next()?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for crash_at in 1.. {
        let broker = msgstream::connect("mem://").await?;
        let expected = orders::write(&broker, 15).await?;
        let path = folder.path().join(format!("{crash_at}.redb"));
        if consume(broker.clone(), &path, &mut Steps(crash_at)).await.is_ok() {
            println!("after each of {} crashes the next run ended right", crash_at - 1);
            return Ok(());
        }
        let left = owed(&path)?;
        consume(broker, &path, &mut Steps(usize::MAX)).await?;
        assert_eq!(owed(&path)?, expected, "after a crash at step {crash_at}");
        println!("crashed at step {crash_at:2}: {left:?}, and then all");
    }
    Ok(())
}

fn owed(path: &Path) -> Result<BTreeMap<String, u64>> {
    let database = Database::create(path)?;
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(OWED) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        table => table?,
    };
    let rows = table.iter()?.map(|row| row.map(|(key, sum)| (key.value().to_owned(), sum.value())));
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many steps are left before a crash.
struct Steps(usize);

impl Steps {
    fn next(&mut self) -> Result<()> {
        self.0 -= 1;
        if self.0 == 0 { Err("crashed".into()) } else { Ok(()) }
    }
}
