//! Scans a channel's records for the last sequence number of a producer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ended::Ends;
use super::promised::Promised;
use super::retry::Retry;
use crate::dedup::{Control, Kind, ProducerState};
use crate::dedup::{Dedup, Verdict};
use crate::planted::{Bug, planted};
use crate::record::{Incarnation, Position, Record, Stamp, sent_ahead};
use crate::record::{MsgType, Timestamp};
use crate::transport::{ChannelReader, Limit, ReadBatch, TransportError};

/// The state of one producer, from the records of a channel, from where reading began. It accepts
/// what consumers accept.
#[derive(Debug)]
pub(super) struct Seen {
    producer: Arc<str>,
    dedup: Dedup,
    newest: Option<Position>,
    /// The epoch before the newest one.
    prior: Option<Position>,
    /// The record that announced a sequence number first, in the last epoch that announced one.
    announced: Option<Announced>,
    /// An exact tick or a base of the newest epoch announced a number. A message before that doesn't
    /// make it known: if 5 failed and 6 was stored, 6 isn't the last one that was accepted.
    known: bool,
    /// The number is exact, wherever reading began. Before the record that announced it first there
    /// was the epoch's fence or a message that it counts, or a later record announced a greater
    /// number. A single one may be a late copy, as may several with one number, which are in flight
    /// together; two with different numbers aren't both late.
    exact: bool,
    /// The greatest number of a message that came before an earlier one, or before any was known; also
    /// one that a tick says was sent.
    ahead: u64,
    /// A message came before any number was known.
    heard: bool,
    /// There were messages while no number was known.
    unclear: bool,
    watermark: Timestamp,
    promised: Promised,
    ends: Ends,
}

/// An exact tick or a base, which announced a sequence number.
#[derive(Clone, Copy, Debug)]
struct Announced {
    epoch: Position,
    last: u64,
}

impl Seen {
    pub(super) fn new(producer: Arc<str>) -> Self {
        Self {
            producer,
            dedup: Dedup::default(),
            newest: None,
            prior: None,
            announced: None,
            known: false,
            exact: false,
            ahead: 0,
            heard: false,
            unclear: false,
            watermark: Timestamp::MIN,
            promised: Promised::default(),
            ends: Ends::default(),
        }
    }

    /// Returns whether the channel has ended, as far as it was read.
    pub(super) const fn has_ended(&self) -> bool {
        self.ends.ended()
    }

    /// Returns the greatest tick, except the end of time, which nothing can follow.
    pub(super) const fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Returns the greatest tick that counts, as far as that is known, if `prior` is the newest epoch
    /// on the home channel.
    pub(super) fn promised(&self, prior: Option<Position>) -> Timestamp {
        self.promised.watermark(prior)
    }

    pub(super) const fn newest(&self) -> Option<Position> {
        self.newest
    }

    pub(super) const fn prior(&self) -> Option<Position> {
        self.prior
    }

    /// Returns whether reading from the middle was enough to know the last number, if `prior` is
    /// the newest epoch on the home channel. What an epoch announces after it was fenced is void,
    /// and messages ahead of the number may mean that it is a late copy of an older one.
    pub(super) fn is_enough(&self, prior: Option<Position>) -> bool {
        let announced = self.announced.map(|announced| announced.epoch);
        announced >= prior && self.last().is_some_and(|last| self.ahead <= last)
    }

    /// Returns whether there were messages, and nothing that announced their numbers for certain.
    pub(super) fn is_unclear(&self) -> bool {
        match self.last() {
            Some(last) => self.ahead > last && !self.exact,
            None => self.unclear,
        }
    }

    /// Returns the sequence number of the last message that was accepted, if it is known.
    pub(super) fn last(&self) -> Option<u64> {
        self.known.then(|| self.state().map_or(0, |state| state.last))
    }

    pub(super) fn see(&mut self, record: &Record) {
        let tick = record.meta.msg_type == MsgType::TIME_TICK;
        let ts = record.meta.timestamp;
        self.ends.see(record);
        if record.is_tick() && ts < Timestamp::MAX {
            self.watermark = self.watermark.max(ts);
        }
        let control = Control::read(record);
        if record.is_tick() && ts < Timestamp::MAX && control.is_none() {
            self.promise(record, ts);
        }
        if let Some((mut control, epoch)) = control {
            let fence = matches!(control.kind, Kind::Fence { .. });
            if control.fences(&self.producer) {
                control.producer = self.producer.clone();
            }
            if control.producer == self.producer && self.is_newest(epoch, fence) {
                self.control(&control, epoch);
            }
        } else if let Some(stamp) = &record.meta.stamp
            && stamp.origin.producer == self.producer
            && self.is_newest(stamp.origin.epoch, false)
        {
            if !tick {
                self.message(stamp);
            } else if let Some(sent) = sent_ahead(record, stamp.seq)
                && !planted(Bug::InexactTick)
            {
                self.inexact(stamp, sent);
            } else {
                self.announce(Announced { epoch: stamp.origin.epoch, last: stamp.seq });
                // With one producer there can't be too many.
                let _ = self.dedup.tick(stamp, true, usize::MAX);
            }
        }
    }

    /// Notes only whether a record has a newer epoch.
    pub(super) fn see_epoch(&mut self, record: &Record) {
        let control = Control::read(record)
            .filter(|(c, _)| c.producer == self.producer || c.fences(&self.producer));
        let stamp = record.meta.stamp.as_ref().filter(|s| s.origin.producer == self.producer);
        let epoch = control.map(|(_, epoch)| epoch).or(stamp.map(|s| s.origin.epoch));
        self.newest = self.newest.max(epoch);
    }

    /// Notes a tick, unless it is void.
    fn promise(&mut self, record: &Record, ts: Timestamp) {
        let origin = record.meta.stamp.as_ref().map(|stamp| &stamp.origin);
        match origin {
            Some(origin) if origin.producer == self.producer => {
                if self.is_newest(origin.epoch, false) {
                    self.promised.own(ts);
                }
            }
            Some(origin) if self.ends.is_fenced(origin) => {}
            _ => self.promised.other(ts),
        }
    }

    fn control(&mut self, control: &Control, epoch: Position) {
        if let Kind::Base { last } = control.kind {
            self.announce(Announced { epoch, last });
        }
        let _ = self.dedup.control(control, epoch, usize::MAX);
    }

    /// Notes how the newest epoch's number is known, before the number itself is applied.
    fn announce(&mut self, announced: Announced) {
        self.known = true;
        if self.begins(announced.epoch) {
            // The first number of an epoch covers everything that older epochs announced and wrote.
            let fenced = self.state().is_some_and(|state| state.epoch == announced.epoch);
            (self.announced, self.exact, self.ahead) = (Some(announced), fenced, 0);
        } else if let Some(first) = self.announced.filter(|first| first.epoch == announced.epoch) {
            self.exact |= announced.last > first.last;
        } else {
            // A tick that isn't exact is no message: both ticks may be in flight together.
            let counts = self.heard && self.ahead <= announced.last;
            (self.announced, self.exact) = (Some(announced), counts);
        }
    }

    fn message(&mut self, stamp: &Stamp) {
        if !self.is_known(stamp.origin.epoch) {
            (self.unclear, self.heard) = (true, true);
            self.ahead = self.ahead.max(stamp.seq);
        } else if let Ok(Verdict::Gap) = self.dedup.message(stamp, usize::MAX) {
            self.ahead = self.ahead.max(stamp.seq);
        }
    }

    /// Takes in a tick before which more was sent than it counts: it announces nothing.
    fn inexact(&mut self, stamp: &Stamp, sent: u64) {
        if self.is_known(stamp.origin.epoch) {
            let _ = self.dedup.tick(stamp, false, usize::MAX);
        } else {
            self.unclear = true;
            self.ahead = self.ahead.max(sent);
        }
    }

    /// Returns whether the number is known that an epoch's record follows on.
    fn is_known(&mut self, epoch: Position) -> bool {
        if self.begins(epoch) {
            // Its base is before where reading began, so all else that was read is older.
            (self.dedup, self.known, self.ahead, self.heard) = (Dedup::default(), false, 0, false);
        }
        self.known
    }

    /// Returns whether an epoch is newer than that of the number, and has announced none yet.
    fn begins(&self, epoch: Position) -> bool {
        self.state().is_some_and(|state| state.epoch < epoch || state.fenced)
    }

    fn state(&self) -> Option<ProducerState> {
        self.dedup.state(&self.producer)
    }

    /// Returns whether an epoch is the newest, as its record shows: its fence, or another one.
    fn is_newest(&mut self, epoch: Position, fence: bool) -> bool {
        let epoch = Some(epoch);
        if epoch > self.newest {
            match fence {
                true => self.promised.fence(self.newest),
                false => self.promised.surprise(),
            }
            (self.prior, self.newest) = (self.newest, epoch);
        }
        self.newest == epoch
    }
}

/// Reads a channel to find a producer's state.
#[derive(Debug)]
pub(super) struct Scan {
    reader: Box<dyn ChannelReader>,
    pub(super) seen: Seen,
}

impl Scan {
    pub(super) fn new(reader: Box<dyn ChannelReader>, producer: Arc<str>) -> Self {
        Self { reader, seen: Seen::new(producer) }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.reader.incarnation()
    }

    /// Reads what is in the channel now, as far as the reader knows.
    pub(super) async fn read_to_end(
        &mut self,
        end: Position,
        deadline: Instant,
    ) -> Result<(), TransportError> {
        loop {
            let batch = self.read(deadline).await?;
            batch.records.iter().for_each(|record| self.seen.see(record));
            if batch.caught_up || batch.next >= end {
                return Ok(());
            }
        }
    }

    /// Reads up to a record that is known to be there, whatever the reader considers the end. Of
    /// records after it only the epochs count.
    pub(super) async fn read_to(
        &mut self,
        last: Position,
        deadline: Instant,
    ) -> Result<(), TransportError> {
        loop {
            let batch = self.read(deadline).await?;
            for record in &batch.records {
                if record.position <= last {
                    self.seen.see(record);
                } else {
                    self.seen.see_epoch(record);
                }
            }
            if batch.next > last {
                return Ok(());
            }
        }
    }

    async fn read(&mut self, deadline: Instant) -> Result<ReadBatch, TransportError> {
        let limit = Limit::default().with_wait(Duration::from_millis(100));
        let mut retry = Retry::default();
        loop {
            match self.reader.read(limit).await {
                Ok(batch) => return Ok(batch),
                Err(error) => retry.pause(error, deadline).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
