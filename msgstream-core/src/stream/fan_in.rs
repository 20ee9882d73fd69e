//! Many readers, read together.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;

use crate::message::MsgType;
use crate::timetick::END_HEADER;
use crate::transport::{ChannelReader, Limit, ReadBatch, Record, Result};

/// Reads many channels in turn, each in its own order.
///
/// A read in progress owns its reader, so a dropped [`FanIn::next`] drops no read. Only the reads
/// that were woken are polled, in the order in which they were; a channel that gave a batch goes
/// to the end of the line.
pub(super) struct FanIn {
    reads: FuturesUnordered<Abortable<BoxFuture<'static, Read>>>,
    handles: HashMap<Arc<str>, AbortHandle>,
    limit: Limit,
}

/// A read that is done.
pub(super) struct Read {
    pub(super) channel: Arc<str>,
    pub(super) reader: Box<dyn ChannelReader>,
    pub(super) batch: Result<ReadBatch>,
}

impl FanIn {
    pub(super) fn new(limit: Limit) -> Self {
        Self { reads: FuturesUnordered::new(), handles: HashMap::new(), limit }
    }

    /// Reads a channel from now on, in place of an earlier reader of it.
    pub(super) fn read(&mut self, channel: Arc<str>, mut reader: Box<dyn ChannelReader>) {
        let limit = self.limit;
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(earlier) = self.handles.insert(channel.clone(), handle) {
            earlier.abort();
        }
        let read = async move {
            let batch = reader.read(limit).await;
            Read { channel, reader, batch }
        };
        self.reads.push(Abortable::new(read.boxed(), registration));
    }

    /// The next read that brought records or an error; `None` where no channel is left. The
    /// channel isn't read further before [`FanIn::read`] is called again.
    pub(super) async fn next(&mut self) -> Option<Read> {
        loop {
            // An aborted read was replaced.
            let Ok(read) = self.reads.next().await? else { continue };
            match &read.batch {
                Ok(batch) if batch.records.is_empty() => self.read(read.channel, read.reader),
                _ => return Some(read),
            }
        }
    }
}

impl fmt::Debug for FanIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanIn").field("channels", &self.handles.keys()).finish_non_exhaustive()
    }
}

/// The record is its channel's end.
pub(super) fn is_end(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK && record.header(END_HEADER).is_some()
}
