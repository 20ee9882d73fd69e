//! Batches to channels.

use msgstream::MsgPack;
use msgstream::stream::MsgStream;
use tokio::sync::mpsc::Receiver;

use super::batches::{Batch, Then};
use crate::error::{Error, Result};

/// Writes batches until the one that ends the channels. Batches and ticks are pipelined.
pub(crate) async fn produce(stream: &mut MsgStream, batches: &mut Receiver<Batch>) -> Result<()> {
    while let Some(Batch { rows, then }) = batches.recv().await {
        if !rows.is_empty() {
            stream.ready().await?;
            // The end fails if this pack does.
            drop(stream.submit(MsgPack::new(rows))?);
        }
        match then {
            Then::Rows => {}
            Then::Tick(ts) => {
                stream.ready().await?;
                drop(stream.submit_tick(ts)?);
            }
            Then::End(ts) => {
                stream.end(ts).await?;
                return Ok(());
            }
        }
    }
    Err(Error::Stopped)
}
