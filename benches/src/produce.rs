//! Producing.

use std::sync::Arc;

use msgstream_core::message::{InsertMsg, StoredMessage};
use msgstream_core::record::Stamp;
use msgstream_core::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream_core::{MsgType, Timestamp};
use tokio::runtime::Runtime;

use crate::checksum::{Checksum, of_insert};
use crate::log::{Input, Writer, write};
use crate::workload::{Layer, Result, compare};
use crate::{Done, Error, Job, Shape};

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}

pub(crate) fn prepare(shape: Shape, messages: usize, writer: Writer, layer: Layer) -> Result<Job> {
    let runtime = runtime()?;
    let mut input = Input::new(shape, messages);
    let (transport, mut stream) = runtime.block_on(input.open(writer, layer))?;
    let packs = std::mem::take(&mut input.packs);
    Ok(Job::new(move || {
        runtime.block_on(write(&mut stream, packs))?;
        Ok(Done::checked(input.contents.messages, move || {
            runtime.block_on(check(&transport, &input, shape.ticks(messages)))
        }))
    }))
}

/// Reads every channel to its end: all inserts are there, and each tick is after what it covers.
async fn check(transport: &Arc<dyn Transport>, input: &Input, ticks: u64) -> Result<()> {
    let mut found = Checksum::default();
    for name in &input.names {
        let channel = Arc::from(name.as_str());
        let mut reader = transport.reader(name, Start::Earliest).await?;
        let (mut watermark, mut seen) = (Timestamp::MIN, 0);
        loop {
            let batch = reader.read(Limit::default()).await?;
            for record in batch.records {
                if record.header(Stamp::HEADER).is_some() {
                    // What a session writes beside messages and ticks.
                    continue;
                }
                let ts = record.meta.timestamp;
                if ts <= watermark {
                    return Err(Error::Order);
                }
                if record.meta.msg_type == MsgType::TIME_TICK {
                    (watermark, seen) = (ts, seen + 1);
                    continue;
                }
                let message = StoredMessage::new(Arc::clone(&channel), record);
                found.add(of_insert(
                    name,
                    message.decode_as::<InsertMsg>().map_err(msgstream_core::Error::from)?.body(),
                ));
            }
            if batch.caught_up {
                break;
            }
        }
        if seen != ticks {
            return Err(Error::Order);
        }
    }
    compare(found, input.contents)
}
