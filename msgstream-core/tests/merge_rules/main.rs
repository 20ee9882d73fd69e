//! Single rules of the merge, each on the smallest log that shows it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod end;
mod eviction;
mod idle;
mod members;
mod span;

use Entry::{Msg, Tick};
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::merge::{Merge, MergeConfig, Slot};
use msgstream_core::record::END_HEADER;
use msgstream_core::record::{Header, Incarnation, Meta, Position, Record};
use msgstream_core::{Checkpoint, Error, MsgPack, MsgType, Timestamp};

/// What a tick costs in a batch without messages.
const TICK: usize = Record::OVERHEAD - size_of::<Record>();

#[derive(Clone, Copy)]
enum Entry {
    Msg(u64),
    Tick(u64),
}

fn records(from: u64, log: &[Entry]) -> Vec<Record> {
    let record = |(position, entry): (u64, &Entry)| {
        let (msg_type, ts) = match *entry {
            Msg(ts) => (MsgType::INSERT, ts),
            Tick(ts) => (MsgType::TIME_TICK, ts),
        };
        let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), vec![7; 100]);
        record.position = Position::new(position);
        record
    };
    (from..).zip(log).map(record).collect()
}

fn push(merge: &mut Merge, slot: Slot, from: u64, log: &[Entry]) {
    let next = Position::new(from + log.len() as u64);
    merge.push(slot, &mut records(from, log), next).unwrap();
}

/// Pushes a message that costs so many bytes.
fn hold(merge: &mut Merge, slot: Slot, position: u64, ts: u64, bytes: usize) {
    let payload = vec![7; bytes - Record::OVERHEAD];
    let mut record = Record::new(Meta::new(MsgType::INSERT, Timestamp(ts)), payload);
    record.position = Position::new(position);
    let before = merge.buffered_bytes();
    merge.push(slot, &mut vec![record], Position::new(position + 1)).unwrap();
    assert_eq!(merge.buffered_bytes(), before + bytes);
}

/// Pushes one batch as a driver does: within the budget.
fn read(merge: &mut Merge, slot: Slot, from: u64, log: &[Entry]) {
    while merge.reserve(slot) == 0 {
        merge.relieve(slot).unwrap();
    }
    merge.release(slot);
    push(merge, slot, from, log);
}

/// The end of a channel, with its time.
fn end(position: u64, ts: u64) -> Record {
    let mut end = records(position, &[Tick(ts)]).remove(0);
    end.extra.push(Header::new(END_HEADER, "1"));
    end
}

fn packs(merge: &mut Merge) -> Vec<MsgPack> {
    std::iter::from_fn(|| merge.advance().unwrap()).collect()
}

fn count(packs: &[MsgPack]) -> usize {
    packs.iter().map(|pack| pack.msgs.len()).sum()
}

fn config() -> MergeConfig {
    MergeConfig::default().with_late_policy(LatePolicy::Deliver)
}

/// A merge with this budget, and channels `a`, `b` and so on.
fn merge<const N: usize>(budget: usize) -> (Merge, [Slot; N]) {
    let mut merge = Merge::new(config().with_budget_bytes(budget)).unwrap();
    let mut names = 'a'..;
    let slots = std::array::from_fn(|_| {
        let name = names.next().unwrap().to_string();
        merge.add(name.into(), TickSource::Written).unwrap()
    });
    (merge, slots)
}

fn with_channels(checkpoint: Checkpoint) -> (Merge, Slot, Slot) {
    let mut merge = Merge::resume(config(), checkpoint).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    let b = merge.add("b".into(), TickSource::Written).unwrap();
    (merge, a, b)
}

#[test]
fn the_history_of_a_joiner_costs_no_memory() {
    let mut merge = Merge::new(config().with_budget_bytes(1 << 20)).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    push(&mut merge, a, 0, &[Tick(1_000_000)]);
    packs(&mut merge);
    let joiner = merge.add("b".into(), TickSource::Written).unwrap();
    for n in 0..20_000 {
        read(&mut merge, joiner, 2 * n, &[Msg(10 * n), Tick(10 * n + 5)]);
        assert!(merge.buffered_bytes() < 10_000, "{}", merge.status());
    }
    assert_eq!(merge.counts().before_join, 20_000);
}

#[test]
fn ticks_behind_a_message_from_the_far_future_cost_no_memory() {
    let mut merge = Merge::new(config().with_budget_bytes(1 << 20)).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    push(&mut merge, a, 0, &[Msg(1 << 40), Tick(1)]);
    for n in 2..50_000 {
        assert_eq!(packs(&mut merge).len(), 1);
        read(&mut merge, a, n, &[Tick(n)]);
        assert!(merge.buffered_bytes() < 10_000, "{}", merge.status());
    }
    let resume = merge.status().channels[0].resume;
    assert_eq!(resume, Some(Position::new(0)), "the message pins it");
}

#[test]
fn one_time_too_far_ahead_doesnt_make_the_rest_of_a_tickless_topic_late() {
    let mut merge = Merge::new(config()).unwrap();
    let topic = TickSource::Synthetic { delay: 0, interval: 1 };
    let a = merge.add("a".into(), topic).unwrap();
    let mut batch = records(0, &[Msg(5), Msg(u64::MAX), Msg(6), Msg(7)]);
    let refused = merge.push(a, &mut batch, Position::new(4));
    let Err(Error::TickTooFar { position, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((position, batch.len()), (Position::new(1), 3), "what is left to push");
    assert_eq!(count(&packs(&mut merge)), 1);
    merge.ignore_tick(a, position);
    merge.push(a, &mut batch, Position::new(4)).unwrap();
    let packs = packs(&mut merge);
    assert_eq!(count(&packs), 2);
    assert!(packs.iter().flat_map(|pack| &pack.msgs).all(|message| !message.is_late()));
}

#[test]
fn the_first_pack_begins_where_every_channel_does() {
    let (mut merge, a, b) = with_channels(Checkpoint::default());
    push(&mut merge, b, 3, &[]);
    assert!(merge.set_idle(b).unwrap());
    push(&mut merge, a, 7, &[Msg(1), Tick(5)]);
    let pack = packs(&mut merge).remove(0);
    let begins: Vec<_> = pack.start.channels.values().map(|mark| mark.resume.offset()).collect();
    assert_eq!(begins, [7, 3]);
    assert_eq!((pack.start.frontier, pack.begin_ts), (None, None));
}

#[test]
fn a_late_record_stops_the_stream_in_place_of_its_pack_and_not_before() {
    let mut merge = Merge::new(MergeConfig::default()).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    push(&mut merge, a, 0, &[Msg(1), Tick(5), Msg(3), Msg(8), Tick(10)]);
    assert_eq!(merge.advance().unwrap().unwrap().end_ts, Timestamp(5));
    for _ in 0..2 {
        let refused = merge.advance();
        let Err(Error::Late { position, ts, watermark, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((position, ts, watermark), (Position::new(2), Timestamp(3), Timestamp(5)));
    }
    merge.set_late_policy(LatePolicy::Deliver);
    let pack = merge.advance().unwrap().unwrap();
    let late: Vec<_> = pack.msgs.iter().map(|m| (m.end_ts().0, m.is_late())).collect();
    assert_eq!(late, [(3, true), (8, false)]);
}

#[test]
fn what_was_done_is_counted() {
    for late in [LatePolicy::Deliver, LatePolicy::Drop] {
        let mut merge =
            Merge::resume(config().with_late_policy(late), Checkpoint::default()).unwrap();
        let a = merge.add("a".into(), TickSource::Written).unwrap();
        let log = [Msg(3), Tick(5), Msg(4), Msg(5), Msg(6), Tick(8), Msg(7), Tick(9), Msg(12)];
        push(&mut merge, a, 0, &log);
        assert_eq!((merge.frontier(), merge.next_end()), (None, Some(Timestamp(5))));
        let packs = packs(&mut merge);
        let counts = merge.counts();
        assert_eq!((counts.packs, counts.late), (3, 3));
        let dropped = if late == LatePolicy::Drop { 3 } else { 0 };
        assert_eq!((counts.dropped_late, counts.delivered), (dropped, 5 - dropped));
        assert_eq!(count(&packs) as u64, counts.delivered);
        assert_eq!((merge.frontier(), merge.next_end()), (Some(Timestamp(9)), None));
    }
}

#[test]
fn where_a_channel_begins_is_known_with_its_first_read_and_its_life() {
    let mut merge = Merge::resume(config(), Checkpoint::default()).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    merge.set_incarnation(a, Incarnation(7));
    push(&mut merge, a, 40, &[Msg(3)]);
    let mark = &merge.checkpoint().channels["a"];
    assert_eq!((mark.resume, mark.incarnation), (Position::new(40), Some(Incarnation(7))));
    push(&mut merge, a, 41, &[Msg(4)]);
    assert_eq!(merge.checkpoint().channels["a"].resume, Position::new(40));
}

#[test]
fn a_tick_at_the_limit_counts_and_one_beyond_it_is_refused() {
    let synthetic = TickSource::Synthetic { delay: 1, interval: 1 };
    for (source, at, beyond) in
        [(TickSource::Written, Tick(100), Tick(101)), (synthetic, Msg(101), Msg(102))]
    {
        let mut merge = Merge::resume(config(), Checkpoint::default()).unwrap();
        merge.set_tick_limit(Timestamp(100));
        let a = merge.add("a".into(), source).unwrap();
        push(&mut merge, a, 0, &[at]);
        assert_eq!(merge.next_end(), Some(Timestamp(100)), "{source:?}");
        let refused = merge.push(a, &mut records(1, &[beyond]), Position::new(2));
        let Err(Error::TickTooFar { position, tick, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((position, tick), (Position::new(1), Timestamp(101)));
        merge.ignore_tick(a, position);
        push(&mut merge, a, 1, &[beyond]);
        assert_eq!((merge.counts().ignored_ticks, merge.next_end()), (1, Some(Timestamp(100))));
    }
}

#[test]
fn the_end_of_time_is_no_tick_whatever_the_limit() {
    let mut merge = Merge::resume(config(), Checkpoint::default()).unwrap();
    merge.set_tick_limit(Timestamp::MAX);
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    push(&mut merge, a, 0, &[Tick(u64::MAX - 1)]);
    let refused = merge.push(a, &mut records(1, &[Tick(u64::MAX)]), Position::new(2));
    assert!(matches!(refused, Err(Error::TickTooFar { .. })), "{refused:?}");
}

#[test]
fn a_tick_that_repeats_is_counted_and_a_header_of_another_name_is_no_end() {
    let mut merge = Merge::resume(config(), Checkpoint::default()).unwrap();
    let a = merge.add("a".into(), TickSource::Written).unwrap();
    let mut log = records(0, &[Msg(3), Tick(5), Tick(5), Tick(4), Msg(6), Tick(8), Tick(9)]);
    log[1].extra.push(Header::new("trace", "1"));
    merge.push(a, &mut log, Position::new(7)).unwrap();
    assert_eq!(count(&packs(&mut merge)), 2);
    let counts = merge.counts();
    assert_eq!((counts.repeated_ticks, counts.after_end), (2, 0));
}
