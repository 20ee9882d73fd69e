//! Short logs, and the packs that they make.
#![allow(clippy::unwrap_used)]

use msgstream_core::Timestamp;
use msgstream_core::record::{Header, Meta, Stamp};

use super::*;

const M: MsgType = MsgType::INSERT;
const T: MsgType = MsgType::TIME_TICK;
/// An end, in these logs.
const E: MsgType = MsgType(u32::MAX);

/// Records at positions from 0 on: a type, a time, and a stamp or what a control record says.
fn log(records: &[(MsgType, u64, &'static str)]) -> BTreeMap<Arc<str>, Vec<Record>> {
    let record = |(position, (msg_type, ts, says)): (u64, &(MsgType, u64, &'static str))| {
        let mut record = Record::new(Meta::new(*msg_type, Timestamp(*ts)), vec![]);
        record.position = Position::new(position);
        record.meta.stamp = says.parse().ok();
        if *msg_type == E {
            record.meta.msg_type = T;
            record.extra.push(Header::new(END_HEADER, "1"));
        } else if record.meta.stamp.is_none() && !says.is_empty() {
            record.extra.push(Header::new(Stamp::HEADER, *says));
        }
        record
    };
    BTreeMap::from([("a".into(), (0..).zip(records).map(record).collect())])
}

/// Begins, ends and the messages' offsets.
fn packs(model: &Model) -> Vec<(Option<u64>, u64, Vec<u64>)> {
    let offsets = |p: &ModelPack| p.msgs.iter().map(|(_, at, _)| at.offset()).collect();
    model.packs.iter().map(|pack| (pack.begin, pack.end, offsets(pack))).collect()
}

const fn rules(late: LatePolicy) -> Rules {
    Rules { interval: 1, late, joins: None }
}

#[test]
fn each_number_counts_once_in_the_newest_epoch() {
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
    let model = Model::new(&log, &rules(LatePolicy::Deliver));
    assert_eq!(packs(&model), [(None, 6, vec![5, 2, 4]), (Some(6), 9, vec![11, 12])]);
    assert!(model.packs[1].msgs[1].2, "it came after the tick that promised that it wouldn't");
    let numbers = model.numbers.values().next().unwrap();
    assert_eq!(numbers.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let dropped = Model::new(&log, &rules(LatePolicy::Drop)).dropped;
    assert_eq!(dropped.first().unwrap().1, Position::new(12));
    // The epoch's fence shows that the tick behind it isn't a late copy.
    assert_eq!(told_from(&log["a"], false), Some(Position::new(8)));
}

#[test]
fn a_fence_of_the_whole_channel_is_one_of_each_virtual_channel() {
    let log = log(&[
        (T, 0, "p/v;0;base;0"),
        (M, 1, "p/v;0;1"),
        (T, 0, "p;;fence;1"),
        // Of zombies, on a channel that is known and on one that isn't.
        (M, 2, "p/v;0;2"),
        (M, 2, "p/w;0;1"),
        (T, 0, "p/w;0;base;7"),
        (T, 0, "p/w;2;base;0"),
        (M, 3, "p/w;2;1"),
        (M, 3, "p/v;2;2"),
        (M, 3, "pp/v;0;1"),
        (T, 9, ""),
    ]);
    let model = Model::new(&log, &rules(LatePolicy::Deliver));
    assert_eq!(packs(&model), [(None, 9, vec![1, 7, 8, 9])]);
}

#[test]
fn a_tick_of_a_part_cuts_nothing_of_the_whole() {
    let mut log = log(&[(M, 1, ""), (T, 2, ""), (M, 3, ""), (E, 4, ""), (M, 5, ""), (T, 6, "")]);
    for record in log.values_mut().flatten().filter(|r| [2, 4].contains(&r.meta.timestamp.0)) {
        record.meta.vchannel = Some("v".into());
    }
    let model = Model::new(&log, &rules(LatePolicy::Deliver));
    assert_eq!(packs(&model), [(None, 6, vec![0, 2, 4])]);
}

#[test]
fn the_first_number_that_an_epoch_tells_is_exact() {
    let log = log(&[
        // Its fence is before the place where reading begins, so these are void.
        (M, 1, "p;0;30"),
        (T, 1, "p;0;30"),
        (T, 1, "p;8;base;4"),
        (M, 2, "p;8;5"),
        // A late copy.
        (T, 1, "p;8;base;4"),
        (M, 3, "p;8;6"),
        (T, 4, "p;8;6"),
    ]);
    let model = Model::new(&log, &rules(LatePolicy::Deliver));
    assert_eq!(packs(&model), [(None, 1, vec![0]), (Some(1), 4, vec![3, 5])]);
}

#[test]
fn an_end_that_counts_is_the_last_record() {
    let log = log(&[
        (T, 0, "p;0;base;0"),
        (T, 0, "p;8;fence;1"),
        (E, 3, "p;0;0"),
        (M, 7, "p;8;1"),
        (E, 5, "p;8;1"),
        (M, 9, "p;8;2"),
    ]);
    let mut rules = rules(LatePolicy::Deliver);
    assert_eq!(packs(&Model::new(&log, &rules)), [(None, 7, vec![3])]);
    assert_eq!(end_of(&log["a"]), Some(Position::new(4)));
    rules.interval = 4;
    assert_eq!(packs(&Model::new(&log, &rules)), [(None, 4, vec![]), (Some(4), 8, vec![3])]);
}

#[test]
fn a_joiner_has_what_follows_its_joining() {
    let mut logs = log(&[(M, 1, ""), (T, 5, ""), (T, 9, "")]);
    logs.append(
        &mut log(&[(M, 4, ""), (M, 7, ""), (T, 8, "")])
            .into_values()
            .map(|log| ("b".into(), log))
            .collect(),
    );
    let rules = Rules { joins: Some(("b".into(), 5)), ..rules(LatePolicy::Error) };
    let model = Model::new(&logs, &rules);
    assert_eq!(packs(&model), [(None, 5, vec![0]), (Some(5), 8, vec![1])]);
    assert_eq!(model.before_join, BTreeSet::from([("b".into(), Position::new(0))]));
}
