//! The rules, applied to whole logs.

use std::collections::{BTreeMap, BTreeSet};

use msgstream_core::dedup::ProducerLimits;
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::{MsgPack, Timestamp};

use crate::contents::{Contents, Entry, Tag};

/// Channel, position, time, late.
pub(crate) type Out = (String, u64, u64, bool);
pub(crate) type OutPack = (Option<u64>, u64, Vec<Out>);

pub(crate) fn reference(contents: &Contents) -> Vec<OutPack> {
    let mut boundaries = BTreeSet::new();
    let mut messages = Vec::new();
    let mut watermarks = Vec::new();
    let cut = |t: u64| t - t % contents.interval;
    for (index, (source, log)) in contents.channels.iter().enumerate() {
        let (mut watermark, mut greatest, mut held) = (None::<u64>, 0, Vec::new());
        let mut ended = false;
        let mut producers = Producers::new(contents.limits);
        let mut accept = |producers: &mut Producers, watermark: &mut Option<u64>, t: u64| {
            if watermark.is_none_or(|f| t > f) {
                producers.ticked(*watermark, t);
                *watermark = Some(t);
                boundaries.insert(cut(t));
            }
        };
        for (position, entry) in (0..).zip(log) {
            if !producers.take(entry) {
                continue;
            }
            match *entry {
                Entry::Message(ts, _) => {
                    let eff = watermark.map_or(ts, |f| ts.max(f + 1));
                    held.push(eff);
                    messages.push((eff, Contents::name(index), position, ts));
                    greatest = greatest.max(ts);
                    if let TickSource::Synthetic { delay, interval } = *source
                        && let Some(behind) = greatest.checked_sub(delay)
                    {
                        accept(&mut producers, &mut watermark, behind - behind % interval);
                    }
                }
                Entry::Tick(t, _) | Entry::Ahead(t, _) => {
                    accept(&mut producers, &mut watermark, t);
                }
                Entry::End(t) => {
                    let above = |f: &u64| watermark.is_none_or(|watermark| *f > watermark);
                    let last = held.iter().copied().filter(above).max().unwrap_or(t).max(t);
                    accept(&mut producers, &mut watermark, last);
                    boundaries.insert(watermark.unwrap().next_multiple_of(contents.interval));
                    ended = true;
                    break;
                }
                Entry::Private(_) | Entry::Fence(..) | Entry::Base(_) | Entry::Bye(..) => {}
            }
        }
        watermarks.push(if ended { Some(u64::MAX) } else { watermark });
    }
    let Some(reached) = watermarks.iter().min().copied().flatten() else { return Vec::new() };
    messages.sort();
    let mut packs = Vec::new();
    let mut begin = None;
    for end in boundaries.into_iter().filter(|b| *b <= reached) {
        let inside = messages.iter().filter(|m| begin.is_none_or(|b| m.0 > b) && m.0 <= end);
        let out = inside
            .map(|(eff, name, position, ts)| (name.clone(), *position, *ts, eff > ts))
            .filter(|out| !(out.3 && contents.late == LatePolicy::Drop))
            .collect();
        packs.push((begin, end, out));
        begin = Some(end);
    }
    packs
}

/// What a pack holds, in the same form.
pub(crate) fn out(pack: &MsgPack) -> OutPack {
    let message = |m: &msgstream_core::Message| {
        let m = m.stored().unwrap();
        (m.channel.to_string(), m.record.position.offset(), m.record.meta.timestamp.0, m.late)
    };
    (pack.begin_ts.map(|t| t.0), pack.end_ts.0, pack.msgs.iter().map(message).collect())
}

/// The positions of what counts in a log whose producers are remembered for good.
pub(crate) fn taken(log: &[Entry], limits: ProducerLimits) -> BTreeSet<u64> {
    let mut producers = Producers::new(limits);
    (0..)
        .zip(log)
        .filter(|(_, entry)| producers.take(entry))
        .map(|(position, _)| position)
        .collect()
}

/// The positions of all messages that count, sorted.
pub(crate) fn all_messages(contents: &Contents) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for (index, (_, log)) in contents.channels.iter().enumerate() {
        let is_message = |at: &u64| matches!(log[*at as usize], Entry::Message(..));
        let messages = taken(log, contents.limits).into_iter().filter(is_message);
        all.extend(messages.map(|position| (Contents::name(index), position)));
    }
    all.sort();
    all
}

struct Producers {
    limits: ProducerLimits,
    known: BTreeMap<char, Known>,
}

struct Known {
    epoch: u64,
    last: u64,
    /// A fence began the epoch, and nothing of it told a number since.
    fenced: bool,
    closed: bool,
    /// Whether something was heard since the last tick, and the first tick after it else.
    active: bool,
    heard: u64,
}

impl Producers {
    fn new(limits: ProducerLimits) -> Self {
        Self { limits, known: BTreeMap::new() }
    }

    /// Whether an entry counts.
    fn take(&mut self, entry: &Entry) -> bool {
        match *entry {
            Entry::Message(_, Some(Tag { producer, epoch, seq })) => {
                let known = self.known.get_mut(&producer).filter(|known| known.epoch >= epoch);
                let Some(known) = known else { return self.know(producer, epoch, seq) };
                let next = known.epoch == epoch && known.last + 1 == seq;
                if next {
                    (known.last, known.fenced, known.active) = (seq, false, true);
                }
                next
            }
            Entry::Tick(_, Some(tag)) => self.learn(tag),
            Entry::Ahead(_, tag) => {
                let known = self.known.get(&tag.producer).filter(|known| known.epoch >= tag.epoch);
                // It tells nothing of an epoch of which nothing is known but a fence.
                let untold = |known: &Known| known.epoch == tag.epoch && known.fenced;
                if known.is_none_or(untold) { true } else { self.learn(tag) }
            }
            Entry::Base(tag) => {
                self.learn(tag);
                true
            }
            Entry::Fence(producer, epoch) => {
                let unknown = !self.known.contains_key(&producer);
                if unknown {
                    self.know(producer, epoch, 0);
                }
                if let Some(known) = self.known.get_mut(&producer) {
                    if unknown || epoch > known.epoch {
                        (known.epoch, known.fenced, known.closed) = (epoch, true, false);
                    }
                    known.active = true;
                }
                true
            }
            Entry::Bye(producer, epoch) => {
                if let Some(known) = self.known.get_mut(&producer).filter(|k| k.epoch == epoch) {
                    (known.closed, known.active) = (true, true);
                }
                true
            }
            Entry::Message(_, None) | Entry::Tick(_, None) | Entry::Private(_) | Entry::End(_) => {
                true
            }
        }
    }

    /// The first number of an epoch is exact, whatever was taken before; later ones that are less
    /// are late copies.
    fn learn(&mut self, Tag { producer, epoch, seq }: Tag) -> bool {
        let known = self.known.get_mut(&producer).filter(|known| known.epoch >= epoch);
        let Some(known) = known else { return self.know(producer, epoch, seq) };
        let counts = epoch == known.epoch;
        if counts {
            let last = if known.fenced { seq } else { known.last.max(seq) };
            (known.last, known.fenced, known.active) = (last, false, true);
        }
        counts
    }

    fn know(&mut self, producer: char, epoch: u64, last: u64) -> bool {
        let known = Known { epoch, last, fenced: false, closed: false, active: true, heard: 0 };
        self.known.insert(producer, known);
        true
    }

    fn ticked(&mut self, before: Option<u64>, tick: u64) {
        for known in self.known.values_mut().filter(|known| known.active) {
            (known.active, known.heard) = (false, tick);
        }
        let (closed, silent) =
            (Timestamp::span(self.limits.closed), Timestamp::span(self.limits.silent));
        let interval = (closed.min(silent) / 8).max(1);
        if before.is_none_or(|before| before / interval != tick / interval) {
            self.known.retain(|_, k| tick - k.heard <= if k.closed { closed } else { silent });
        }
    }
}
