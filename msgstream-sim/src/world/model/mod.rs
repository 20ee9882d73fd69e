//! The rules of sessions and of the merge, applied to whole logs: what consumers must be given.
//!
//! Written for clarity, from the rules and not from the code under test: everything is judged and
//! sorted at the end. For runs that are shorter than producers are remembered. Where packs end is
//! told for runs without idleness; what counts, and what is late, for all.

mod producers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msgstream_core::record::END_HEADER;
use msgstream_core::record::{Position, Record};
use msgstream_core::{LatePolicy, MsgType};

pub(super) use self::producers::{Producers, producer_of};

/// A message in a pack: its channel, its place, and whether it is late.
pub(super) type Placed = (Arc<str>, Position, bool);

/// A message's place.
pub(super) type Place = (Arc<str>, Position);

/// The records of each channel.
pub(super) type Logs = BTreeMap<Arc<str>, Vec<Record>>;

/// What a pack must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelPack {
    pub(super) begin: Option<u64>,
    pub(super) end: u64,
    pub(super) msgs: Vec<Placed>,
}

/// How a consumer reads.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Packs end at multiples of it.
    pub(super) interval: u64,
    pub(super) late: LatePolicy,
    /// A channel that joins after the first pack which ends at a time or after it.
    pub(super) joins: Option<(Arc<str>, u64)>,
}

/// What the channels hold, judged.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) packs: Vec<ModelPack>,
    /// Every message that counts, in any pack or in none yet.
    pub(super) taken: BTreeMap<Place, Taken>,
    /// Late messages that are left out.
    pub(super) dropped: BTreeSet<Place>,
    /// Messages from before their channel joined.
    pub(super) before_join: BTreeSet<Place>,
    /// Of each producer on each channel: the numbers that count, and where.
    pub(super) numbers: BTreeMap<(Arc<str>, Arc<str>), BTreeMap<u64, Position>>,
    /// The channels that have ended, and where.
    pub(super) ended: BTreeMap<Arc<str>, Position>,
}

/// A message that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) ts: u64,
    /// The greatest tick of its channel before it.
    pub(super) watermark: Option<u64>,
}

impl Taken {
    /// The time at which it counts, where its channel was never idle.
    pub(super) fn eff(&self) -> u64 {
        self.watermark.map_or(self.ts, |watermark| self.ts.max(watermark + 1))
    }
}

/// One message, in the order of packs.
type Sorted = (u64, Arc<str>, Position, bool);

/// What a channel's ticks say.
#[derive(Default)]
struct Ticks {
    ends: BTreeSet<u64>,
    /// The greatest, and the end of time where the channel has ended.
    watermark: Option<u64>,
}

impl Ticks {
    fn accept(&mut self, ts: u64, interval: u64) {
        if self.watermark.is_none_or(|watermark| ts > watermark) {
            self.watermark = Some(ts);
            self.ends.insert(ts - ts % interval);
        }
    }
}

impl Model {
    /// Judges logs.
    pub(super) fn new(logs: &Logs, rules: &Rules) -> Self {
        let mut model = Self::default();
        let (mut ticks, mut all) = (BTreeMap::new(), Vec::new());
        for (channel, records) in logs {
            ticks.insert(channel.clone(), model.judge(channel, records, rules.interval, &mut all));
        }
        all.sort();
        let joiner = rules.joins.as_ref().map(|(joiner, _)| joiner);
        let (early, mut late): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|message| Some(&message.1) != joiner);
        let is_first = |channel: &Arc<str>| Some(channel) != joiner;
        let first = ticks.iter().filter(|(channel, _)| is_first(channel)).map(|(_, ticks)| ticks);
        let until = rules.joins.as_ref().map_or(u64::MAX, |(_, at)| *at);
        let mut rest = model.cut(first, early, until, rules.late);
        // Whatever happens in the channels that were there is in the packs up to there.
        if let Some(joined) = model.packs.last().map(|pack| pack.end).filter(|end| *end >= until) {
            let before = late.extract_if(.., |message| message.0 <= joined);
            model.before_join.extend(before.map(|message| (message.1, message.2)));
            rest.extend(late);
            rest.sort();
            model.cut(ticks.values(), rest, u64::MAX, rules.late);
        }
        model
    }

    /// Judges a channel: adds its messages to those of all, and returns its ticks.
    fn judge(
        &mut self,
        channel: &Arc<str>,
        records: &[Record],
        interval: u64,
        all: &mut Vec<Sorted>,
    ) -> Ticks {
        let (mut ticks, mut producers) = (Ticks::default(), Producers::default());
        let began = all.len();
        for record in records {
            let ts = record.meta.timestamp.0;
            if !producers.take(record) {
                continue;
            }
            if is_end(record) {
                // What is left belongs to packs that end with the channel.
                let last = all[began..].iter().map(|message| message.0).max();
                let last = last.unwrap_or(ts).max(ts);
                if last == u64::MAX {
                    // Nothing could follow such a pack, so consumers pass over the end.
                    continue;
                }
                ticks.accept(last, interval);
                let last = ticks.watermark.unwrap_or(ts);
                ticks.ends.insert(last.checked_next_multiple_of(interval).unwrap_or(last));
                ticks.watermark = Some(u64::MAX);
                self.ended.insert(channel.clone(), record.position);
                break;
            }
            if is_tick(record) {
                ticks.accept(ts, interval);
            }
            if record.meta.msg_type == MsgType::TIME_TICK {
                continue;
            }
            let taken = Taken { ts, watermark: ticks.watermark };
            let (channel, position) = (channel.clone(), record.position);
            self.taken.insert((channel.clone(), position), taken);
            if let Some(stamp) = &record.meta.stamp {
                let of = (Arc::from(producer_of(&stamp.origin.producer)), channel.clone());
                self.numbers.entry(of).or_default().insert(stamp.seq, position);
            }
            all.push((taken.eff(), channel, position, taken.eff() > ts));
        }
        ticks
    }

    /// Cuts sorted messages into packs, up to the first one that ends at a time or after it; gives
    /// those that are in none.
    fn cut<'a>(
        &mut self,
        ticks: impl Iterator<Item = &'a Ticks> + Clone,
        all: Vec<Sorted>,
        until: u64,
        late: LatePolicy,
    ) -> Vec<Sorted> {
        let joined = self.packs.last().map(|pack| pack.end);
        let mut begin = joined;
        let reached = ticks.clone().map(|ticks| ticks.watermark).min().flatten();
        let ends: BTreeSet<_> = ticks.flat_map(|ticks| ticks.ends.iter().copied()).collect();
        let mut all = all.into_iter().peekable();
        for end in ends.into_iter().filter(|end| Some(*end) <= reached && Some(*end) > joined) {
            let mut msgs = Vec::new();
            while let Some((_, channel, at, is_late)) = all.next_if(|message| message.0 <= end) {
                if is_late && late == LatePolicy::Drop {
                    self.dropped.insert((channel, at));
                } else {
                    msgs.push((channel, at, is_late));
                }
            }
            self.packs.push(ModelPack { begin, end, msgs });
            begin = Some(end);
            if end >= until {
                break;
            }
        }
        all.collect()
    }
}

/// Whether a record ends its channel.
fn is_end(record: &Record) -> bool {
    is_tick(record) && record.header(END_HEADER).is_some()
}

/// Whether a record is a tick of its channel, and not of a part of it.
fn is_tick(record: &Record) -> bool {
    record.meta.msg_type == MsgType::TIME_TICK && record.meta.vchannel.is_none()
}

/// Where a channel has ended, if it has.
pub(super) fn end_of(records: &[Record]) -> Option<Position> {
    let mut producers = Producers::default();
    let mut counts = records.iter().filter(|record| producers.take(record));
    counts.find(|record| is_end(record)).map(|record| record.position)
}

/// The last record up to a position that counts, with ticks or without: what is sent again behind it is a
/// copy.
pub(super) fn last_that_counts(
    records: &[Record],
    until: Position,
    ticks: bool,
) -> Option<Position> {
    let mut producers = Producers::default();
    let counts = records.iter().filter(|record| producers.take(record));
    let counts = counts.filter(|record| ticks || record.meta.msg_type != MsgType::TIME_TICK);
    counts.map(|record| record.position).take_while(|at| *at <= until).last()
}

/// Where a log may begin and still tell every producer's number.
pub(super) fn told_from(records: &[Record], is_virtual: bool) -> Option<Position> {
    let mut producers = Producers::default();
    for record in records {
        producers.take(record);
    }
    producers.told_from(is_virtual)
}

#[cfg(test)]
mod tests;
