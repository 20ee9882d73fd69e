//! Each message counts once, however often the program crashes: a loop to copy.
//!
//! `cargo run --example exactly_once`
//!
//! The orders are in a log of files, so that they are still there when the program starts again. What
//! customers owe is kept in a file, together with the place in the stream that it came from.
//! The first run ends as in a crash, after it has worked on a pack and before it has committed it.
//! The second one goes on.

mod orders;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use msgstream::Consumer;
use msgstream::checkpoint::FileStore;
use msgstream::transport::Transport;

use crate::orders::{CHANNELS, Order};

type Owed = BTreeMap<String, u64>;

/// The loop. `crash_in` is the pack, counted from 0, in which this run ends as in a crash.
async fn add_up(
    broker: Arc<dyn Transport>,
    store: FileStore,
    crash_in: Option<usize>,
) -> Result<Owed, Box<dyn Error>> {
    let consumer = Consumer::builder(broker).channels(CHANNELS).subscription("owed").store(store);
    let (mut packs, mut owed) = consumer.open_with(Owed::new).await?;
    println!("a consumer starts with {owed:?}");
    let mut count = 0;
    while let Some(pack) = packs.next_pack().await? {
        for order in pack.decode::<Order>() {
            let order = order?.value;
            *owed.entry(order.customer).or_default() += order.cents;
        }
        if crash_in == Some(count) {
            println!("it crashes with {owed:?}, the last pack of which isn't committed");
            return Ok(owed);
        }
        packs.commit(&pack, &owed).await?;
        count += 1;
    }
    println!("it ends after {count} packs with {owed:?}");
    Ok(owed)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = format!("file://{}", folder.path().join("log").display());
    let expected = orders::write(&msgstream::connect(&log).await?, 100).await?;
    let store = FileStore::new(folder.path().join("owed.checkpoint"));

    let crashed = add_up(msgstream::connect(&log).await?, store.clone(), Some(4)).await?;
    assert_ne!(crashed, expected, "it didn't crash in the middle");
    let owed = add_up(msgstream::connect(&log).await?, store, None).await?;
    assert_eq!(owed, expected, "an order was lost, or counted twice");
    Ok(())
}
