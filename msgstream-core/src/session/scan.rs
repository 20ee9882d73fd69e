//! What a channel's records tell of a producer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dedup::{Dedup, Verdict};
use super::retry::Retry;
use super::{Control, Kind};
use crate::message::{MsgType, Timestamp};
use crate::transport::{
    ChannelReader, Incarnation, Limit, Position, ReadBatch, Record, Stamp, TransportError,
};

/// One producer, as the records of a channel tell of it, from where they were read first. What is
/// taken is what consumers take.
#[derive(Debug)]
pub(super) struct Seen {
    producer: Arc<str>,
    dedup: Dedup,
    newest: Option<Position>,
    /// The epoch before the newest one.
    prior: Option<Position>,
    /// The epoch of the last tick or base that told a number.
    told: Option<Position>,
    /// A tick or a base of the newest epoch told a number. A message before one doesn't: where 5
    /// failed and 6 was stored, 6 isn't the last one that was taken.
    known: bool,
    /// The greatest number of a message that came before an earlier one.
    ahead: u64,
    /// There were messages that told nothing.
    unclear: bool,
    floor: Timestamp,
}

impl Seen {
    pub(super) fn new(producer: Arc<str>) -> Self {
        Self {
            producer,
            dedup: Dedup::default(),
            newest: None,
            prior: None,
            told: None,
            known: false,
            ahead: 0,
            unclear: false,
            floor: Timestamp::MIN,
        }
    }

    /// The greatest tick. The end of time is left out: nobody can follow it.
    pub(super) const fn floor(&self) -> Timestamp {
        self.floor
    }

    pub(super) const fn newest(&self) -> Option<Position> {
        self.newest
    }

    pub(super) const fn prior(&self) -> Option<Position> {
        self.prior
    }

    /// Whether reading from the middle on told the last number, where `prior` is the newest epoch
    /// by the home channel. What an epoch tells that was fenced before is void; and messages ahead
    /// of the number may mean that it is a late copy of an older one.
    pub(super) fn is_enough(&self, prior: Option<Position>) -> bool {
        self.told >= prior && self.last().is_some_and(|last| self.ahead <= last)
    }

    /// Whether there were messages, and nothing that told their numbers.
    pub(super) const fn is_unclear(&self) -> bool {
        self.unclear && !self.known
    }

    /// The number of the last message that was taken, where it is known.
    pub(super) fn last(&self) -> Option<u64> {
        self.known.then(|| self.dedup.state(&self.producer).map_or(0, |state| state.last))
    }

    pub(super) fn see(&mut self, record: &Record) {
        let tick = record.meta.msg_type == MsgType::TIME_TICK;
        if tick && record.meta.timestamp < Timestamp::MAX {
            self.floor = self.floor.max(record.meta.timestamp);
        }
        if let Some((control, epoch)) = Control::read(record) {
            if control.producer == self.producer {
                self.control(&control, epoch);
            }
        } else if let Some(stamp) = &record.meta.stamp
            && stamp.origin.producer == self.producer
        {
            if tick { self.tick(stamp) } else { self.message(stamp) }
        }
    }

    /// Takes note of a newer epoch alone.
    pub(super) fn see_epoch(&mut self, record: &Record) {
        let control = Control::read(record).filter(|(c, _)| c.producer == self.producer);
        let stamp = record.meta.stamp.as_ref().filter(|s| s.origin.producer == self.producer);
        let epoch = control.map(|(_, epoch)| epoch).or(stamp.map(|s| s.origin.epoch));
        self.newest = self.newest.max(epoch);
    }

    fn control(&mut self, control: &Control, epoch: Position) {
        if self.is_newest(epoch) {
            // With one producer there can't be too many.
            let _ = self.dedup.control(control, epoch, usize::MAX);
            if matches!(control.kind, Kind::Base { .. }) {
                (self.known, self.told) = (true, Some(epoch));
            }
        }
    }

    fn tick(&mut self, stamp: &Stamp) {
        if self.is_newest(stamp.origin.epoch) {
            let _ = self.dedup.tick(stamp, usize::MAX);
            (self.known, self.told) = (true, Some(stamp.origin.epoch));
        }
    }

    fn message(&mut self, stamp: &Stamp) {
        let before = self.newest;
        if !self.is_newest(stamp.origin.epoch) {
            return;
        }
        if self.newest > before {
            // Its epoch's base is before the place where reading began, so all else is older.
            (self.dedup, self.known) = (Dedup::default(), false);
        }
        if self.known {
            if let Ok(Verdict::Gap) = self.dedup.message(stamp, usize::MAX) {
                self.ahead = self.ahead.max(stamp.seq);
            }
        } else {
            self.unclear = true;
        }
    }

    fn is_newest(&mut self, epoch: Position) -> bool {
        let epoch = Some(epoch);
        if epoch > self.newest {
            (self.prior, self.newest) = (self.newest, epoch);
        }
        self.newest == epoch
    }
}

/// Reads a channel for what it tells of a producer.
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

    /// Reads what is there now, as far as the reader knows.
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

    /// Reads up to a record that is there for certain, whatever the reader takes for the end. Of
    /// what it gets of later ones only their epochs count.
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::{Meta, Origin};

    fn written(what: &str) -> Record {
        let mut words = what.split(' ');
        let (kind, epoch, number) = (words.next(), words.next(), words.next());
        let epoch = Position::new(epoch.and_then(|w| w.parse().ok()).unwrap_or_default());
        let number = number.and_then(|w| w.parse().ok()).unwrap_or_default();
        let msg_type = if kind == Some("m") { MsgType::INSERT } else { MsgType::TIME_TICK };
        let mut record = Record::new(Meta::new(msg_type, Timestamp(5)), Vec::new());
        let producer: Arc<str> = "p".into();
        let control = |kind| Control { producer: producer.clone(), epoch: Some(epoch), kind };
        match kind {
            Some("fence") => control(Kind::Fence { nonce: number }).write(&mut record),
            Some("base") => control(Kind::Base { last: number }).write(&mut record),
            _ => {
                let origin = Arc::new(Origin { producer: producer.clone(), epoch });
                record.meta.stamp = Some(Stamp { origin, seq: number });
            }
        }
        record
    }

    fn seen(log: &[&str]) -> Seen {
        let mut seen = Seen::new("p".into());
        log.iter().for_each(|what| seen.see(&written(what)));
        seen
    }

    #[test]
    fn the_last_number_is_that_of_the_last_message_that_was_taken() {
        for (last, log) in [
            (None, &[][..]),
            (None, &["fence 1"]),
            (Some(0), &["fence 1", "base 1 0"]),
            (Some(2), &["base 1 0", "m 1 1", "m 1 2"]),
            // One is missing, and comes again.
            (Some(1), &["base 1 0", "m 1 1", "m 1 3", "m 1 4"]),
            (Some(3), &["base 1 0", "m 1 1", "m 1 3", "m 1 2", "m 1 3"]),
            // Reading begins in the middle.
            (None, &["m 1 7", "m 1 8"]),
            (Some(9), &["m 1 7", "t 1 8", "m 1 9"]),
            (Some(9), &["t 1 8", "m 1 9", "m 1 11"]),
            // An older epoch goes on writing.
            (Some(1), &["base 1 0", "m 1 1", "fence 2", "m 1 2", "t 1 2", "base 2 1", "m 1 2"]),
            (Some(2), &["base 1 0", "m 1 1", "fence 2", "base 2 1", "m 2 2", "t 1 9"]),
            // What tells the newest epoch's number is before the place where reading began.
            (None, &["t 1 5", "m 2 9"]),
            (None, &["m 2 9", "t 1 5"]),
            (Some(9), &["t 1 5", "m 2 8", "base 2 9"]),
        ] {
            assert_eq!(seen(log).last(), last, "{log:?}");
        }
        assert!(seen(&["m 1 7"]).is_unclear());
        assert!(!seen(&["fence 1"]).is_unclear());
        assert!(!seen(&["m 1 7", "t 1 7"]).is_unclear());
    }

    #[test]
    fn a_copy_of_a_fence_begins_no_epoch() {
        let seen = seen(&["fence 1", "fence 3", "fence 3", "fence 2"]);
        assert_eq!(seen.newest(), Some(Position::new(3)));
        assert_eq!(seen.prior(), Some(Position::new(1)));
    }

    #[test]
    fn others_and_the_end_of_time_are_left_out() {
        let mut seen = Seen::new("q".into());
        seen.see(&written("base 1 5"));
        seen.see(&written("m 1 6"));
        assert_eq!((seen.last(), seen.newest()), (None, None));
        assert_eq!(seen.floor(), Timestamp(5));
        seen.see(&Record::new(Meta::new(MsgType::TIME_TICK, Timestamp::MAX), Vec::new()));
        assert_eq!(seen.floor(), Timestamp(5));
    }

    proptest! {
        // Wherever reading begins, what it tells is right, or it tells nothing.
        #[test]
        fn a_part_of_the_log_tells_the_same_or_nothing(
            kinds in prop::collection::vec((0_u8..6, 0_u64..3), 1..40),
            from: prop::sample::Index,
        ) {
            // A producer that behaves: it ticks what is taken, and a new epoch begins with a base.
            let mut whole = Seen::new("p".into());
            let (mut epoch, mut log) = (1, vec!["base 1 0".to_owned()]);
            whole.see(&written("base 1 0"));
            for (kind, ahead) in kinds {
                let last = whole.last().unwrap_or_default();
                let lines = match kind {
                    0 => vec![format!("t {epoch} {last}")],
                    1 => vec![format!("m {} {}", epoch - 1, last + 1)],
                    2 => vec![format!("fence {}", epoch + 1), format!("base {} {last}", epoch + 1)],
                    _ => vec![format!("m {epoch} {}", last + ahead)],
                };
                epoch += u64::from(kind == 2);
                for line in lines {
                    whole.see(&written(&line));
                    log.push(line);
                }
            }
            let from = from.index(log.len());
            let part: Vec<_> = log[from..].iter().map(String::as_str).collect();
            let part = seen(&part);
            prop_assert!(part.last().is_none() || part.last() == whole.last(), "{log:?} from {from}");
        }
    }
}
