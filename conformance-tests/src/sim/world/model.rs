//! The rules of sessions and of the merge, applied to whole logs: what consumers must be given.
//!
//! Written for clarity, from the rules and not from the code under test: everything is judged and
//! sorted at the end. Without idleness, and for runs that are shorter than producers are remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgstream_core::transport::{Position, Record, Stamp};
use msgstream_core::{LatePolicy, MsgType};

/// A message in a pack: its channel, its place, and whether it is late.
pub(super) type Placed = (Arc<str>, Position, bool);

/// What a pack must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelPack {
    pub(super) begin: Option<u64>,
    pub(super) end: u64,
    pub(super) msgs: Vec<Placed>,
}

/// What the channels hold, judged.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) packs: Vec<ModelPack>,
    /// Every message that counts, in any pack or in none yet.
    pub(super) taken: BTreeSet<(Arc<str>, Position)>,
    /// Late messages that are left out.
    pub(super) dropped: BTreeSet<(Arc<str>, Position)>,
    /// Of each producer on each channel: the numbers that count, and where.
    pub(super) numbers: BTreeMap<(Arc<str>, Arc<str>), BTreeMap<u64, Position>>,
}

/// One message that counts.
struct Message {
    eff: u64,
    channel: Arc<str>,
    position: Position,
    late: bool,
}

impl Model {
    /// Judges logs. Packs end at multiples of `grid`.
    pub(super) fn new(logs: &BTreeMap<Arc<str>, Vec<Record>>, grid: u64, late: LatePolicy) -> Self {
        let mut model = Self::default();
        let (mut ends, mut floors, mut all) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (channel, records) in logs {
            let mut floor = None;
            let mut producers = Producers::default();
            for record in records {
                let ts = record.meta.timestamp.0;
                if !producers.take(record) {
                    continue;
                }
                if record.meta.msg_type == MsgType::TIME_TICK {
                    if floor.is_none_or(|floor| ts > floor) {
                        floor = Some(ts);
                        ends.insert(ts - ts % grid);
                    }
                    continue;
                }
                let eff = floor.map_or(ts, |floor| ts.max(floor + 1));
                let (channel, position) = (channel.clone(), record.position);
                model.taken.insert((channel.clone(), position));
                if let Some(stamp) = &record.meta.stamp {
                    let of = (stamp.origin.producer.clone(), channel.clone());
                    model.numbers.entry(of).or_default().insert(stamp.seq, position);
                }
                all.push(Message { eff, channel, position, late: eff > ts });
            }
            floors.push(floor);
        }
        let Some(reached) = floors.into_iter().min().flatten() else { return model };
        all.sort_by(|a, b| (a.eff, &a.channel, a.position).cmp(&(b.eff, &b.channel, b.position)));
        let (mut all, mut begin) = (all.into_iter().peekable(), None);
        for end in ends.into_iter().filter(|end| *end <= reached) {
            let mut msgs = Vec::new();
            while let Some(message) = all.next_if(|message| message.eff <= end) {
                if message.late && late == LatePolicy::Drop {
                    model.dropped.insert((message.channel, message.position));
                } else {
                    msgs.push((message.channel, message.position, message.late));
                }
            }
            model.packs.push(ModelPack { begin, end, msgs });
            begin = Some(end);
        }
        model
    }
}

/// The last time tick of a channel that counts.
pub(super) fn last_tick(records: &[Record]) -> Option<Position> {
    let mut producers = Producers::default();
    let counts = records.iter().filter(|record| producers.take(record));
    counts.filter(|r| r.meta.msg_type == MsgType::TIME_TICK).map(|r| r.position).last()
}

/// What is known of the producers on one channel: the newest epoch of each, and its last number.
#[derive(Default)]
struct Producers(BTreeMap<Arc<str>, (Position, u64)>);

impl Producers {
    /// Whether a record counts.
    fn take(&mut self, record: &Record) -> bool {
        let tick = record.meta.msg_type == MsgType::TIME_TICK;
        if let Some(stamp) = &record.meta.stamp {
            let Stamp { origin, seq } = stamp;
            return if tick {
                self.learn(&origin.producer, origin.epoch, *seq)
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

    /// A message counts where it is the next one, in the newest epoch.
    fn number(&mut self, producer: &Arc<str>, epoch: Position, seq: u64) -> bool {
        match self.0.get_mut(producer) {
            None => {
                self.0.insert(producer.clone(), (epoch, seq));
                true
            }
            Some((newest, last)) if *newest == epoch && *last + 1 == seq => {
                *last = seq;
                true
            }
            Some(_) => false,
        }
    }

    /// Ticks and bases tell the last number that is stored; those of old epochs are void.
    fn learn(&mut self, producer: &Arc<str>, epoch: Position, last: u64) -> bool {
        let known = self.0.entry(producer.clone()).or_insert((epoch, last));
        let counts = epoch >= known.0;
        if counts {
            *known = (epoch, known.1.max(last));
        }
        counts
    }

    /// `producer;epoch;fence;nonce`, `producer;epoch;base;last`, `producer;epoch;bye;`. A fence
    /// without an epoch is one by its own position.
    fn control(&mut self, text: &str, position: Position) {
        let parts: Vec<_> = text.split(';').collect();
        let [producer, epoch, kind, value] = parts[..] else { return };
        let (producer, epoch) = (Arc::from(producer), epoch.parse().unwrap_or(position));
        match (kind, value.parse()) {
            ("fence", _) => {
                let known = self.0.entry(producer).or_insert((epoch, 0));
                known.0 = known.0.max(epoch);
            }
            ("base", Ok(last)) => {
                self.learn(&producer, epoch, last);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::Timestamp;
    use msgstream_core::transport::{Header, Meta};

    use super::*;

    /// Records at positions from 0 on: a type, a time, and a stamp or what a control record says.
    fn log(records: &[(MsgType, u64, &'static str)]) -> BTreeMap<Arc<str>, Vec<Record>> {
        let record = |(position, (msg_type, ts, says)): (u64, &(MsgType, u64, &'static str))| {
            let mut record = Record::new(Meta::new(*msg_type, Timestamp(*ts)), vec![]);
            record.position = Position::new(position);
            record.meta.stamp = says.parse().ok();
            if record.meta.stamp.is_none() && !says.is_empty() {
                record.extra.push(Header::new(Stamp::HEADER, *says));
            }
            record
        };
        BTreeMap::from([("a".into(), (0..).zip(records).map(record).collect())])
    }

    fn offsets(pack: &ModelPack) -> Vec<u64> {
        pack.msgs.iter().map(|(_, position, _)| position.offset()).collect()
    }

    #[test]
    fn each_number_counts_once_in_the_newest_epoch() {
        const M: MsgType = MsgType::INSERT;
        const T: MsgType = MsgType::TIME_TICK;
        let log = log(&[
            (T, 0, "p;;fence;1"),
            (T, 0, "p;0;base;0"),
            (M, 3, "p;0;1"),
            // 2 was lost, and is sent again with what follows it.
            (M, 2, "p;0;3"),
            (M, 5, "p;0;2"),
            (M, 2, "p;0;3"),
            (M, 5, "p;0;2"),
            (T, 6, "p;0;3"),
            (T, 6, "p;8;fence;1"),
            // A zombie and its tick.
            (M, 8, "p;0;4"),
            (T, 99, "p;0;4"),
            (M, 7, "p;8;4"),
            (M, 4, ""),
            (T, 9, "p;8;4"),
        ]);
        let model = Model::new(&log, 1, LatePolicy::Deliver);
        let packs: Vec<_> = model.packs.iter().map(|p| (p.begin, p.end, offsets(p))).collect();
        assert_eq!(packs, [(None, 6, vec![5, 2, 4]), (Some(6), 9, vec![11, 12])]);
        assert!(model.packs[1].msgs[1].2, "it came after the tick that promised that it wouldn't");
        let numbers = model.numbers.values().next().unwrap();
        assert_eq!(numbers.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
        let dropped = Model::new(&log, 1, LatePolicy::Drop).dropped;
        assert_eq!(dropped.first().unwrap().1, Position::new(12));
        assert_eq!(last_tick(&log["a"]), Some(Position::new(13)));
    }
}
