//! Writers that split.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{MsgType, Record};
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportError, TransportErrorKind as Kind,
};
use tokio::runtime::Handle;

use super::part::{HEADER, Id, Split, first, largest};
use super::pump::{Piece, Pump};
use super::{Counters, Sizes};

/// A writer whose large records become several of the writer underneath.
///
/// The last part of a record is written once the others are stored, and what follows it after that: a
/// task does it, see [`Pump`]. Without large records nothing is queued, and no task runs.
pub(super) struct SplittingWriter {
    pump: Arc<Pump>,
    runtime: Handle,
    sizes: Sizes,
    counters: Arc<Counters>,
    /// Of the next message that is split.
    id: Id,
}

impl SplittingWriter {
    /// Returns a writer. It must be called in a runtime.
    pub(super) fn new(pump: Pump, writer: u128, sizes: Sizes, counters: Arc<Counters>) -> Self {
        let pump = Arc::new(pump);
        let id = Id { writer, message: 0 };
        Self { pump, runtime: Handle::current(), sizes, counters, id }
    }

    /// Returns the size of a record's parts; `None` if it isn't split.
    fn part_size(
        &self,
        inner: &dyn ChannelWriter,
        record: &Record,
    ) -> Result<Option<usize>, Failure> {
        let bytes = record.payload.len();
        if record.meta.msg_type == MsgType::TIME_TICK {
            // Packs are formed without the layer, too.
            return inner.check(std::slice::from_ref(record)).map(|()| None).map_err(refused);
        }
        if record.header(HEADER).is_some() {
            let reason = "it is what marks a part of a message, and this is a whole one".to_owned();
            return Err(Kind::InvalidHeader { name: HEADER.to_owned(), reason }.into());
        }
        if bytes > self.sizes.message {
            return Err(Kind::TooLarge { bytes, limit: self.sizes.message }.into());
        }
        if bytes <= self.sizes.part {
            match inner.check(std::slice::from_ref(record)) {
                Ok(()) => return Ok(None),
                Err(error) if matches!(error.kind(), Kind::TooLarge { .. }) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        inner.check(&[first(record)]).map_err(refused)?;
        // A payload that is smaller by the excess fits. If that leaves nothing, the headers are too
        // large, which no splitting helps.
        let excess = match inner.check(&[largest(record)]) {
            Ok(()) => 0,
            Err(error) => match *error.kind() {
                Kind::TooLarge { bytes: whole, limit } if whole.saturating_sub(limit) < bytes => {
                    whole.saturating_sub(limit)
                }
                _ => return Err(refused(error)),
            },
        };
        Ok(Some((bytes - excess).min(self.sizes.part)))
    }

    /// Returns the size of the parts of each record of a batch; `None` if none is split.
    fn part_sizes(
        &self,
        inner: &dyn ChannelWriter,
        records: &[Record],
    ) -> Result<Option<Vec<Option<usize>>>, Failure> {
        let most = self.sizes.part.min(self.sizes.message);
        let are_small = records
            .iter()
            .all(|record| record.payload.len() <= most && record.header(HEADER).is_none());
        if are_small && inner.check(records).is_ok() {
            return Ok(None);
        }
        records
            .iter()
            .map(|record| self.part_size(inner, record))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Returns the pieces that a batch is written in.
    fn pieces(&mut self, records: Vec<Record>) -> Result<Vec<Piece>, Failure> {
        let sizes = self.pump.with(|inner| self.part_sizes(inner, &records))?;
        let Some(sizes) = sizes else { return Ok(vec![Piece::Whole(records)]) };
        let mut pieces = Vec::new();
        for (record, size) in records.into_iter().zip(sizes) {
            match (size, pieces.last_mut()) {
                (None, Some(Piece::Whole(records))) => records.push(record),
                (None, _) => pieces.push(Piece::Whole(vec![record])),
                (Some(size), _) => {
                    let bytes = record.payload.len();
                    let split = Split::new(self.id, record, size);
                    pieces.push(Piece::Split(split.ok_or(Kind::TooLarge { bytes, limit: size })?));
                    self.id.message += 1;
                    self.counters.split.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(pieces)
    }

    fn failed(&self, operation: &'static str, failure: Failure) -> TransportError {
        failure.during(operation).on(self.pump.channel())
    }
}

fn refused(error: TransportError) -> Failure {
    Failure::new(error.kind().clone(), error)
}

impl fmt::Debug for SplittingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SplittingWriter").field(&self.pump).finish()
    }
}

#[async_trait]
impl ChannelWriter for SplittingWriter {
    async fn ready(&mut self) -> Result<()> {
        self.pump.lend().await.ready().await?;
        match self.pump.is_poisoned() {
            true => Err(self.failed("ready", Kind::Poisoned.into())),
            false => Ok(()),
        }
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let sizes = self.pump.with(|inner| self.part_sizes(inner, records));
        sizes.map(drop).map_err(|failure| self.failed("check", failure))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        match self.pieces(records) {
            Ok(pieces) => self.pump.hand_over(pieces, &self.runtime),
            Err(failure) => {
                self.pump.poison();
                let error = self.failed("submit", failure);
                Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error))
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.pump.lend().await.close().await
    }
}
