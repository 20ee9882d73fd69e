//! Reading.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{
    ChannelReader, Limit, ReadBatch, Result, Start, TransportErrorKind as Kind,
};
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, timeout_at};

use crate::client::{A_LONG_TIME, Attached};
use crate::format::published::Published;
use crate::log::{Place, outside};
use crate::position::offset;
use crate::watch::signal;

/// Reads from a place on. Between calls it holds what is left of the frame that it is in.
#[derive(Debug)]
pub(crate) struct FileReader {
    at: Attached,
    place: Place,
    /// The published end when it last looked.
    published: Option<Published>,
    signal: Arc<Notify>,
    /// When it last read something.
    changed: Instant,
}

enum Look {
    Taken(Box<Taken>),
    /// The reader is at the published end, which is of this generation.
    AtEnd(u64),
}

/// A batch, the place behind it, and the published end before which it is.
struct Taken {
    batch: ReadBatch,
    place: Place,
    published: Published,
}

impl FileReader {
    pub(crate) async fn open(at: Attached, start: Start) -> Result<Self, Failure> {
        let next = resolve(&at, start).await?;
        let signal = signal::of(at.log.incarnation());
        Ok(Self { at, place: Place::new(next), published: None, signal, changed: Instant::now() })
    }

    /// Returns what is there before the end that was seen last, if it is in memory: then no thread
    /// has to wait for the disk. The last record there is left to [`look`](Self::look), which finds out
    /// whether that is still the end.
    fn read_cached(&mut self, limit: Limit) -> Option<ReadBatch> {
        let published = self.published.as_ref()?;
        let left = published.end.saturating_sub(self.place.next).saturating_sub(1);
        let records = usize::try_from(left).unwrap_or(usize::MAX).min(limit.records.max(1));
        if records == 0 {
            return None;
        }
        let limit = limit.with_records(records);
        let records = self.at.log.read_cached(published, &mut self.place, limit);
        let batch = ReadBatch::new(records, Position::new(self.place.next), false);
        Some(batch).filter(|batch| !batch.records.is_empty())
    }

    /// Returns what is there now.
    async fn look(&self, limit: Limit) -> Result<Look, Failure> {
        let handle = &self.at.handle;
        handle.check_open()?;
        let read = move |published: &Published, log: &crate::log::Log, place: &Place| {
            if place.next == published.end {
                return Ok(Look::AtEnd(published.generation));
            }
            let (records, place) = log.read(published, place, limit)?;
            let caught_up = place.next == published.end;
            let batch = ReadBatch::new(records, Position::new(place.next), caught_up);
            Ok(Look::Taken(Box::new(Taken { batch, place, published: *published })))
        };
        let (log, place) = (self.at.log.clone(), self.place.clone());
        let seen = handle.blocking(move || match log.published()? {
            Some(published) => read(&published, &log, &place).map(Some),
            None => Ok(None),
        });
        match seen.await? {
            Some(look) => Ok(look),
            None => {
                let (log, place) = (self.at.log.clone(), self.place.clone());
                let recovered = handle
                    .locked(&self.at.log, move |held| read(&log.recover(held)?, &log, &place));
                recovered.await
            }
        }
    }

    async fn read_or_wait(&mut self, limit: Limit) -> Result<ReadBatch, Failure> {
        let deadline = Instant::now() + limit.wait.min(A_LONG_TIME);
        let signal = Arc::clone(&self.signal);
        self.at.handle.check_open()?;
        // Lets others run: a loop of reads that find something would keep its thread for itself.
        coop::consume_budget().await;
        if let Some(batch) = self.read_cached(limit) {
            return Ok(batch);
        }
        loop {
            // It hears of everything from here on, so nothing slips in between look and wait.
            let mut changed = pin!(signal.notified());
            changed.as_mut().enable();
            let generation = match self.look(limit).await? {
                Look::Taken(taken) => {
                    let Taken { batch, place, published } = *taken;
                    (self.place, self.published) = (place, Some(published));
                    self.changed = Instant::now();
                    // A frame that a repair gave up holds no record.
                    if batch.records.is_empty() && Instant::now() < deadline {
                        continue;
                    }
                    return Ok(batch);
                }
                Look::AtEnd(generation) => generation,
            };
            if Instant::now() < deadline {
                let waiting = self.at.handle.wait_on(&self.at.log, generation, self.changed);
                let Some(_waiting) = waiting else { continue };
                let wait = async {
                    tokio::select! {
                        () = changed => {}
                        () = self.at.handle.closed() => {}
                    }
                };
                if timeout_at(deadline, wait).await.is_ok() {
                    continue;
                }
            }
            return Ok(ReadBatch::new(Vec::new(), Position::new(self.place.next), true));
        }
    }
}

#[async_trait]
impl ChannelReader for FileReader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        self.read_or_wait(limit).await.map_err(|failure| {
            // What was read ahead may be damaged, and repaired on the disk by the next call.
            (self.place, self.published) = (Place::new(self.place.next), None);
            self.at.error("read", failure)
        })
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        let next = resolve(&self.at, start).await;
        let next = next.map_err(|failure| self.at.error("seek", failure))?;
        (self.place, self.published) = (Place::new(next), None);
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.at.log.incarnation()
    }
}

/// Returns the offset to start at.
async fn resolve(at: &Attached, start: Start) -> Result<u64, Failure> {
    at.handle.check_open()?;
    let published = at.handle.published(&at.log).await?;
    let within = |offset: u64| outside(offset, &published).map_or(Ok(offset), Err);
    match start {
        Start::Earliest => Ok(published.first),
        Start::Latest => Ok(published.end),
        Start::At(position) => within(offset(position)?),
        Start::After(position) => {
            let offset = offset(position)?;
            match offset < published.end {
                true => within(offset + 1),
                // There is no such record.
                false => {
                    let end = Position::new(published.end);
                    Err(Kind::PositionBeyondEnd { position, end }.into())
                }
            }
        }
        Start::Time(time) => {
            let (log, time) = (at.log.clone(), time.physical_ms());
            at.handle.blocking(move || log.offset_at(time, &published)).await
        }
        _ => {
            let reason = format!("a reader of this transport can't start at {start:?}");
            Err(Kind::Config { reason }.into())
        }
    }
}
