//! What channels hold.

use std::sync::Arc;
use std::time::Duration;

use msgstream_core::dedup::ProducerLimits;
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::record::{
    END_HEADER, Header, Meta, Origin, Position, Record, SENT_HEADER, Stamp,
};
use msgstream_core::{MsgType, Timestamp};
use proptest::prelude::*;

pub(crate) const PAYLOAD: usize = 64;

/// A producer, its epoch and a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tag {
    pub(crate) producer: char,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry {
    Message(u64, Option<Tag>),
    Tick(u64, Option<Tag>),
    /// A session's tick before which more was sent than its number says.
    Ahead(u64, Tag),
    /// A tick of a virtual channel that is a part of this one.
    Private(u64),
    Fence(char, u64),
    Base(Tag),
    Bye(char, u64),
    End(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) interval: u64,
    pub(crate) late: LatePolicy,
    pub(crate) limits: ProducerLimits,
    pub(crate) channels: Vec<(TickSource, Vec<Entry>)>,
}

impl Contents {
    pub(crate) fn name(channel: usize) -> String {
        // Not in the order of the slots.
        format!("channel-{}", 9 - channel)
    }

    pub(crate) fn records(&self, channel: usize) -> Vec<Record> {
        let records = (0..).zip(&self.channels[channel].1);
        records.map(|(position, entry)| record(position, entry)).collect()
    }
}

fn record(position: u64, entry: &Entry) -> Record {
    let (msg_type, ts, tag) = match *entry {
        Entry::Message(ts, tag) => (MsgType::INSERT, ts, tag),
        Entry::Tick(ts, tag) => (MsgType::TIME_TICK, ts, tag),
        Entry::Ahead(ts, tag) => (MsgType::TIME_TICK, ts, Some(tag)),
        Entry::End(ts) | Entry::Private(ts) => (MsgType::TIME_TICK, ts, None),
        // Above any watermark: it must do nothing for all that.
        Entry::Fence(..) | Entry::Base(..) | Entry::Bye(..) => (MsgType::TIME_TICK, 500_000, None),
    };
    let payload = if msg_type == MsgType::INSERT { vec![7; PAYLOAD] } else { Vec::new() };
    let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), payload);
    record.position = Position::new(position);
    record.meta.vchannel = matches!(entry, Entry::Private(_)).then(|| "part".into());
    record.meta.stamp = tag.map(|Tag { producer, epoch, seq }| {
        let (producer, epoch) = (producer.to_string().into(), Position::new(epoch));
        Stamp { origin: Arc::new(Origin { producer, epoch }), seq }
    });
    let header = match *entry {
        Entry::End(_) => Some((END_HEADER, "1".to_owned())),
        Entry::Ahead(_, Tag { seq, .. }) => Some((SENT_HEADER, (seq + 2).to_string())),
        Entry::Fence(p, epoch) => Some((Stamp::HEADER, format!("{p};{epoch};fence;0"))),
        Entry::Base(Tag { producer, epoch, seq }) => {
            Some((Stamp::HEADER, format!("{producer};{epoch};base;{seq}")))
        }
        Entry::Bye(p, epoch) => Some((Stamp::HEADER, format!("{p};{epoch};bye;"))),
        Entry::Message(..) | Entry::Tick(..) | Entry::Private(_) => None,
    };
    record.extra.extend(header.map(|(name, value)| Header::new(name, value)));
    record
}

/// One step of what happens on a channel.
#[derive(Clone, Copy, Debug)]
enum Step {
    Message(i64),
    Tick(i64),
    Private(i64),
    /// A message of a session, with its number relative to the next one and its epoch to the
    /// newest.
    Stamped(char, i64, i64, u64),
    /// The last is whether no more was sent before it.
    StampedTick(char, i64, i64, u64, bool),
    /// The second of two is stored first, and both are sent again.
    Hole(char, i64),
    Fence(char, i64),
    /// With a number less than the last one, where a reader began behind a fence.
    Base(char, i64),
    Bye(char),
}

fn step() -> impl Strategy<Value = Step> {
    let producer = || prop_oneof![Just('P'), Just('Q'), Just('R')];
    let seq = || prop_oneof![6 => Just(0i64), 2 => -3i64..0, 1 => 1i64..3];
    let epoch = || prop_oneof![6 => Just(0u64), 1 => Just(1u64)];
    prop_oneof![
        6 => (-3i64..14).prop_map(Step::Message),
        3 => (-2i64..9).prop_map(Step::Tick),
        1 => (-3i64..14).prop_map(Step::Private),
        6 => (producer(), -3i64..14, seq(), epoch()).prop_map(|(p, d, s, e)| Step::Stamped(p, d, s, e)),
        1 => (producer(), -2i64..9, seq(), epoch(), any::<bool>())
            .prop_map(|(p, d, s, e, exact)| Step::StampedTick(p, d, s, e, exact)),
        1 => (producer(), -3i64..14).prop_map(|(p, d)| Step::Hole(p, d)),
        1 => (producer(), -1i64..3).prop_map(|(p, e)| Step::Fence(p, e)),
        1 => (producer(), prop_oneof![3 => Just(0i64), 1 => -4i64..0])
            .prop_map(|(p, s)| Step::Base(p, s)),
        1 => producer().prop_map(Step::Bye),
    ]
}

pub(crate) fn entries(ends: bool) -> impl Strategy<Value = Vec<Entry>> {
    // Some channels have lost their beginning, with fences and bases.
    let trimmed = prop_oneof![2 => Just(0usize), 1 => 0usize..40];
    (prop::collection::vec(step(), 0..60), trimmed, any::<bool>()).prop_map(
        move |(steps, trimmed, end)| {
            let (mut clock, mut log) = (5i64, Vec::new());
            // The newest epoch of each producer, and its last number.
            let mut producers = [(1u64, 0u64); 3];
            let mut fenced = [false; 3];
            for step in steps {
                let at = |p: char| usize::from(p as u8 - b'P');
                let ts = |d: i64| (clock + d).max(0) as u64;
                match step {
                    Step::Message(d) => log.push(Entry::Message(ts(d), None)),
                    Step::Tick(d) => {
                        clock = (clock + d).max(0);
                        log.push(Entry::Tick(clock as u64, None));
                    }
                    Step::Private(d) => log.push(Entry::Private(ts(d))),
                    Step::Stamped(producer, d, shift, back) => {
                        let (epoch, last) = &mut producers[at(producer)];
                        let seq = last.saturating_add_signed(shift + 1).max(1);
                        let epoch = epoch.saturating_sub(back);
                        log.push(Entry::Message(ts(d), Some(Tag { producer, epoch, seq })));
                        if back == 0 && shift == 0 {
                            *last = seq;
                        }
                    }
                    Step::StampedTick(producer, d, shift, back, exact) => {
                        let (epoch, last) = producers[at(producer)];
                        let (epoch, seq) =
                            (epoch.saturating_sub(back), last.saturating_add_signed(shift));
                        clock = (clock + d).max(0);
                        let tag = Tag { producer, epoch, seq };
                        log.push(match exact {
                            true => Entry::Tick(clock as u64, Some(tag)),
                            false => Entry::Ahead(clock as u64, tag),
                        });
                        let told = back == 0 && exact;
                        producers[at(producer)].1 = last.max(if told { seq } else { 0 });
                    }
                    Step::Hole(producer, d) => {
                        let (epoch, last) = &mut producers[at(producer)];
                        let tag = |n| Some(Tag { producer, epoch: *epoch, seq: *last + n });
                        let (one, two) =
                            (Entry::Message(ts(d), tag(1)), Entry::Message(ts(d + 1), tag(2)));
                        log.extend([two, one, two]);
                        *last += 2;
                    }
                    Step::Fence(producer, up) => {
                        let (epoch, _) = &mut producers[at(producer)];
                        log.push(Entry::Fence(producer, epoch.saturating_add_signed(up)));
                        *epoch = epoch.saturating_add_signed(up.max(0));
                        fenced[at(producer)] |= up > 0;
                    }
                    Step::Base(producer, shift) => {
                        let (epoch, last) = &mut producers[at(producer)];
                        let (epoch, seq) = (*epoch, last.saturating_add_signed(shift));
                        if std::mem::take(&mut fenced[at(producer)]) {
                            *last = seq;
                        }
                        log.push(Entry::Base(Tag { producer, epoch, seq }));
                    }
                    Step::Bye(producer) => {
                        log.push(Entry::Bye(producer, producers[at(producer)].0))
                    }
                }
            }
            log.drain(..trimmed.min(log.len()));
            log.push(match (ends, end) {
                (true, true) => Entry::End(clock as u64 + 3),
                (true, false) => Entry::Tick(1000, None),
                // Past what any tick and any late message can have reached.
                (false, _) => Entry::Tick(1_000_000, None),
            });
            log
        },
    )
}

pub(crate) fn contents() -> impl Strategy<Value = Contents> {
    let source = prop_oneof![
        3 => Just(TickSource::Written),
        1 => (0u64..20, 1u64..8).prop_map(|(delay, interval)| TickSource::Synthetic { delay, interval }),
    ];
    let late = prop_oneof![Just(LatePolicy::Deliver), Just(LatePolicy::Drop)];
    let interval = prop_oneof![3 => Just(1u64), 1 => 2u64..10];
    (interval, late, limits(), prop::collection::vec((source, entries(true)), 1..5)).prop_map(
        |(interval, late, limits, channels)| Contents { interval, late, limits, channels },
    )
}

/// Producers that are remembered for good, or for no time at all.
fn limits() -> impl Strategy<Value = ProducerLimits> {
    let none = ProducerLimits::default().with_closed(Duration::ZERO);
    prop_oneof![
        2 => Just(ProducerLimits::default()),
        1 => Just(none),
        1 => Just(none.with_silent(Duration::ZERO)),
    ]
}
