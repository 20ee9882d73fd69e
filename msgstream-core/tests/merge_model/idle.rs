//! Channels that fall silent, as a script says: what each pack must hold, and each mark.
//!
//! Packs then depend on when a channel was silent, but on nothing else. The model is told the same
//! script and works each pack out from the rules, one record after the other, with whole logs at
//! hand: what counts is known from the start, and what was delivered is a set.

use std::collections::BTreeSet;

use msgstream_core::merge::LatePolicy;
use msgstream_core::record::Position;
use msgstream_core::{Checkpoint, MsgPack};

use crate::contents::{Contents, Entry};
use crate::reference::{Out, OutPack, out, taken};

/// One step of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many records of a channel are read; 0 tells where it begins.
    Read(usize, usize),
    /// A channel is silent.
    Silent(usize),
}

/// Where a channel stands after a pack: the positions `resume`, `cut` and `raised` of its mark.
pub(crate) type Place = (u64, Option<u64>, Option<u64>);

#[derive(Clone, Debug)]
pub(crate) struct Model<'a> {
    contents: &'a Contents,
    frontier: Option<u64>,
    boundaries: BTreeSet<u64>,
    pub(crate) channels: Vec<Channel<'a>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel<'a> {
    log: &'a [Entry],
    /// The positions of what counts.
    taken: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    pub(crate) next: u64,
    begun: bool,
    pub(crate) idle: bool,
    ended: bool,
    watermark: Option<u64>,
    /// A watermark that holds from a position on.
    raised: Option<(u64, u64)>,
    /// Accepted ticks: time and position.
    ticks: Vec<(u64, u64)>,
    /// What is read and not delivered: time at which it counts, position, own time.
    held: Vec<(u64, u64, u64)>,
    /// Of the last mark.
    pub(crate) place: Option<Place>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(contents: &'a Contents) -> Self {
        let channels = contents.channels.iter().map(|(_, log)| Channel {
            log,
            taken: taken(log, contents.limits),
            delivered: BTreeSet::new(),
            next: 0,
            begun: false,
            idle: false,
            ended: false,
            watermark: None,
            raised: None,
            ticks: Vec::new(),
            held: Vec::new(),
            place: None,
        });
        let channels = channels.collect();
        Self { contents, frontier: None, boundaries: BTreeSet::new(), channels }
    }

    /// The same after a crash: each channel is read again from where its mark says.
    pub(crate) fn resumed(&self) -> Self {
        let frontier = self.frontier;
        let channels = self.channels.iter().map(|channel| {
            let (resume, _, raised) = channel.place.unwrap_or_default();
            let before = channel.ticks.iter().filter(|(_, at)| *at < resume);
            let mut again = Channel {
                begun: channel.place.is_some(),
                next: resume,
                idle: false,
                ended: false,
                watermark: before.map(|(ts, _)| *ts).max(),
                raised: raised.zip(frontier),
                held: Vec::new(),
                ..channel.clone()
            };
            again.ticks.retain(|(_, at)| *at < resume);
            again.raise();
            again
        });
        let channels = channels.collect();
        Self { contents: self.contents, frontier, boundaries: BTreeSet::new(), channels }
    }

    pub(crate) fn read(&mut self, index: usize, many: usize) {
        let cut = |t: u64| t - t % self.contents.interval;
        let channel = &mut self.channels[index];
        channel.begun = true;
        // Where it begins is known with its first read.
        channel.place.get_or_insert((channel.next, None, None));
        let end = (channel.next + many as u64).min(channel.log.len() as u64);
        if channel.next < end && std::mem::take(&mut channel.idle) {
            channel.watermark = channel.watermark.max(self.frontier);
        }
        for position in channel.next..end {
            channel.raise();
            channel.next = position + 1;
            if channel.ended || !channel.taken.contains(&position) {
                continue;
            }
            let tick = match channel.log[position as usize] {
                Entry::Message(ts, _) => {
                    let eff = channel.watermark.map_or(ts, |watermark| ts.max(watermark + 1));
                    if !channel.delivered.contains(&position) {
                        channel.held.push((eff, position, ts));
                    }
                    continue;
                }
                Entry::Tick(ts, _) | Entry::Ahead(ts, _) => ts,
                Entry::End(ts) => {
                    channel.ended = true;
                    let ahead = channel.held.iter().map(|held| held.0);
                    let last = ahead.filter(|eff| Some(*eff) > channel.watermark).max();
                    last.unwrap_or(ts).max(ts)
                }
                Entry::Private(_) | Entry::Fence(..) | Entry::Base(_) | Entry::Bye(..) => continue,
            };
            if Some(tick) > channel.watermark {
                channel.watermark = Some(tick);
                channel.ticks.push((tick, position));
                self.boundaries.insert(cut(tick));
            }
            if let (true, Some(watermark)) = (channel.ended, channel.watermark) {
                self.boundaries.insert(watermark.next_multiple_of(self.contents.interval));
            }
        }
        let frontier = self.frontier;
        self.boundaries.retain(|end| Some(*end) > frontier);
    }

    /// Says whether the channel may be idle.
    pub(crate) fn silent(&mut self, index: usize) -> bool {
        let channel = &mut self.channels[index];
        let judged = channel.place.and_then(|(_, cut, _)| cut);
        // What was judged before the last mark has been read again.
        let caught_up = channel.begun && judged.is_none_or(|judged| channel.next > judged);
        let idle = !channel.idle && !channel.ended && caught_up;
        channel.idle |= idle;
        if idle {
            channel.raised = None;
        }
        idle
    }

    /// The next pack, where it is due.
    pub(crate) fn advance(&mut self) -> Option<OutPack> {
        let end = *self.boundaries.first()?;
        let holding = self.channels.iter().filter(|c| !c.idle && !c.ended);
        if holding.into_iter().any(|c| c.watermark < Some(end)) {
            return None;
        }
        self.boundaries.pop_first();
        let mut inside = Vec::new();
        for (index, channel) in self.channels.iter_mut().enumerate() {
            let ready = channel.held.extract_if(.., |held| held.0 <= end);
            for (eff, position, ts) in ready {
                channel.delivered.insert(position);
                inside.push((eff, Contents::name(index), position, ts));
            }
            channel.settle(end);
        }
        inside.sort();
        let begin = self.frontier.replace(end);
        let drop = self.contents.late == LatePolicy::Drop;
        let inside = inside
            .into_iter()
            .map(|(eff, name, position, ts)| (name, position, ts, eff > ts))
            .filter(|out: &Out| !(out.3 && drop));
        Some((begin, end, inside.collect()))
    }

    /// Checks a pack, and the checkpoints around it.
    pub(crate) fn check(&mut self, pack: &MsgPack) {
        assert_eq!(Some(out(pack)), self.advance());
        for (index, channel) in self.channels.iter().enumerate() {
            assert_eq!(place(&pack.end, index), channel.place, "channel {index}: {pack:#?}");
        }
    }
}

/// Where a channel stands in a checkpoint.
fn place(checkpoint: &Checkpoint, index: usize) -> Option<Place> {
    let mark = checkpoint.channels.get(Contents::name(index).as_str())?;
    Some((mark.resume.offset(), mark.cut.map(Position::offset), mark.raised.map(Position::offset)))
}

impl Channel<'_> {
    fn raise(&mut self) {
        if let Some((_, watermark)) = self.raised.take_if(|(at, _)| *at <= self.next) {
            self.watermark = self.watermark.max(Some(watermark));
        }
    }

    /// Where the channel stands after a pack.
    fn settle(&mut self, end: u64) {
        let first = self.held.iter().map(|held| held.1).min();
        let ticked = self.ticks.iter().find(|(ts, _)| *ts >= end);
        let before = self.place.and_then(|(_, cut, _)| cut);
        let place = if ticked.is_none() && self.idle {
            // Judged up to where it was read.
            let read = (self.begun && self.next > 0).then(|| self.next - 1);
            (first.unwrap_or(self.next), read.max(before), Some(self.next))
        } else {
            // Without a tick that far, as at a channel's end, the last one is the cut.
            let Some(&(_, cut)) = ticked.or(self.ticks.last()) else { return };
            (first.filter(|first| *first < cut).unwrap_or(cut), Some(cut), None)
        };
        // It never goes back.
        if self.place.is_none_or(|(resume, ..)| place.0 >= resume) {
            self.place = Some(place);
        }
    }
}
