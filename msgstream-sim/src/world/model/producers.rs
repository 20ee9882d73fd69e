//! The rules of sessions: which records of a channel count, as one who reads it from some place on
//! knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::MsgType;
use msgstream_core::record::{Position, Record, SENT_HEADER, Stamp};

/// The producer that a name is of: on a virtual channel one is numbered as `PRODUCER/CHANNEL`.
pub(crate) fn producer_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(producer, _)| producer)
}

/// What is known of the producers on one channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers(BTreeMap<Arc<str>, Known>);

#[derive(Clone, Debug)]
struct Known {
    /// The newest epoch.
    epoch: Position,
    last: u64,
    /// A fence began the epoch, and nothing told its number since.
    fenced: bool,
    /// The fence that began it.
    fence: Option<Position>,
    /// The first fence since something told the number. What older sessions write behind it is
    /// void, which nothing but the fence says until the number is told again.
    untold: Option<Position>,
    /// The last record that told the number.
    teller: Option<Teller>,
    /// From where on it is sure that this isn't a late copy: its epoch's fence, or what told a lesser
    /// number before. Ticks with one number are in flight together.
    proof: Option<Position>,
}

/// A record that told a number, and where it is.
#[derive(Clone, Copy, Debug)]
struct Teller {
    epoch: Position,
    last: u64,
    at: Position,
}

impl Known {
    const fn new(epoch: Position, last: u64) -> Self {
        Self { epoch, last, fenced: false, fence: None, untold: None, teller: None, proof: None }
    }

    fn fence(&mut self, epoch: Position, at: Position) {
        if epoch > self.epoch {
            (self.epoch, self.fenced, self.fence) = (epoch, true, Some(at));
            self.untold = self.untold.or(self.fence);
        }
    }
}

impl Producers {
    /// Whether a record counts.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        let tick = record.meta.msg_type == MsgType::TIME_TICK;
        if let Some(stamp) = &record.meta.stamp {
            let Stamp { origin, seq } = stamp;
            if self.is_void(&origin.producer, origin.epoch) {
                return false;
            }
            return if let (true, Some(sent)) = (tick, record.header(SENT_HEADER)) {
                let sent = str::from_utf8(sent).ok().and_then(|sent| sent.parse().ok());
                assert!(sent > Some(*seq), "{seq} are counted, and {sent:?} sent");
                self.inexact(&origin.producer, origin.epoch, *seq)
            } else if tick {
                let teller = Teller { epoch: origin.epoch, last: *seq, at: record.position };
                self.learn(&origin.producer, teller)
            } else {
                self.number(&origin.producer, origin.epoch, *seq)
            };
        }
        match record.header(Stamp::HEADER).and_then(|text| str::from_utf8(text).ok()) {
            Some(text) if tick => {
                self.control(text, record);
                false
            }
            _ => true,
        }
    }

    /// Returns where the log must begin at the latest, so that what is left of it tells the number of every
    /// producer for sure; `None` if one's number isn't told anywhere. On a virtual channel only names of the
    /// form `PRODUCER/CHANNEL` have numbers.
    pub(crate) fn told_from(&self, is_virtual: bool) -> Option<Position> {
        let numbered =
            self.0.iter().filter(|(name, _)| !is_virtual || producer_of(name) != &***name);
        numbered.map(|(_, known)| known).try_fold(Position::MAX, |from, known| {
            let told = if known.last > 0 || known.teller.is_some() { known.proof? } else { from };
            Some(from.min(told).min(known.untold.unwrap_or(from)))
        })
    }

    /// Whether all that is known of a producer on a virtual channel is that a fence of the whole one
    /// voids this epoch.
    fn is_void(&self, producer: &str, epoch: Position) -> bool {
        let fenced = |whole: &Known| epoch < whole.epoch;
        !self.0.contains_key(producer) && self.0.get(producer_of(producer)).is_some_and(fenced)
    }

    /// A message counts where it is the next one, in the newest epoch. Where nothing is known of its
    /// epoch, not even a fence, reading began in the middle, and any does.
    fn number(&mut self, producer: &Arc<str>, epoch: Position, seq: u64) -> bool {
        let known = self.0.entry(producer.clone()).or_insert(Known::new(epoch, seq - 1));
        if epoch > known.epoch {
            *known = Known::new(epoch, seq - 1);
        }
        let counts = epoch == known.epoch && seq == known.last + 1;
        if counts {
            (known.last, known.fenced) = (seq, false);
        }
        counts
    }

    /// A tick that messages were sent ahead of doesn't determine the producer's number. It raises one that
    /// is known.
    fn inexact(&mut self, producer: &Arc<str>, epoch: Position, last: u64) -> bool {
        let Some(known) = self.0.get_mut(producer) else { return true };
        if epoch == known.epoch && !known.fenced {
            known.last = known.last.max(last);
        }
        epoch >= known.epoch
    }

    /// Ticks and bases tell the last number that is stored; those of old epochs are void. The first
    /// one behind a fence is exact: what was taken before it may be more, where reading began behind
    /// an older fence that makes it void. One that comes later may be a late copy.
    fn learn(&mut self, producer: &Arc<str>, teller: Teller) -> bool {
        let Teller { epoch, last, .. } = teller;
        let known = self.0.entry(producer.clone()).or_insert(Known::new(epoch, last));
        if epoch < known.epoch {
            return false;
        }
        let first = known.teller.is_none_or(|told| told.epoch < epoch);
        known.last = if epoch > known.epoch || known.fenced { last } else { known.last.max(last) };
        if first {
            (known.teller, known.proof) = (Some(teller), known.fence);
        } else if let Some(before) = known.teller.filter(|told| last > told.last) {
            (known.teller, known.proof) = (Some(teller), Some(before.at));
        }
        (known.epoch, known.fenced, known.untold) = (epoch, false, None);
        true
    }

    /// `producer;epoch;fence;nonce`, `producer;epoch;base;last`, `producer;epoch;bye;`. A fence
    /// without an epoch is one by its own position.
    fn control(&mut self, text: &str, record: &Record) {
        let position = record.position;
        let parts: Vec<_> = text.split(';').collect();
        let [producer, epoch, kind, value] = parts[..] else { return };
        let (producer, epoch) = (Arc::from(producer), epoch.parse().unwrap_or(position));
        match (kind, value.parse()) {
            ("fence", _) => {
                let fence = Some(position);
                // Numbers of virtual channels, for those who read the whole one.
                let numbered = format!("{producer}/");
                let parts = self.0.range_mut(Arc::from(&*numbered)..);
                let parts = parts.take_while(|(name, _)| name.starts_with(&numbered));
                parts.for_each(|(_, known)| known.fence(epoch, position));
                let new = Known { fenced: true, fence, untold: fence, ..Known::new(epoch, 0) };
                self.0.entry(producer).or_insert(new).fence(epoch, position);
            }
            ("base", Ok(last)) if !self.is_void(&producer, epoch) => {
                self.learn(&producer, Teller { epoch, last, at: position });
            }
            _ => {}
        }
    }
}
