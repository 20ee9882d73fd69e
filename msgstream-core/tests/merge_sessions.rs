//! What the merge does with the records of sessions, each rule on the smallest log that shows it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use Entry::{Control, Msg, Stamped, StampedTick, Tick};
use msgstream_core::dedup::ProducerLimits;
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::merge::{Merge, MergeConfig, Slot};
use msgstream_core::record::{Header, Meta, Position, Record, Stamp};
use msgstream_core::{Checkpoint, Error, MsgPack, MsgType, Timestamp};

#[derive(Clone, Copy)]
enum Entry {
    Msg(u64),
    Tick(u64),
    /// Time and stamp.
    Stamped(u64, &'static str),
    StampedTick(u64, &'static str),
    Control(&'static str),
}

fn record(position: u64, entry: Entry) -> Record {
    let (msg_type, ts) = match entry {
        Msg(ts) | Stamped(ts, _) => (MsgType::INSERT, ts),
        Tick(ts) | StampedTick(ts, _) => (MsgType::TIME_TICK, ts),
        Control(_) => (MsgType::TIME_TICK, 0),
    };
    let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), vec![7; 100]);
    record.position = Position::new(position);
    match entry {
        Stamped(_, stamp) | StampedTick(_, stamp) => {
            record.meta.stamp = Some(stamp.parse().unwrap())
        }
        Control(text) => record.extra.push(Header::new(Stamp::HEADER, text)),
        Msg(_) | Tick(_) => {}
    }
    record
}

fn records(from: u64, log: &[Entry]) -> Vec<Record> {
    (from..).zip(log).map(|(position, entry)| record(position, *entry)).collect()
}

fn push(merge: &mut Merge, slot: Slot, from: u64, log: &[Entry]) {
    let next = Position::new(from + log.len() as u64);
    merge.push(slot, &mut records(from, log), next).unwrap();
}

fn config() -> MergeConfig {
    MergeConfig::default().with_late_policy(LatePolicy::Deliver)
}

fn with_channel(config: MergeConfig, checkpoint: Checkpoint) -> (Merge, Slot) {
    let mut merge = Merge::resume(config, checkpoint).unwrap();
    let slot = merge.add("a".into(), TickSource::Written).unwrap();
    (merge, slot)
}

fn packs(merge: &mut Merge) -> Vec<MsgPack> {
    std::iter::from_fn(|| merge.advance().unwrap()).collect()
}

fn positions(packs: &[MsgPack]) -> Vec<u64> {
    let positions = packs.iter().flat_map(|pack| &pack.msgs).filter_map(|m| m.position());
    positions.map(Position::offset).collect()
}

#[test]
fn a_fenced_producers_ticks_promise_nothing() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    let log = [
        StampedTick(5, "p;1;0"),
        Control("p;2;fence;0"),
        StampedTick(90, "p;1;0"),
        Stamped(50, "p;2;1"),
        StampedTick(60, "p;2;1"),
    ];
    push(&mut merge, a, 0, &log);
    let first = packs(&mut merge);
    assert_eq!(first.iter().map(|pack| pack.end_ts.0).collect::<Vec<_>>(), [5, 60]);
    assert!(first.iter().flat_map(|pack| &pack.msgs).all(|message| !message.is_late()));
    assert_eq!((merge.counts().fenced, merge.counts().control), (1, 1));

    let (mut merge, a) = with_channel(config(), first[0].end.clone());
    push(&mut merge, a, 0, &log);
    let again = packs(&mut merge);
    assert_eq!((again[0].end_ts, again[0].msgs.len()), (Timestamp(60), 1));
}

#[test]
fn one_producer_too_many_is_refused_until_there_may_be_more() {
    let limits = ProducerLimits::default().with_max(1);
    let (mut merge, a) = with_channel(config().with_producer_limits(limits), Checkpoint::default());
    let log = [Stamped(1, "p;1;1"), Stamped(2, "q;1;1"), Tick(5)];
    let mut batch = records(0, &log);
    let refused = merge.push(a, &mut batch, Position::new(3));
    let Err(Error::TooManyProducers { position, limit, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((position, limit, batch.len()), (Position::new(1), 1, 2));
    merge.set_producer_limits(limits.with_max(2));
    merge.push(a, &mut batch, Position::new(3)).unwrap();
    assert_eq!(positions(&packs(&mut merge)), [0, 1]);
    assert_eq!(merge.status().channels[0].producers, 2);
}

#[test]
fn producers_that_said_goodbye_make_room_for_others() {
    let limits = ProducerLimits::default().with_max(2).with_closed(Duration::from_millis(1));
    let (mut merge, a) = with_channel(config().with_producer_limits(limits), Checkpoint::default());
    let mut position = 0;
    for n in 1..100 {
        let mut batch = vec![record(position, Msg(n << 20))];
        let mut stamped = record(position + 1, Msg(n << 20));
        stamped.meta.stamp = Some(format!("p{n};1;1").parse().unwrap());
        let mut bye = record(position + 2, Tick(0));
        bye.extra.push(Header::new(Stamp::HEADER, format!("p{n};1;bye;")));
        batch.extend([stamped, bye, record(position + 3, Tick(n << 20))]);
        position += 4;
        merge.push(a, &mut batch, Position::new(position)).unwrap();
        assert!(merge.status().channels[0].producers <= 2);
    }
    assert_eq!(positions(&packs(&mut merge)).len(), 198);
}

#[test]
fn a_message_that_is_refused_for_its_time_is_still_the_next_of_its_session() {
    let mut merge = Merge::new(config()).unwrap();
    let topic = TickSource::Synthetic { delay: 0, interval: 1 };
    let a = merge.add("a".into(), topic).unwrap();
    let mut batch =
        records(0, &[Stamped(5, "p;1;1"), Stamped(u64::MAX, "p;1;2"), Stamped(6, "p;1;3")]);
    let refused = merge.push(a, &mut batch, Position::new(3));
    assert!(matches!(refused, Err(Error::TickTooFar { .. })), "{refused:?}");
    merge.ignore_tick(a, Position::new(1));
    merge.push(a, &mut batch, Position::new(3)).unwrap();
    assert_eq!(positions(&packs(&mut merge)), [0, 2]);
    assert_eq!((merge.counts().duplicates, merge.counts().gaps), (0, 0));
}

#[test]
fn what_a_tick_knows_to_be_stored_and_isnt_there_is_counted() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    push(&mut merge, a, 0, &[Stamped(1, "p;1;1"), StampedTick(5, "p;1;4"), Stamped(7, "p;1;5")]);
    assert_eq!(merge.counts().missing, 3);
    push(&mut merge, a, 3, &[StampedTick(9, "p;1;5")]);
    assert_eq!((positions(&packs(&mut merge)), merge.counts().missing), (vec![0, 2], 3));
}

#[test]
fn a_log_that_begins_in_its_middle_goes_on_with_the_base_of_a_session() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    // 6 is stored first, and sent again after 5.
    let log = [
        Control("p;1;fence;0"),
        Control("p;1;base;4"),
        Stamped(3, "p;1;6"),
        Stamped(2, "p;1;5"),
        Stamped(3, "p;1;6"),
        Tick(9),
    ];
    push(&mut merge, a, 0, &log);
    assert_eq!(positions(&packs(&mut merge)), [3, 4]);
    assert_eq!((merge.counts().gaps, merge.counts().missing), (1, 0));
}

#[test]
fn what_idle_channels_have_judged_is_delivered_after_any_number_of_resumes() {
    let of_a = [Msg(20), Tick(6), Tick(8), Stamped(21, "p;1;1"), Tick(30)];
    let of_b = [Tick(1), Tick(6), Tick(8), Tick(30)];
    // Reads both channels on to these places, `a` idle or not, and gives the last checkpoint.
    let go_on = |from: Checkpoint, upto_a: usize, upto_b: usize, idle: bool| {
        let resume = |channel| from.channels.get(channel).map_or(0, |mark| mark.resume.offset());
        let (at_a, at_b) = (resume("a"), resume("b"));
        let (mut merge, a) = with_channel(config(), from);
        let b = merge.add("b".into(), TickSource::Written).unwrap();
        push(&mut merge, a, at_a, &of_a[at_a as usize..upto_a]);
        assert_eq!(idle, idle && merge.set_idle(a).unwrap());
        push(&mut merge, b, at_b, &of_b[at_b as usize..upto_b]);
        packs(&mut merge)
    };
    let last = |packs: &[MsgPack]| packs.last().unwrap().end.clone();
    let first = go_on(Checkpoint::default(), 4, 1, true);
    let second = go_on(last(&first), 4, 2, false);
    let third = go_on(last(&second), 4, 3, true);
    let fourth = go_on(last(&third), 5, 4, false);
    let all: Vec<_> = [first, second, third, fourth].iter().flat_map(|p| positions(p)).collect();
    assert_eq!(all, [0, 3]);
}

#[test]
fn duplicates_behind_a_pinned_message_are_within_the_budget() {
    let budget = 32 << 10;
    let (mut merge, a) = with_channel(config().with_budget_bytes(budget), Checkpoint::default());
    push(&mut merge, a, 0, &[Msg(1 << 40), Stamped(1, "p;1;1"), Tick(1)]);
    let mut next = 3;
    let refused = loop {
        packs(&mut merge);
        match merge.relieve(a) {
            Ok(_) => {}
            Err(error) => break error,
        }
        assert!(merge.reserve(a) > 0, "{}", merge.status());
        merge.release(a);
        push(&mut merge, a, next, &[Stamped(1, "p;1;1"), Tick(next)]);
        next += 2;
        assert!(merge.buffered_bytes() <= budget, "{}", merge.status());
        assert!(next < 10_000, "it was to be refused");
    };
    assert!(matches!(refused, Error::WindowTooLarge { .. }), "{refused}");
    merge.set_budget_bytes(2 * budget);
    push(&mut merge, a, next, &[Stamped(5, "p;1;2"), Tick(next)]);
    assert_eq!(positions(&packs(&mut merge)), [next]);
}

#[test]
fn a_stream_that_begins_in_mid_log_goes_on_where_the_next_epoch_does() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    push(
        &mut merge,
        a,
        20,
        &[
            // 5 was lost before, so these don't count; nothing here says so.
            Stamped(2, "p;1;6"),
            Stamped(2, "p;1;7"),
            Control("p;9;fence;1"),
            Control("p;9;base;4"),
            Stamped(3, "p;9;5"),
            Stamped(3, "p;9;6"),
            Stamped(3, "p;9;7"),
            StampedTick(5, "p;9;7"),
        ],
    );
    let packs = packs(&mut merge);
    assert_eq!(positions(&packs), [20, 21, 24, 25, 26]);
    assert_eq!((merge.counts().duplicates, merge.counts().missing), (0, 0));
}

#[test]
fn what_only_a_base_tells_is_missing_too() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    push(&mut merge, a, 0, &[Stamped(1, "p;1;1"), Control("p;1;base;4"), Tick(5)]);
    assert_eq!(merge.counts().missing, 3);
    // An epoch's first base tells it as well, and one that takes a number back doesn't.
    let log = [
        Control("p;2;fence;1"),
        Control("p;2;base;6"),
        Control("p;3;fence;1"),
        Control("p;3;base;5"),
        Control("q;3;fence;1"),
        Control("q;3;base;80"),
        Tick(6),
    ];
    push(&mut merge, a, 3, &log);
    assert_eq!(merge.counts().missing, 5);
}

#[test]
fn the_greatest_numbers_overflow_nothing() {
    let (mut merge, a) = with_channel(config(), Checkpoint::default());
    let most = "18446744073709551615";
    for (at, producer) in ["p", "q", "r"].into_iter().enumerate() {
        let texts = ["1;1", "1;base;MOST", "2;fence;MOST", "2;base;MOST", "2;MOST", "2;0"];
        let says = |text: &str| format!("{producer};{}", text.replace("MOST", most));
        let mut batch = Vec::new();
        for (text, position) in texts.iter().zip(10 * at as u64..) {
            let mut record = record(position, if text.len() < 5 { Msg(1) } else { Tick(0) });
            record.meta.stamp = says(text).parse().ok();
            if record.meta.stamp.is_none() {
                record.extra.push(Header::new(Stamp::HEADER, says(text)));
            }
            batch.push(record);
        }
        merge.push(a, &mut batch, Position::new(10 * at as u64 + 6)).unwrap();
    }
    push(&mut merge, a, 90, &[Tick(5)]);
    assert_eq!(positions(&packs(&mut merge)), [0, 10, 20]);
    assert_eq!(merge.counts().missing, u64::MAX);
}
