//! Copies the database's log into channels, each change once.

use std::sync::Arc;

use msgstream::message::Event as _;
use msgstream::produce::SessionConfig;
use msgstream::transport::Transport;
use msgstream::{Producer, Timestamp};

use crate::Result;
use crate::books::Books;

/// Copies what isn't there yet, and ends as in a crash after so many changes.
pub(crate) async fn capture(
    broker: Arc<dyn Transport>,
    channels: &[String],
    books: &Books,
    mut crash_after: u64,
) -> Result<()> {
    let producer = Producer::builder(broker).channels(channels.iter().cloned()).create_missing();
    // With a session, an earlier run that is only believed dead writes nothing more.
    let session = SessionConfig::new(&*channels[0]);
    let mut producer = producer.session(session).open().await?;
    // How many changes each channel has, and up to where all have ticks.
    let mut there = producer.opened().last.clone();
    let ticked = producer.opened().watermarks.values().min().copied().unwrap_or_default();

    let log = books.changes()?;
    for changes in log.chunk_by(|a, b| a.transaction == b.transaction) {
        for change in changes {
            let channel = &*channels[change.hash_key() as usize % channels.len()];
            if let Some(left) = there.get_mut(channel).filter(|left| **left > 0) {
                *left -= 1;
                continue;
            }
            producer.ready().await?;
            // Whether it is stored, `flush` tells.
            drop(producer.submit(change.clone())?);
            crash_after -= 1;
            if crash_after == 0 {
                return Err(format!("crashed in transaction {}", change.transaction).into());
            }
        }
        let end = Timestamp(changes[0].transaction);
        if end > ticked {
            producer.ready().await?;
            drop(producer.submit_tick(end)?);
        }
    }
    producer.flush().await?;
    // Only now might the database forget its log.
    producer.confirm().await?;
    Ok(producer.close().await?)
}
