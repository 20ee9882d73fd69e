//! Reads a bounded part of a channel.

use std::time::Duration;

use msgstream::Timestamp;
use msgstream::record::{Position, Record};
use msgstream::transport::{
    ChannelInfo, Limit, Start, Transport, TransportError, TransportErrorKind, TransportExt as _,
};

use crate::error::{Error, Result};
use crate::judge::{Judge, Log};

/// How many records before the end are read; the second number is for channels without a tick among
/// the first.
const TAILS: [u64; 2] = [10_000, 1_000_000];
/// How long a read waits at the end of a channel.
const WAIT: Duration = Duration::from_millis(100);

/// Reads the last records of a channel, or all. Returns what they say, and whether these are all.
pub(super) async fn read(
    broker: &dyn Transport,
    channel: &str,
    info: &ChannelInfo,
    limit: Timestamp,
    scan: bool,
) -> Result<(Log, bool)> {
    let Some(first) = info.first else { return Ok((Log::default(), true)) };
    let starts = TAILS.map(|records| before(info.end, records));
    let mut tail = None;
    for start in starts.into_iter().filter(|start| !scan && *start > first) {
        match read_from(broker, channel, Start::At(start), info.end, limit).await {
            Ok(log) if log.watermark.is_some() => return Ok((log, false)),
            Ok(log) => tail = Some(log),
            // Retention removed that position meanwhile.
            Err(Error::Transport(error)) if is_trimmed(&error) => tail = None,
            Err(error) => return Err(error),
        }
    }
    match tail {
        // The last one is long enough, unless it begins before the channel does.
        Some(log) if starts[1] > first => Ok((log, false)),
        _ => Ok((read_from(broker, channel, Start::Earliest, info.end, limit).await?, true)),
    }
}

async fn read_from(
    broker: &dyn Transport,
    channel: &str,
    start: Start,
    end: Position,
    limit: Timestamp,
) -> Result<Log> {
    let mut judge = Judge::new(channel, limit)?;
    let mut reader = broker.reader(channel, start).await?;
    loop {
        let batch = reader.read(Limit::default().with_wait(WAIT)).await?;
        for record in batch.records.into_iter().filter(|record| record.position < end) {
            judge.see(record)?;
        }
        if batch.caught_up || batch.next >= end {
            return Ok(judge.into_log());
        }
    }
}

/// Returns the first record at or after a start that is wanted; `None` if there is none now.
pub(super) async fn first_at(
    broker: &dyn Transport,
    channel: &str,
    start: Start,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Option<Record>, TransportError> {
    let mut reader = broker.reader(channel, start).await?;
    loop {
        let batch = reader.read(Limit::default().with_records(1).with_wait(WAIT)).await?;
        let found = batch.records.into_iter().find(&wanted);
        if found.is_some() || batch.caught_up {
            return Ok(found);
        }
    }
}

pub(super) fn is_trimmed(error: &TransportError) -> bool {
    matches!(error.kind(), TransportErrorKind::PositionTrimmed { .. })
}

/// Returns a position somewhat before the end of a channel. It needn't be that of a record.
fn before(end: Position, records: u64) -> Position {
    let mut words = end.words();
    if let Some(least) = words.iter_mut().rfind(|word| **word > 0) {
        *least = least.saturating_sub(records);
    }
    Position::from_words(words)
}
