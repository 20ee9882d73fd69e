//! The rules of sessions: which records of a channel count, as one who reads it from some place on
//! knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::MsgType;
use msgstream_core::transport::{Position, Record, Stamp};

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
    /// The last record that told it, so that one who begins there knows it too.
    teller: Option<Position>,
}

impl Known {
    const fn new(epoch: Position, last: u64) -> Self {
        Self { epoch, last, fenced: false, teller: None }
    }
}

impl Producers {
    /// Whether a record counts.
    pub(crate) fn take(&mut self, record: &Record) -> bool {
        let tick = record.meta.msg_type == MsgType::TIME_TICK;
        if let Some(stamp) = &record.meta.stamp {
            let Stamp { origin, seq } = stamp;
            return if tick {
                self.learn(&origin.producer, origin.epoch, *seq, record.position)
            } else {
                self.number(&origin.producer, origin.epoch, *seq)
            };
        }
        match record.header(Stamp::HEADER).and_then(|text| str::from_utf8(text).ok()) {
            Some(text) if tick => {
                self.control(text, record.position);
                false
            }
            _ => true,
        }
    }

    /// Where the log must begin at the latest, so that what is left of it tells the number of every
    /// producer that has one; `None` where one was told nowhere.
    pub(crate) fn told_from(&self) -> Option<Position> {
        let mut numbered = self.0.values().filter(|known| known.last > 0);
        numbered.try_fold(Position::MAX, |from, known| Some(from.min(known.teller?)))
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

    /// Ticks and bases tell the last number that is stored; those of old epochs are void. The first
    /// one behind a fence is exact: what was taken before it may be more, where reading began behind
    /// an older fence that makes it void. One that comes later may be a late copy.
    fn learn(&mut self, producer: &Arc<str>, epoch: Position, last: u64, at: Position) -> bool {
        let known = self.0.entry(producer.clone()).or_insert(Known::new(epoch, last));
        if epoch < known.epoch {
            return false;
        }
        known.last = if epoch > known.epoch || known.fenced { last } else { known.last.max(last) };
        (known.epoch, known.fenced) = (epoch, false);
        if known.last == last {
            known.teller = Some(at);
        }
        true
    }

    /// `producer;epoch;fence;nonce`, `producer;epoch;base;last`, `producer;epoch;bye;`. A fence
    /// without an epoch is one by its own position.
    fn control(&mut self, text: &str, position: Position) {
        let parts: Vec<_> = text.split(';').collect();
        let [producer, epoch, kind, value] = parts[..] else { return };
        let (producer, epoch) = (Arc::from(producer), epoch.parse().unwrap_or(position));
        match (kind, value.parse()) {
            ("fence", _) => {
                let fence = Known { fenced: true, ..Known::new(epoch, 0) };
                let known = self.0.entry(producer).or_insert(fence);
                if epoch > known.epoch {
                    (known.epoch, known.fenced) = (epoch, true);
                }
            }
            ("base", Ok(last)) => {
                self.learn(&producer, epoch, last, position);
            }
            _ => {}
        }
    }
}
