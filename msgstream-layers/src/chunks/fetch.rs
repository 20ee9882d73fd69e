//! Reads parts again that a reader doesn't have.

use std::collections::VecDeque;

use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, ReaderOptions, Result, Start, Transport, TransportErrorKind as Kind,
};

use super::held::Parts;
use super::part::Part;

/// Reads the parts before a last one, from where the first one stands, with a reader of its own.
#[derive(Debug)]
pub(super) struct Fetch {
    reader: Box<dyn ChannelReader>,
    unread: VecDeque<Record>,
    parts: Parts,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    Parts(Parts),
    /// Not all of them, though nothing was removed.
    Incomplete,
    /// The first one was removed; no record before this position is left.
    Removed(Position),
}

impl Fetch {
    /// Begins where a first part stands.
    ///
    /// # Errors
    /// Fails as opening a reader does, with the error in `Ok` if the first part was removed.
    pub(super) async fn open(
        transport: &dyn Transport,
        channel: &str,
        incarnation: Incarnation,
        first: Position,
    ) -> Result<Self> {
        let options = ReaderOptions::new(Start::At(first)).with_incarnation(incarnation);
        let reader = transport.reader_with(channel, options).await?;
        Ok(Self { reader, unread: VecDeque::new(), parts: Parts::default() })
    }

    /// Reads up to a last part at a position; `None` if nothing came within the limit's wait.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing: the next call goes on.
    pub(super) async fn read(
        &mut self,
        last: &Part,
        before: Position,
        limit: Limit,
    ) -> Result<Option<Found>> {
        loop {
            while let Some(record) = self.unread.pop_front() {
                if record.position >= before {
                    return Ok(Some(Found::Incomplete));
                }
                let same = |part: &Part| (part.id, part.count) == (last.id, last.count);
                if let Some(part) = Part::of(&record).ok().flatten().filter(same) {
                    self.parts.add(&part, &record.payload);
                }
                if self.parts.precede(last) {
                    return Ok(Some(Found::Parts(std::mem::take(&mut self.parts))));
                }
            }
            let batch = self.reader.read(limit).await?;
            if batch.records.is_empty() {
                let over = batch.next >= before;
                return Ok(over.then_some(Found::Incomplete));
            }
            self.unread.extend(batch.records);
        }
    }
}

/// Returns the first position that is left, if an error says that an earlier one was removed.
pub(super) fn removed<T>(result: &Result<T>) -> Option<Position> {
    match result.as_ref().err()?.kind() {
        Kind::PositionTrimmed { first, .. } => Some(*first),
        _ => None,
    }
}
