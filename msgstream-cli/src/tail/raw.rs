//! The records of each channel by itself.

use std::sync::Arc;

use msgstream::MsgType;
use msgstream::message::StoredMessage;
use msgstream::record::{Position, Record};
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::sink::Item;
use crate::error::{Error, Result};

/// A channel to read.
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    pub(super) start: Start,
    /// Where to stop.
    pub(super) end: Option<Position>,
}

/// Hands on all records of the channels, until they are read to their ends or nobody takes them.
pub(super) async fn run(
    broker: &Arc<dyn Transport>,
    channels: Vec<Channel>,
    records: &Sender<Item>,
) -> Result<()> {
    let mut reading = JoinSet::new();
    for channel in channels {
        reading.spawn(read(broker.clone(), channel, records.clone()));
    }
    while let Some(done) = reading.join_next().await {
        done.unwrap_or_else(|e| Err(Error::Runtime { source: e.into() }))?;
    }
    Ok(())
}

async fn read(broker: Arc<dyn Transport>, channel: Channel, to: Sender<Item>) -> Result<()> {
    let Channel { name, start, end } = channel;
    let mut reader = broker.reader(&name, start).await?;
    let mut watermark = None;
    loop {
        let batch = tokio::select! {
            biased;
            () = to.closed() => return Ok(()),
            batch = reader.read(Limit::default()) => batch?,
        };
        let messages = batch.records.into_iter().map(|record| {
            let late = is_late(&record, &mut watermark);
            let mut message = StoredMessage::new(name.clone(), record);
            message.late = late;
            message
        });
        if to.send(Item::Records(messages.collect())).await.is_err() {
            return Ok(());
        }
        if end.is_some_and(|end| batch.next >= end) {
            return Ok(());
        }
    }
}

/// Returns whether a record is at or before a tick that was read.
fn is_late(record: &Record, watermark: &mut Option<msgstream::Timestamp>) -> bool {
    let ts = Some(record.meta.timestamp);
    match record.meta.msg_type {
        MsgType::TIME_TICK => {
            *watermark = ts.max(*watermark);
            false
        }
        MsgType::UNREADABLE => false,
        _ => ts <= *watermark,
    }
}
