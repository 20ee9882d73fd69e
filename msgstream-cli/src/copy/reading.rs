//! Reading a channel, up to its end at the start or for ever.

use std::time::Duration;

use msgstream::record::{Position, Record};
use msgstream::transport::{ChannelReader, Limit, ReadBatch, TransportError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// For how long a broker that is away is waited for. Opening the session, which reads what the copy wrote
/// last, may take as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_millis(250);
/// How long a read waits for records that must be there, and for those that may come some day.
pub(super) const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(1);
/// For how long there must be nothing before a position for nothing to be there.
const NOTHING: Duration = Duration::from_secs(2);

/// Records that were read of a channel, by its number.
pub(super) struct Read {
    pub(super) channel: usize,
    pub(super) records: Vec<Record>,
    /// Where reading goes on.
    pub(super) next: Position,
}

/// Reads a channel up to a position, such as that of its end, or for ever.
pub(super) struct Reading {
    reader: Box<dyn ChannelReader>,
    until: Option<Position>,
    /// Since when there is nothing more before the position.
    nothing_since: Option<Instant>,
}

impl Reading {
    pub(super) const fn new(reader: Box<dyn ChannelReader>, until: Option<Position>) -> Self {
        Self { reader, until, nothing_since: None }
    }

    /// Returns the next batch, which may be empty, and whether it is the last.
    pub(super) async fn next(&mut self) -> Result<(ReadBatch, bool), TransportError> {
        let wait = self.until.map_or(LONG, |_| SHORT);
        let mut batch = read(&mut *self.reader, wait).await?;
        let Some(until) = self.until else { return Ok((batch, false)) };
        batch.records.truncate(batch.records.partition_point(|record| record.position < until));
        batch.next = batch.next.min(until);
        // There may be no record just before the position. But a broker may also not know yet what
        // another part of it has stored.
        let nothing = batch.records.is_empty() && batch.caught_up;
        self.nothing_since =
            self.nothing_since.or_else(|| Some(Instant::now())).filter(|_| nothing);
        let nothing = self.nothing_since.is_some_and(|since| since.elapsed() >= NOTHING);
        let last = batch.next >= until || nothing;
        Ok((batch, last))
    }

    /// Sends what is read, until the last batch or while anybody takes it.
    pub(super) async fn send(mut self, channel: usize, to: mpsc::Sender<Result<Read, Failed>>) {
        loop {
            let (read, last) = match self.next().await {
                Ok((ReadBatch { records, next, .. }, last)) => {
                    (Ok(Read { channel, records, next }), last)
                }
                Err(error) => (Err(Failed { channel, error }), true),
            };
            if to.send(read).await.is_err() || last {
                return;
            }
        }
    }
}

/// A channel, by its number, that can't be read on.
pub(super) struct Failed {
    pub(super) channel: usize,
    pub(super) error: TransportError,
}

/// Reads the next records. Temporary errors are waited for.
pub(super) async fn read(
    reader: &mut dyn ChannelReader,
    wait: Duration,
) -> Result<ReadBatch, TransportError> {
    let limit = Limit::default().with_wait(wait);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match reader.read(limit).await {
            Err(error) if error.is_temporary() && Instant::now() < deadline => sleep(PAUSE).await,
            done => return done,
        }
    }
}
