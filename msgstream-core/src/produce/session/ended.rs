//! Detects whether a channel has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::dedup::{Control, Kind, vchannel};
use crate::record::{Origin, Position, Record, is_end};
use crate::transport::{
    Limit, Start, Transport, TransportError, TransportErrorKind, TransportExt as _,
};

/// How many positions at a channel's end are examined. Little follows an end: late copies of what was
/// written before it, and records of programs that opened the channel before it ended.
const TAIL: u64 = 64;

/// If the tail has fewer records than these, one that is [`TAIL`] times as long is examined: positions may
/// have gaps, or count bytes.
const ENOUGH: usize = 32;

/// In a tail that is longer than this, one record is enough.
const LONG: u64 = 1 << 20;

/// Finds out from a channel's records, from where reading began, whether it has ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The newest fence of each producer.
    fences: BTreeMap<Arc<str>, Position>,
    /// Set if there was an end. One of a session may be void, by a fence before the first record.
    ended: Option<Certain>,
}

/// Whether the answer holds wherever reading began.
type Certain = bool;

impl Ends {
    pub(super) fn see(&mut self, record: &Record) {
        if record.extra.is_empty() {
            return;
        }
        if let Some((control, epoch)) = Control::read(record) {
            if matches!(control.kind, Kind::Fence { .. }) {
                let newest = self.fences.entry(control.producer).or_insert(epoch);
                *newest = epoch.max(*newest);
            }
        } else if is_end(record) {
            match &record.meta.stamp {
                None => self.ended = Some(true),
                Some(stamp) if !self.is_fenced(&stamp.origin) => {
                    self.ended.get_or_insert(false);
                }
                Some(_) => {}
            }
        }
    }

    /// Returns whether a newer epoch of the producer was fenced before, also on the whole of a channel
    /// that this one is a part of.
    pub(super) fn is_fenced(&self, origin: &Origin) -> bool {
        let fenced =
            |name: &str| self.fences.get(name).is_some_and(|newest| *newest > origin.epoch);
        fenced(&origin.producer) || vchannel::whole(&origin.producer).is_some_and(fenced)
    }

    pub(super) const fn ended(&self) -> bool {
        self.ended.is_some()
    }
}

/// Returns whether a channel has ended, judging by its last records.
pub(crate) async fn is_ended(
    transport: &dyn Transport,
    channel: &str,
) -> Result<bool, TransportError> {
    let info = transport.describe(channel).await?;
    let Some(first) = info.first else { return Ok(false) };
    // Positions of a part are those of the whole channel, most of whose records are others'.
    let longest = if info.physical.is_some() { TAIL * TAIL } else { u64::MAX };
    let mut length = TAIL;
    let mut tail = before(info.end, length).max(first);
    loop {
        let (ends, count) = match read(transport, channel, Start::At(tail), info.end).await {
            // Retention has deleted that position meanwhile.
            Err(error) if matches!(error.kind(), TransportErrorKind::PositionTrimmed { .. }) => {
                read(transport, channel, Start::Earliest, info.end).await?
            }
            read => read?,
        };
        if ends.ended == Some(false) {
            let (all, _) = read(transport, channel, Start::Earliest, info.end).await?;
            return Ok(all.ended());
        }
        let enough = if length > LONG { 1 } else { ENOUGH };
        length = length.saturating_mul(TAIL);
        let longer = before(info.end, length).max(first);
        if ends.ended() || count >= enough || length > longest || longer == tail {
            return Ok(ends.ended());
        }
        tail = longer;
    }
}

// Returns how many records there were, too.
async fn read(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
    end: Position,
) -> Result<(Ends, usize), TransportError> {
    let (mut ends, mut count) = (Ends::default(), 0);
    let mut reader = transport.reader(channel, start).await?;
    // There may be no record from `start` to the end, and none to wait for.
    let mut limit = Limit::default().with_wait(Duration::ZERO);
    loop {
        let batch = reader.read(limit).await?;
        limit = limit.with_wait(Duration::from_millis(100));
        batch.records.iter().for_each(|record| ends.see(record));
        count += batch.records.len();
        if batch.caught_up || batch.next >= end {
            return Ok((ends, count));
        }
    }
}

/// Returns a position that is `length` before the end of a channel. It needn't be that of a record:
/// reading begins at the first record at or after it.
fn before(end: Position, length: u64) -> Position {
    let mut words = end.words();
    if let Some(least) = words.iter_mut().rfind(|word| **word > 0) {
        *least = least.saturating_sub(length);
    }
    Position::from_words(words)
}

#[cfg(test)]
mod tests;
