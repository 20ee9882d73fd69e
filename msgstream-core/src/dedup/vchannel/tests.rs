#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::dedup::{ChannelFilter, Dedup, Judgement, Verdict};
use crate::merge::{Merge, MergeConfig, TickSource};
use crate::record::Position;
use crate::record::{Meta, Timestamp};

const MAX: usize = 100;

fn stamp(producer: &str, epoch: u64, seq: u64) -> Stamp {
    let origin = Origin { producer: producer.into(), epoch: Position::new(epoch) };
    Stamp { origin: Arc::new(origin), seq }
}

fn fence(dedup: &mut Dedup, producer: &str, epoch: u64) {
    let (at, kind) = (Position::new(epoch), Kind::Fence { nonce: 1 });
    let control = Control { producer: producer.into(), epoch: Some(at), kind };
    dedup.control(&control, at, MAX).unwrap();
}

fn message(dedup: &mut Dedup, producer: &str, epoch: u64, seq: u64) -> Verdict {
    dedup.message(&stamp(producer, epoch, seq), MAX).unwrap()
}

#[test]
fn a_fence_of_the_whole_channel_begins_an_epoch_on_all_virtual_ones() {
    let mut dedup = Dedup::default();
    for producer in ["p", "p/a", "p/b", "p0/a", "q/a"] {
        assert_eq!(message(&mut dedup, producer, 1, 1), Verdict::Accepted);
    }
    fence(&mut dedup, "p", 5);
    let after = ["p", "p/a", "p/b", "p/unknown", "p0/a", "q/a"];
    let after = after.map(|producer| message(&mut dedup, producer, 1, 2));
    let [void, taken] = [Verdict::Fenced, Verdict::Accepted];
    assert_eq!(after, [void, void, void, void, taken, taken]);
    for exact in [false, true] {
        assert_eq!(dedup.tick(&stamp("p/new", 4, 7), exact, MAX), Ok(void));
    }
}

#[test]
fn a_fence_of_a_virtual_channel_concerns_no_other() {
    let mut dedup = Dedup::default();
    for producer in ["p", "p/a", "p/b"] {
        assert_eq!(message(&mut dedup, producer, 1, 1), Verdict::Accepted);
    }
    fence(&mut dedup, "p/a", 5);
    let after = ["p", "p/a", "p/b", "p/c"].map(|p| message(&mut dedup, p, 1, 2));
    let [void, taken] = [Verdict::Fenced, Verdict::Accepted];
    assert_eq!(after, [taken, void, taken, taken]);
}

#[test]
fn sequence_numbers_are_those_of_the_virtual_channel() {
    let mut record = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(3)), "");
    for (kind, part) in [
        (Kind::Fence { nonce: 3 }, SessionPart::Control),
        (Kind::Base { last: 7 }, SessionPart::Base),
        (Kind::Goodbye, SessionPart::Control),
    ] {
        record.extra.clear();
        Control { producer: "p".into(), epoch: Some(Position::new(4)), kind }.write(&mut record);
        assert_eq!(SessionPart::of(&record), part);
        for _ in 0..2 {
            SessionPart::number(&mut record, "a;b");
            assert_eq!(&*Control::read(&record).unwrap().0.producer, "p/a;b");
        }
    }
    record.extra[0] = Header::new(Stamp::HEADER, "p;;fence;7");
    assert_eq!(SessionPart::of(&record), SessionPart::Home);
    record.extra.clear();
    assert_eq!(SessionPart::of(&record), SessionPart::None);
}

/// A record of the log of a channel with virtual ones.
fn record(position: u64, msg_type: MsgType, ts: u64, vchannel: Option<&str>) -> Record {
    let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), "");
    record.position = Position::new(position);
    record.meta.vchannel = vchannel.map(Into::into);
    record
}

#[test]
fn a_tick_of_a_virtual_channel_cuts_nothing_of_the_whole() {
    let [tick, message] = [MsgType::TIME_TICK, MsgType::INSERT];
    let mut private_end = record(2, tick, 9, Some("a"));
    private_end.extra.push(Header::new(crate::record::END_HEADER, ""));
    let mut log = vec![
        record(0, message, 1, Some("a")),
        record(1, tick, 5, Some("a")),
        private_end,
        record(3, message, 4, Some("b")),
        record(4, tick, 6, None),
    ];
    let mut filter = ChannelFilter::default();
    let judged: Vec<_> = log.iter().map(|record| filter.judge(record).unwrap()).collect();
    let on_time = Judgement::Message { late: false };
    let private = Judgement::PrivateTick;
    assert_eq!(judged, [on_time, private, private, on_time, Judgement::Tick]);

    let mut merge = Merge::new(MergeConfig::default()).unwrap();
    let slot = merge.add("whole".into(), TickSource::Written).unwrap();
    merge.push(slot, &mut log, Position::new(5)).unwrap();
    let pack = merge.advance().unwrap().unwrap();
    assert_eq!((pack.msgs.len(), pack.end_ts), (2, Timestamp(6)));
    assert!(merge.advance().unwrap().is_none());
}

proptest! {
    #[test]
    fn each_virtual_channel_is_judged_for_itself(
        log in prop::collection::vec((0..3_usize, 0..3_u64, 0..6_u64, 0..8_u8), 0..80),
    ) {
        let names = ["p/a", "p/b", "p"];
        let mut together = Dedup::default();
        let mut alone = names.map(|_| Dedup::default());
        for (name, own) in names.iter().zip(&mut alone) {
            for dedup in [&mut together, own] {
                message(dedup, name, 0, 0);
            }
        }
        for (of, epoch, seq, what) in log {
            let (name, own) = (names[of], &mut alone[of]);
            match what {
                // A fence of the whole is one of each.
                0 if name == "p" => {
                    fence(&mut together, "p", epoch);
                    names.iter().zip(&mut alone).for_each(|(name, own)| fence(own, name, epoch));
                }
                0 => [&mut together, own].iter_mut().for_each(|dedup| fence(dedup, name, epoch)),
                1 | 2 => {
                    let (tick, exact) = (stamp(name, epoch, seq), what == 1);
                    prop_assert_eq!(together.tick(&tick, exact, MAX), own.tick(&tick, exact, MAX));
                    prop_assert_eq!(together.take_missing(), own.take_missing());
                }
                _ => {
                    let judged = message(&mut together, name, epoch, seq);
                    prop_assert_eq!(judged, message(own, name, epoch, seq));
                }
            }
        }
    }
}
