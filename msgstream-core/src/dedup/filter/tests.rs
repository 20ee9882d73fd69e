#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::merge::{LatePolicy, Merge, MergeConfig, TickSource};
use crate::record::{END_HEADER, Header, Meta, Position};

/// The span of event time that one step takes: a few steps, and silent producers are forgotten.
const STEP: Duration = Duration::from_secs(5 * 3600);

fn record(position: u64, msg_type: MsgType, step: u64, session: &str) -> Record {
    let ts = Timestamp(step * Timestamp::span(STEP));
    let mut record = Record::new(Meta::new(msg_type, ts), vec![]);
    record.position = Position::new(position);
    match session.parse() {
        Ok(stamp) => record.meta.stamp = Some(stamp),
        Err(_) if session.is_empty() => {}
        Err(_) => record.extra.push(Header::new(Stamp::HEADER, session.to_owned())),
    }
    record
}

fn message(position: u64, step: u64, session: &str) -> Record {
    record(position, MsgType::INSERT, step, session)
}

fn tick(position: u64, step: u64, session: &str) -> Record {
    record(position, MsgType::TIME_TICK, step, session)
}

fn end(position: u64, step: u64) -> Record {
    let mut record = tick(position, step, "");
    record.extra.push(Header::new(END_HEADER, "1"));
    record
}

#[test]
fn each_kind_of_record_is_judged() {
    let mut filter = ChannelFilter::default();
    let mut judge = |record: Record| filter.judge(&record).unwrap();
    assert_eq!(judge(tick(0, 0, "p;;fence;1")), Judgement::Control);
    assert_eq!(judge(tick(1, 0, "p;0;base;0")), Judgement::Control);
    assert_eq!(judge(message(2, 2, "p;0;2")), Judgement::Gap);
    assert_eq!(judge(message(3, 1, "p;0;1")), Judgement::Message { late: false });
    assert_eq!(judge(message(4, 2, "p;0;2")), Judgement::Message { late: false });
    assert_eq!(judge(message(5, 1, "p;0;1")), Judgement::Duplicate);
    assert_eq!(judge(tick(6, 2, "p;0;2")), Judgement::Tick);
    assert_eq!(judge(tick(7, 2, "p;0;2")), Judgement::RepeatedTick);
    assert_eq!(judge(message(8, 2, "")), Judgement::Message { late: true });
    assert_eq!(
        judge(record(9, MsgType::UNREADABLE, 0, "")),
        Judgement::Message { late: false },
        "it has no time"
    );
    assert_eq!(judge(tick(10, 2, "p;10;fence;1")), Judgement::Control);
    assert_eq!(judge(message(11, 4, "p;0;3")), Judgement::Void);
    assert_eq!(judge(tick(12, 9, "p;0;3")), Judgement::Void);
    assert_eq!(judge(end(13, 5)), Judgement::End);
    assert_eq!(judge(message(14, 6, "")), Judgement::AfterEnd);
}

#[test]
fn more_producers_than_are_remembered_are_an_error() {
    let mut filter = ChannelFilter::default();
    let limit = ProducerLimits::default().max;
    for n in 0..limit {
        filter.judge(&message(n as u64, 1, &format!("p{n};0;1"))).unwrap();
    }
    assert_eq!(filter.judge(&message(0, 1, "q;0;1")), Err(TooManyProducers { limit }));
}

/// A log of three producers that repeat, lose and overtake their records, and go away for a while.
fn logs() -> impl Strategy<Value = Vec<Record>> {
    let session = (0..3_u64, 0..3_u64, 0..5_u64);
    let entry = prop_oneof![
        6 => session.clone().prop_map(|(p, epoch, seq)| (false, format!("p{p};{epoch};{seq}"))),
        2 => Just((false, String::new())),
        2 => Just((true, String::new())),
        2 => session.clone().prop_map(|(p, epoch, seq)| (true, format!("p{p};{epoch};{seq}"))),
        1 => session.clone().prop_map(|(p, epoch, _)| (true, format!("p{p};{epoch};fence;1"))),
        1 => session.clone().prop_map(|(p, epoch, seq)| (true, format!("p{p};{epoch};base;{seq}"))),
        1 => session.prop_map(|(p, epoch, _)| (true, format!("p{p};{epoch};bye;"))),
    ];
    let step = (0..4_u64, entry);
    prop::collection::vec(step, 0..60).prop_map(|steps| {
        let mut now = 0;
        let entries = steps.into_iter().enumerate().map(|(n, (ahead, (ticks, session)))| {
            let (position, step) = (n as u64, now + ahead);
            match ticks {
                true => {
                    now = now.max(step);
                    tick(position, step, &session)
                }
                false => message(position, step.saturating_sub(2), &session),
            }
        });
        entries.collect()
    })
}

/// Returns what counts, and whether it is late, by position.
fn merged(log: &[Record]) -> BTreeMap<Position, bool> {
    let config = MergeConfig::default().with_late_policy(LatePolicy::Deliver);
    let mut merge = Merge::new(config).unwrap();
    let slot = merge.add("a".into(), TickSource::Written).unwrap();
    let after = log.len() as u64;
    let mut records: Vec<_> = log.iter().cloned().chain([end(after, 1000)]).collect();
    merge.push(slot, &mut records, Position::new(after + 1)).unwrap();
    let mut found = BTreeMap::new();
    while let Some(pack) = merge.advance().unwrap() {
        found.extend(pack.msgs.iter().map(|m| (m.position().unwrap(), m.is_late())));
    }
    found
}

proptest! {
    #[test]
    fn what_counts_is_what_a_merge_delivers(log in logs(), stop in 0..60_usize) {
        let mut filter = ChannelFilter::default();
        let mut found = BTreeMap::new();
        for (n, record) in log.iter().enumerate() {
            if n == stop {
                let saved = serde_json::to_string(&filter.state()).unwrap();
                filter = ChannelFilter::resume(&serde_json::from_str(&saved).unwrap());
            }
            if let Judgement::Message { late } = filter.judge(record).unwrap() {
                found.insert(record.position, late);
            }
        }
        prop_assert_eq!(found, merged(&log));
    }
}
